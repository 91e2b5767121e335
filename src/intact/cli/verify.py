"""``intact verify``: is this machine exact, and are these files intact?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from intact.cli.errors import Code, complain, printable, report
from intact.cli.io import SUFFIX, files_in, read, show_json
from intact.cli.options import Backend, BackendName, Json, ModelName, Quiet, Threads
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar

if TYPE_CHECKING:
    import numpy as np

    from intact.codec.model import Model
    from intact.intnet.backends.choose import Name

ABSENT = {"native": "not built: there was no C compiler when this was installed"}


def verify(
    files: Annotated[
        list[str] | None, Argument("FILE", help="Files or folders; - is stdin.")
    ] = None,
    model: ModelName = None,
    all_backends: Annotated[
        bool,
        Option("--all-backends", help="Decode with every exact backend."),
    ] = False,
    backend: BackendName = Backend.AUTO,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Prove the backends of this machine, and check that files decode to their own pixels."""
    from intact.codec.store import load_model

    names = [name for name, _ in files_in(files or [], [SUFFIX])]
    backends = prove_backends(load_model(model), quiet=quiet)
    for entry in backends:
        if not as_json and not quiet:
            state = "exact" if entry["exact"] else entry["reason"]
            print(f"{entry['name']:10} {state}")
    exact = [entry["name"] for entry in backends if entry["exact"]]
    worst = Code.OK
    for entry in backends:
        if entry["available"] and not entry["exact"]:
            worst = Code.NOT_EXACT
            complain(f"backend {entry['name']} is not exact: {entry['reason']}")
    chosen = [n for n in exact if n != "reference"] if all_backends else [backend.value]
    results = []
    with Bar("verifying", len(names), quiet=quiet) as bar:
        for name in names:
            bar.note(name)
            result, code = check(name, chosen, model, threads)
            results.append(result)
            worst = max(worst, code)
            if result["intact"] and not as_json and not quiet:
                by = "" if chosen == ["auto"] else f" with {', '.join(chosen)}"
                print(f"{printable(name)}  intact{by}")
            bar.advance()
    if as_json:
        show_json({"backends": backends, "files": results})
    return worst


def prove_backends(model: Model, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Try every backend on a model's programs: name, available, exact, reason."""
    from intact.intnet.backends import choose

    present = choose.available()
    found = []
    with Bar("proving", len(choose.NAMES), quiet=quiet) as bar:
        for name in choose.NAMES:
            bar.note(name)
            reason = "" if name in present else ABSENT.get(name, "not installed")
            if not reason:
                proofs = (choose.prove(name, program) for program in model.programs.values())
                reason = next((proof.reason for proof in proofs if not proof.ok), "")
            found.append(
                {
                    "name": name,
                    "available": name in present,
                    "exact": not reason,
                    "reason": reason or ("by definition" if name == "reference" else "proven"),
                }
            )
            bar.advance()
    return found


def check(
    name: str, backends: list[str], override: str | None, threads: int
) -> tuple[dict[str, Any], Code]:
    """Decode one file with each backend: the result and an exit code."""
    result: dict[str, Any] = {"input": name, "intact": False, "backends": backends}
    try:
        data = read(name)
        for backend in backends:
            _decode(data, override, backend, threads)
    except Exception as error:
        code, message = report(error, name)
        return {**result, "error": message, "code": int(code)}, code
    return {**result, "intact": True}, Code.OK


def _decode(data: bytes, override: str | None, backend: str, threads: int) -> np.ndarray:
    """Decode and check the pixels; a backend that needs the reference's help is not exact.

    Raises:
        NotExactError: the file is intact, but not thanks to this backend.
    """
    from intact.codec.image import decode, model_of
    from intact.container.image_file import unpack_image
    from intact.errors import NotExactError
    from intact.intnet.backends import choose

    decoded = decode(data, model=override, backend=backend, threads=threads)
    if backend != "auto":
        model = model_of(unpack_image(data), override)
        for program in model.programs.values():
            proof = choose.prove(cast("Name", backend), program)
            if not proof.ok:
                raise NotExactError(f"backend {backend}: {proof.reason}")
    return decoded.pixels
