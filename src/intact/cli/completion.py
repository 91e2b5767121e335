"""What a shell offers after the Tab key, with the package argcomplete: see docs/cli.md."""

from __future__ import annotations

import argparse
import enum

import argcomplete
from argcomplete.completers import ChoicesCompleter

from intact.cli import parser


def offer(verbs: dict[str, parser.Verb]) -> None:
    """Answer the shell, which has set ``_ARGCOMPLETE``, and end the process."""
    everything = argparse.ArgumentParser("intact", allow_abbrev=False)
    everything.add_argument("--version", action="store_true")
    names = everything.add_subparsers()
    for name, verb in verbs.items():
        known = parser.parameters(verb)
        options = parser.options_of(known)
        choices = {item.name: list(item.kind) for item in known if issubclass(item.kind, enum.Enum)}
        for action in options._actions:
            if action.dest in choices:  # a completer is an attribute that argcomplete looks for
                values = {item.value: "" for item in choices[action.dest]}
                vars(action)["completer"] = ChoicesCompleter(values)
        names.add_parser(name, parents=[options], add_help=False, allow_abbrev=False)
    argcomplete.autocomplete(everything)
