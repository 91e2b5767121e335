"""What a shell offers after the Tab key, with the package argcomplete: see docs/cli.md."""

from __future__ import annotations

import argparse

import argcomplete

from intact.cli import parser


def offer(verbs: dict[str, parser.Verb]) -> None:
    """Answer the shell, which has set ``_ARGCOMPLETE``, and end the process."""
    everything = argparse.ArgumentParser("intact", allow_abbrev=False)
    everything.add_argument("--version", action="store_true")
    names = everything.add_subparsers()
    for name, verb in verbs.items():
        options = parser.options_of(parser.parameters(verb))
        names.add_parser(name, parents=[options], add_help=False, allow_abbrev=False)
    argcomplete.autocomplete(everything)
