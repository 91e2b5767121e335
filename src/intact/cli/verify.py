"""``intact verify``: what computes on this machine, is it exact, and are these files intact?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    Threads,
)
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar
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
    with _only_exact():
        verdict = examine(load_model(model), threads, quiet=quiet)
    if not silent:
        lines.say("\n".join(verdict.lines()))
    worst = Code.OK
    for entry in verdict.not_exact:
        complain(f"backend {entry.name} is not exact, and not used: {entry.reason}")
        worst = Code.NOT_EXACT if strict else worst
    exact = [entry.name for entry in verdict.backends if entry.exact and entry.name != "reference"]
    chosen = exact if all_backends else [backend.value]
    options = {
        "model": model,
        "threads": threads,
        "max_pixels": max_pixels,
        "embedded_models": not no_embedded_models,
    }
    results = []
    with Bar("verifying", len(names), quiet=quiet) as bar:
        for name in names:
            bar.note(name)
            result, code = check(name, chosen, options, strict=strict)
            results.append(result)
            worst = max(worst, code)
            if result["intact"] and not silent:
                by = "" if chosen == ["auto"] else f" with {', '.join(result['decoded_with'])}"
                print(f"{printable(name)}  intact{by}")
            bar.advance()
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


def check(
    name: str, backends: list[str], options: dict[str, Any], *, strict: bool
) -> tuple[dict[str, Any], Code]:
    """Decode one file with each backend: the result and an exit code.

    Args:
        name: of the file.
        backends: to ask for.
        options: of `decode`.
        strict: another backend that had to take one's place makes the file not intact.
    """
    result: dict[str, Any] = {"input": name, "intact": False, "backends": backends}
    try:
        data = read(name)
        with _only_exact():
            used = [_decode(data, backend, options, strict=strict) for backend in backends]
    except Exception as error:
        code, message = report(error, name)
        return {**result, "error": message, "code": int(code)}, code
    return {**result, "intact": True, "decoded_with": used}, Code.OK


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
