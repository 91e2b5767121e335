"""The command line, one file per verb. Nothing here computes: verbs parse, call and report.

What takes long to import (NumPy, Pillow, torch) is imported inside the verbs, so that
``intact --version`` and ``intact --help`` answer at once. Exit codes: `intact.cli.errors`.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

from intact.cli import streams

# Looking for garbage among all that is imported and loaded takes a tenth of a short command, while
# it runs and once more when it ends.
GARBAGE = 300_000
atexit.register(gc.freeze)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None takes them from `sys.argv`.

    Returns:
        The exit code.
    """
    # The NumPy backend shares work out itself; a BLAS with threads of its own then spins against
    # them, measured at nine times slower on a busy machine. Read once, when NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(GARBAGE)
    streams.settle()
    try:
        # `intact.__main__` and the console script come here; the parser is loaded by the first use.
        from intact.cli.app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while it was loaded; `run` knows what to do later
        return 130
