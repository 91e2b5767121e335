"""Options that several verbs share, and the loop over several inputs."""

from __future__ import annotations

import contextlib
import enum
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from intact.cli import lines, signals
from intact.cli.errors import Code, complain, report
from intact.cli.io import show_json
from intact.cli.parallel import LARGE_PIXELS, LargeError, Outcome, Pool, can_fork, num_cores
from intact.cli.parser import Option
from intact.cli.progress import Bar
from intact.container.limits import MAX_THREADS


class Backend(enum.StrEnum):
    """How to compute; all give the same result."""

    AUTO = "auto"
    NATIVE = "native"
    NUMPY = "numpy"
    TORCH = "torch"
    ONNX = "onnx"
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


@dataclass(frozen=True)
class Task:
    """What working on one input needs.

    Attributes:
        bar: to say how far it is.
        threads: to compute with; 0 takes all cores.
        many: other inputs are worked on at the same time.
    """

    bar: Bar
    threads: int = 0
    many: bool = False

    def check(self, pixels: int | None) -> None:
        """Leave an image that is too large to be one of many to a later time.

        Raises:
            LargeError: it is.
        """
        if self.many and pixels is not None and pixels >= LARGE_PIXELS:
            raise LargeError


Work = Callable[[str, str, Task], tuple[dict[str, Any], str] | None]
"""From input, output and the task to a result for machines and a line or more for people; None
where the output is there already."""


def each(
    pairs: Sequence[tuple[str, str]],
    work: Work,
    *,
    label: str,
    as_json: bool,
    quiet: bool,
    threads: int = 1,
) -> int:
    """Do the same with several inputs; one that fails does not stop the others.

    Args:
        pairs: inputs and outputs.
        work: on one.
        label: what is going on ("encoding").
        as_json: print one document at the end, and nothing else to stdout.
        quiet: print nothing but errors.
        threads: in all; with many small images they are processes (`intact.cli.parallel`).

    Returns:
        The largest exit code.
    """
    tally, outputs = Tally(), any(target for _, target in pairs)
    results, worst = [], Code.OK
    silent = quiet or as_json or any(target == "-" for _, target in pairs)
    gathering = lines.gathered() if len(pairs) > 1 else contextlib.nullcontext()
    with gathering, Bar(label, len(pairs), quiet=quiet) as bar:
        try:
            for outcome in _outcomes(pairs, work, bar, threads):
                result, line = outcome["result"], outcome["line"]
                worst = max(worst, Code(result.get("code", Code.OK)))
                tally.count(result)
                results.append(result)
                if line and not silent:
                    lines.say(line)
                bar.advance()
                signals.stop_if_ended()
        except BaseException as error:
            if as_json and not isinstance(error, Exception):
                ended = error.code if isinstance(error, SystemExit) else Code.INTERRUPTED
                show_json({"files": results, "error": "interrupted", "code": ended})
            raise
    if tally.left_out == len(pairs) and not quiet:
        complain("every output exists, nothing to do")
    elif len(pairs) > 1 and outputs and not silent:
        lines.say(tally.line(f"{label.removesuffix('ing')}ed"))
    if as_json:
        show_json({"files": results, **({"summary": tally.facts()} if outputs else {})})
    return worst


def _outcomes(
    pairs: Sequence[tuple[str, str]], work: Work, bar: Bar, threads: int
) -> Iterator[Outcome]:
    """What becomes of the inputs, in order: "result" and "line" of each."""
    task, rest = Task(bar, threads), pairs[1:]
    for pair in pairs[:1]:  # loads the model, and proves it
        yield _outcome(pair, work, task)
    one_of_many = Task(Bar("", None, quiet=True), 1, many=True)
    with bar.paused():  # it has a thread, and a fork must find none
        processes = min(threads or num_cores(), len(rest)) if len(rest) > 1 and can_fork() else 0
        pool = Pool(
            processes if processes > 1 else 0,
            lambda number: _outcome(rest[number], work, one_of_many),
        )
    with contextlib.closing(pool):
        yield from pool.outcomes(len(rest), lambda number: _outcome(rest[number], work, task))


def _outcome(pair: tuple[str, str], work: Work, task: Task) -> Outcome:
    """Work on one input, and say on stderr what is wrong with it."""
    source, target = pair
    try:
        found = work(source, target, task)
    except LargeError:
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:
            raise  # of standard output: nobody is there any more
        code, message = report(error, source)
        return {"result": {"input": source, "error": message, "code": int(code)}, "line": ""}
    if found is None:
        result = {"input": source, "output": target, "left_out": True}
        return {"result": result, "line": ""}
    return {"result": found[0], "line": found[1]}


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

    def count(self, result: dict[str, Any]) -> None:
        """Count an input. What is no file has no size."""
        if "error" in result:
            self.failed += 1
        elif "left_out" in result:
            self.left_out += 1
        else:
            self.done += 1
            with contextlib.suppress(OSError, KeyError):
                sizes = os.path.getsize(result["input"]), os.path.getsize(result["output"])
                self.read, self.written = self.read + sizes[0], self.written + sizes[1]

    def line(self, done: str) -> str:
        """A line for people; ``done`` says what became of them ("encoded")."""
        counts = [f"{self.done:,} {done}"]
        counts += [f"{self.left_out:,} left out"] if self.left_out else []
        counts += [f"{self.failed:,} failed"]
        total = self.done + self.left_out + self.failed
        text = f"{total:,} files: {', '.join(counts)}"
        if self.read and self.written:
            percent = _digits(100 * self.written / self.read)
            text += f"; {_size(self.read)} -> {_size(self.written)} ({percent} %)"
        seconds = max(time.perf_counter() - self._start, 1e-6)
        rate = f", {_digits(self.done / seconds)}/s" if self.done else ""
        return f"{text}  {seconds:.1f} s{rate}"

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


def _digits(number: float) -> str:
    """Three digits, without an exponent where there are more."""
    return f"{number:.3g}" if number < 999.5 else f"{number:,.0f}"


def _size(count: int) -> str:
    """Bytes for people: three digits or more, and a unit."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 9999.5 or unit == "GB":
            break
        count = round(count / 1000)
    return f"{count:,} {unit}"
