"""Options that several verbs share, and the loop over several inputs."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from intact.cli.errors import Code, complain, printable, report
from intact.cli.io import show_json
from intact.cli.progress import Bar


class Backend(str, enum.Enum):  # noqa: UP042 - typer shows the values of str enums
    """How to compute; all give the same result."""

    AUTO = "auto"
    NATIVE = "native"
    NUMPY = "numpy"
    TORCH = "torch"
    REFERENCE = "reference"


ModelName = Annotated[
    str | None, typer.Option("--model", help="Name of a model (see models), or a path.")
]
BackendName = Annotated[
    Backend, typer.Option("--backend", help="How to compute; the result is the same.")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="0 takes all cores.")]
Json = Annotated[bool, typer.Option("--json", help="Results as one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out what has an output; to go on with.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]

Work = Callable[[str, str, Bar], tuple[dict[str, Any], str]]
"""From input, output and the bar to a result for machines and a line or more for people."""


def each(
    pairs: Sequence[tuple[str, str]], work: Work, *, label: str, as_json: bool, quiet: bool
) -> int:
    """Do the same with several inputs; one that fails does not stop the others.

    Returns:
        The largest exit code.
    """
    if not pairs and not quiet:
        complain("every output exists, nothing to do")
    results, worst = [], Code.OK
    silent = quiet or as_json or any(target == "-" for _, target in pairs)
    with Bar(label, len(pairs), quiet=quiet) as bar:
        for source, target in pairs:
            try:
                result, line = work(source, target, bar)
            except BrokenPipeError:
                raise
            except Exception as error:
                code, message = report(error, source)
                worst = max(worst, code)
                result, line = {"input": source, "error": message, "code": int(code)}, ""
            results.append(result)
            if line and not silent:
                print("\n".join(map(printable, line.split("\n"))), flush=True)
            bar.advance()
    if as_json:
        show_json({"files": results})
    return worst
