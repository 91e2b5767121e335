"""``intact models``: which models are here, and the proof that they cannot overflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from intact.cli import lines
from intact.cli.errors import Code, complain, printable, report
from intact.cli.install import install
from intact.cli.io import show_json
from intact.cli.options import Force, Json, Quiet
from intact.cli.parser import Argument, Option

if TYPE_CHECKING:
    from intact.codec.model import Model


def models(
    names: Annotated[
        list[str] | None,
        Argument("MODEL", help="Names or paths [all]; or: install FILE..."),
    ] = None,
    certificate: Annotated[
        str | None,
        Option(metavar="MODEL", help="Print a model's proven bounds, layer by layer."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """List the models that are installed, or that are named.

    intact models install FILE... puts model files where they are found by name.
    """
    from intact.codec import store

    if names and names[0] == "install":
        install(names[1:], force=force, as_json=as_json, quiet=quiet)
        return Code.OK
    if certificate is not None:
        _certificate(store.load_model(certificate), as_json=as_json)
        return Code.OK
    wanted = names or [str(path) for path in store.model_files()]
    results, worst = [], Code.OK
    for name in wanted:
        try:
            path = store.model_path(name)
            facts = describe(store.read_model(path), path)
        except Exception as error:
            code, message = report(error, name)
            worst = max(worst, code)
            facts = {"path": name, "error": message, "code": int(code)}
        results.append(facts)
        if not as_json and "error" not in facts:
            lines.say(_text(facts))
    if as_json:
        show_json({"models": results})
    elif not wanted:
        complain(f"no models in {', '.join(map(str, store.search_path()))}")
    return worst


def _certificate(model: Model, *, as_json: bool) -> None:
    proofs = model.certificates
    if as_json:
        show_json({"model": model.name, "programs": [c.to_dict() for c in proofs.values()]})
        return
    print(f"{printable(model.name)} {model.id.hex()}\n")
    text = "\n".join(proof.text() for proof in proofs.values())
    print("\n".join(map(printable, text.split("\n"))), end="")


def describe(model: Model, path: Path) -> dict[str, Any]:
    """The facts of a model: ``name`` is what ``--model`` takes, ``title`` what it calls itself."""
    from intact import models as shipped
    from intact.codec import store
    from intact.intnet.cost import cost

    costs = {role: cost(model.programs[role.name]).per_pixel(role.px) for role in model.roles}
    macs = sum(found.macs for role, found in costs.items() if role.decoding)
    return {
        "name": path.stem,
        "default": path.stem == store.DEFAULT,
        "title": model.name,
        "id": model.id.hex(),
        "path": str(path),
        "bytes": path.stat().st_size,
        "levels": len(model.levels),
        "parameters": sum(found.parameters for found in costs.values()),
        "decoder_macs_per_pixel": round(float(macs)),
        "latents": model.channels.get("M"),
        "hyper_latents": model.channels.get("N", 0),
        "profile": model.bottleneck.profile,
        "room_bits": min(
            (row.room_bits for c in model.certificates.values() for row in c.rows), default=None
        ),
        "history": shipped.HISTORIES.get(model.id.hex(), ""),
        "info": dict(model.info),
    }


def _told(facts: dict[str, Any]) -> list[str]:
    """What is known of the training; what a model says of it itself is the last leg's."""
    said = [f"{lines.cut(key)}: {lines.cut(value)}" for key, value in facts["info"].items()]
    if not facts["history"]:
        return [f"  {line}" for line in said]
    told = [f"  training: {facts['history']}"]
    return (
        told + ["  its last leg, as the file says:"] * bool(said) + [f"    {line}" for line in said]
    )


def _text(facts: dict[str, Any]) -> str:
    title = "" if facts["title"] == facts["name"] else f"  ({lines.cut(facts['title'])})"
    exact, levels = facts["profile"] == "exact", facts["levels"]
    size = f"{levels} level{'s' * (levels != 1)}, {facts['parameters']:,} parameters"
    macs = f", decoder {facts['decoder_macs_per_pixel'] / 1000:.1f} kMAC per pixel"
    text = [
        f"{facts['name']}{title}  {facts['id']}" + "  the default" * facts["default"],
        f"  {facts['path']}  {facts['bytes']:,} bytes",
        f"  {size}{macs if exact else ' in integers, others in float'}",
        f"  exact: all sums proven to fit 32 bits ({facts['room_bits']} bits of room)"
        if exact
        else f"  not exact: profile {facts['profile']}, needs --allow-inexact",
        *_told(facts),
    ]
    return "\n".join(map(printable, text))
