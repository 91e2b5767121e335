"""``intact verify``: what computes on this machine, is it exact, and are these files intact?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from intact.cli import lines
from intact.cli.errors import Code, complain, printable, report
from intact.cli.io import SUFFIX, files_in, read, show_json
from intact.cli.options import (
    Backend,
    BackendName,
    Json,
    MaxPixels,
    ModelName,
    NoEmbedded,
    Quiet,
    Tally,
    Threads,
)
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar
from intact.cli.streams import is_stream
from intact.container.limits import MAX_PIXELS
from intact.errors import InexactError, UnsupportedError

if TYPE_CHECKING:
    from intact.intnet.backends.choose import Name


def verify(
    files: Annotated[
        list[str] | None, Argument("FILE", help="Files or folders; - is stdin.")
    ] = None,
    model: ModelName = None,
    all_backends: Annotated[
        bool, Option("--all-backends", help="Decode with every exact backend.")
    ] = False,
    backend: BackendName = Backend.AUTO,
    strict: Annotated[
        bool, Option("--strict", help="Exit code 7 where any backend here is not exact.")
    ] = False,
    threads: Threads = 0,
    max_pixels: MaxPixels = MAX_PIXELS,
    no_embedded_models: NoEmbedded = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say what computes on this machine and how fast, and check that files decode as they should.

    The exit code is 0 where the files decode to the right pixels here, whoever computed them.
    """
    from intact.cli.machine import examine
    from intact.codec.store import load_model

    silent = as_json or quiet
    names = [name for name, _ in files_in(files or [], [SUFFIX])]
    inputs = []
    with Bar("reading", len(names), quiet=quiet) as bar:
        for name in names:
            bar.note(name)
            inputs.append(look(name, max_pixels))
            bar.advance()
    worst = max((found.code for found in inputs), default=Code.OK)
    if quiet and not as_json and not strict and names and all(found.code for found in inputs):
        return worst  # nobody hears what computes here, and there is nothing to decode
    with _only_exact():
        verdict = examine(load_model(model), threads, quiet=quiet, timed=as_json or not quiet)
    if not silent:
        lines.say("\n".join(verdict.lines()))
    for entry in verdict.not_exact:
        complain(f"backend {entry.name} is not exact, and not used: {entry.reason}")
        worst = max(worst, Code.NOT_EXACT) if strict else worst
    exact = [entry.name for entry in verdict.backends if entry.exact and entry.name != "reference"]
    chosen = exact if all_backends else [backend.value]
    options = {
        "model": model,
        "threads": threads,
        "max_pixels": max_pixels,
        "embedded_models": not no_embedded_models,
    }
    results, tally = [], Tally()
    with Bar("verifying", len(names), quiet=quiet) as bar:
        for found in inputs:
            bar.note(found.name)
            result = check(found, chosen, options, strict=strict)
            results.append(result)
            tally.count(result)
            worst = max(worst, Code(result.get("code", Code.OK)))
            if result["intact"] and not silent:
                by = "" if chosen == ["auto"] else f" with {', '.join(result['decoded_with'])}"
                print(f"{printable(found.name)}  intact{by}")
            bar.advance()
    if len(names) > 1 and not silent:
        lines.say(tally.line("intact"))
    if as_json:
        show_json({**verdict.facts(), "files": results})
    return worst


@contextmanager
def _only_exact() -> Iterator[None]:
    """There is no flag here for what is not exact: there is nothing to verify."""
    try:
        yield
    except InexactError as error:
        about = "it computes in float: no machine can say that its pixels are right"
        raise UnsupportedError(f"not exact: {about}") from error


@dataclass(frozen=True)
class Input:
    """A file before it is decoded.

    Attributes:
        name: of the file.
        code: an exit code; `Code.OK` where its container is sound.
        error: what is wrong with it.
        data: of what can be read once only (a pipe); others are read again: all would not fit.
    """

    name: str
    code: Code = Code.OK
    error: str = ""
    data: bytes | None = None


def look(name: str, max_pixels: int) -> Input:
    """Test the checksums of a file's bytes, which takes next to no time; say what is wrong."""
    from intact.container.image_file import unpack_image

    try:
        data = read(name)
        unpack_image(data, max_pixels=max_pixels)
    except Exception as error:
        return Input(name, *report(error, name))
    return Input(name, data=data if is_stream(name) else None)


def check(
    found: Input, backends: list[str], options: dict[str, Any], *, strict: bool
) -> dict[str, Any]:
    """Decode one file with each backend; the result has a code where that does not go well.

    Args:
        found: the file.
        backends: to ask for.
        options: of `decode`.
        strict: another backend that had to take one's place makes the file not intact.
    """
    result: dict[str, Any] = {"input": found.name, "intact": False, "backends": backends}
    if found.code:
        return {**result, "error": found.error, "code": int(found.code)}
    try:
        data = read(found.name) if found.data is None else found.data
        with _only_exact():
            used = [_decode(data, backend, options, strict=strict) for backend in backends]
    except Exception as error:
        code, message = report(error, found.name)
        return {**result, "error": message, "code": int(code)}
    return {**result, "intact": True, "decoded_with": used}


def _decode(data: bytes, backend: str, options: dict[str, Any], *, strict: bool) -> str:
    """Decode and check the pixels; the name of the backend that came to them.

    Raises:
        NotExactError: the file is intact, but not thanks to the backend asked for, and we are
            strict.
    """
    from intact.codec.image import decode, model_of
    from intact.container.image_file import unpack_image
    from intact.errors import NotExactError
    from intact.intnet.backends import choose

    decode(data, backend=backend, **options)
    file = unpack_image(data, max_pixels=options["max_pixels"])
    model = model_of(file, options["model"])  # which `decode` has taken, too
    programs = [model.programs[role] for role in model.decoding]
    used = choose.choose(programs, file.header.num_pixels, cast("Name", backend)).name
    if strict and backend not in ("auto", used):
        proofs = [choose.prove(cast("Name", backend), program) for program in programs]
        reasons = [proof.reason for proof in proofs if not proof.ok]
        raise NotExactError(f"backend {backend}: {', '.join(reasons[:1]) or 'was refused'}")
    return used
