"""What a shell offers after the Tab key, with the package argcomplete: see docs/cli.md."""

from __future__ import annotations

import argparse
import enum

import argcomplete
from argcomplete.completers import ChoicesCompleter, FilesCompleter

from intact.cli import parser
from intact.codec.store import SUFFIX, model_files


def _models(prefix: str, **_: object) -> list[str]:
    """Names of the models that are found, and model files under a path begun."""
    files = FilesCompleter(allowednames=(SUFFIX[1:],))(prefix)
    return [*dict.fromkeys(path.stem for path in model_files()), *files]


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
            elif action.dest == "model" or str(action.metavar).startswith("MODEL"):
                vars(action)["completer"] = _models
        names.add_parser(name, parents=[options], add_help=False, allow_abbrev=False)
    argcomplete.autocomplete(everything)
