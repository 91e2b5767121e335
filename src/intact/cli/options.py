"""Options that several verbs share, and the loop over several inputs."""

from __future__ import annotations

import contextlib
import enum
import os
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from intact.cli import lines, signals
from intact.cli.errors import Code, complain, report
from intact.cli.io import show_json
from intact.cli.parser import Option
from intact.cli.progress import Bar
from intact.container.limits import MAX_THREADS


class Backend(enum.StrEnum):
    """How to compute; all give the same result."""

    AUTO = "auto"
    NATIVE = "native"
    NUMPY = "numpy"
    TORCH = "torch"
    REFERENCE = "reference"


ModelName = Annotated[
    str | None, Option("--model", help="Name of a model (see models), or a path.")
]
BackendName = Annotated[
    Backend, Option("--backend", help="How to compute; the result is the same.")
]
Threads = Annotated[
    int, Option("--threads", minimum=0, maximum=MAX_THREADS, help="0 takes all cores.")
]
AllowInexact = Annotated[
    bool, Option("--allow-inexact", help="Run models that compute in float, too.")
]
Json = Annotated[bool, Option("--json", help="Results as one JSON document on stdout.")]
Quiet = Annotated[bool, Option("--quiet", help="Print nothing but errors.")]
MaxPixels = Annotated[int, Option("--max-pixels", minimum=1, help="Refuse larger images.")]
NoEmbedded = Annotated[
    bool, Option("--no-embedded-models", help="Take no model from the file that names it.")
]
SkipExisting = Annotated[
    bool, Option("--skip-existing", help="Leave out what has an output; to go on with.")
]
Force = Annotated[bool, Option("--force", help="Replace what exists.")]

Work = Callable[[str, str, Bar], tuple[dict[str, Any], str] | None]
"""From input, output and the bar to a result for machines and a line or more for people; None
where the output is there already."""


def each(
    pairs: Sequence[tuple[str, str]], work: Work, *, label: str, as_json: bool, quiet: bool
) -> int:
    """Do the same with several inputs; one that fails does not stop the others.

    Returns:
        The largest exit code.
    """
    tally, outputs = Tally(), any(target for _, target in pairs)
    results, worst = [], Code.OK
    silent = quiet or as_json or any(target == "-" for _, target in pairs)
    with Bar(label, len(pairs), quiet=quiet) as bar:
        for source, target in pairs:
            line = ""
            try:
                found = work(source, target, bar)
                if found is None:
                    result = {"input": source, "output": target, "left_out": True}
                    tally.left_out += 1
                else:
                    result, line = found
                    tally.add(source, target)
            except Exception as error:
                if isinstance(error, BrokenPipeError) and error.filename is None:
                    raise  # of standard output: nobody is there any more
                code, message = report(error, source)
                worst = max(worst, code)
                result = {"input": source, "error": message, "code": int(code)}
                tally.failed += 1
            except BaseException as error:
                if as_json:
                    ended = error.code if isinstance(error, SystemExit) else Code.INTERRUPTED
                    show_json({"files": results, "error": "interrupted", "code": ended})
                raise
            results.append(result)
            if line and not silent:
                lines.say(line)
            bar.advance()
            signals.stop_if_ended()
    if tally.left_out == len(pairs) and not quiet:
        complain("every output exists, nothing to do")
    elif len(pairs) > 1 and outputs and not silent:
        lines.say(tally.line(label))
    if as_json:
        show_json({"files": results, **({"summary": tally.facts()} if outputs else {})})
    return worst


class Tally:
    """What became of several inputs.

    Attributes:
        done: how many have an output now.
        left_out: how many had one already.
        failed: how many could not be worked on.
        read: bytes of the inputs that are done.
        written: bytes of their outputs.
    """

    def __init__(self) -> None:
        self.done = self.left_out = self.failed = self.read = self.written = 0
        self._start = time.perf_counter()

    def add(self, source: str, target: str) -> None:
        """Count an input that is done. What is no file has no size."""
        self.done += 1
        with contextlib.suppress(OSError):
            sizes = os.path.getsize(source), os.path.getsize(target)
            self.read, self.written = self.read + sizes[0], self.written + sizes[1]

    def line(self, label: str) -> str:
        """A line for people; ``label`` says what was going on ("encoding")."""
        verb = f"{label.removesuffix('ing')}ed"
        counts = [f"{self.done:,} {verb}"]
        counts += [f"{self.left_out:,} left out"] if self.left_out else []
        counts += [f"{self.failed:,} failed"]
        total = self.done + self.left_out + self.failed
        text = f"{total:,} files: {', '.join(counts)}"
        if self.read and self.written:
            share = 100 * self.written / self.read
            text += f"; {_size(self.read)} -> {_size(self.written)} ({share:.3g} %)"
        return f"{text}  {time.perf_counter() - self._start:.1f} s"

    def facts(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "done": self.done,
            "left_out": self.left_out,
            "failed": self.failed,
            "input_bytes": self.read,
            "output_bytes": self.written,
            "seconds": time.perf_counter() - self._start,
        }


def _size(count: int) -> str:
    """Bytes for people: three digits or more, and a unit."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 9999.5 or unit == "GB":
            break
        count = round(count / 1000)
    return f"{count:,} {unit}"
