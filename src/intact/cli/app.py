"""The verbs, put together. Loads typer and nothing that computes."""

from __future__ import annotations

from typing import Annotated

import typer

from intact import __version__
from intact.cli import lines
from intact.cli.decode import decode
from intact.cli.encode import encode
from intact.cli.errors import MEANINGS, guarded, logged
from intact.cli.freeze import freeze
from intact.cli.info import info
from intact.cli.models import models
from intact.cli.train import train
from intact.cli.verify import verify

EPILOG = "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items())

app = typer.Typer(
    name="intact",
    help="Learned compression that decodes to the same pixels on every machine.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for verb in (encode, decode, info, models, verify, train, freeze):
    app.command(epilog=EPILOG)(verb)


def _version(value: bool) -> None:
    if value:
        print(f"intact {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and leave.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Parse and run one command; its exit code."""
    lines.begin()
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with logged():
        return guarded(
            lambda: app(arguments, prog_name="intact", standalone_mode=False),
            as_json="--json" in options,
        )
