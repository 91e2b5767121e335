"""The verbs, put together. Of their modules only the one that is asked for is loaded."""

from __future__ import annotations

import importlib
import os
from typing import cast

from intact import __version__
from intact.cli import lines, parser
from intact.cli.errors import MEANINGS, Code, UsageError, guarded, logged
from intact.errors import quoted

VERBS = (
    "encode",
    "decode",
    "info",
    "models",
    "verify",
    "view",
    "eval",
    "train",
    "freeze",
    "export",
    "pack",
    "unpack",
)
"""``intact VERB`` is the function VERB of the module `intact.cli.VERB`."""
EPILOG = "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()) + "."


def run(arguments: list[str]) -> int:
    """Parse and run one command; its exit code."""
    lines.begin()
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with logged():
        return guarded(lambda: _command(arguments), as_json="--json" in options)


def _command(arguments: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from intact.cli.completion import offer

        offer({name: _verb(name) for name in VERBS})
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "--version":
        print(f"intact {__version__}")
        return 0
    if name in ("", "-h", "--help"):
        print(_overview(), end="")
        return Code.OK if name else Code.USAGE
    if name.startswith("-"):
        raise UsageError(f"no such option: {quoted(name)} (see --help)")
    if name not in VERBS:
        raise UsageError(f"no such verb: {quoted(name)}; there are {', '.join(VERBS)}")
    verb = _verb(name)
    try:
        return parser.call(verb, rest)
    except parser.HelpAsked:
        print(parser.help_of(verb, name, EPILOG, min(lines.columns(), lines.WIDTH)), end="")
        return 0


def _verb(name: str) -> parser.Verb:
    return cast("parser.Verb", getattr(importlib.import_module(f"intact.cli.{name}"), name))


def _overview() -> str:
    import textwrap

    heads = {name: (_verb(name).__doc__ or "").partition("\n")[0] for name in VERBS}
    width = min(lines.columns(), lines.WIDTH)
    verbs = "\n".join(
        textwrap.fill(f"  {name:8}{head}", width, subsequent_indent=" " * 10)
        for name, head in heads.items()
    )
    about = "Learned compression that decodes to the same pixels on every machine."
    options = (
        "  -h, --help  Show this page, or with a verb that verb's.\n  --version   Show the version."
    )
    usage = "Usage: intact VERB [OPTIONS] ..."
    parts = [usage, about, f"Verbs:\n{verbs}", f"Options:\n{options}", textwrap.fill(EPILOG, width)]
    return "\n\n".join(parts) + "\n"
