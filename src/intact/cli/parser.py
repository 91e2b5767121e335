"""Command lines: a verb is a function, and the annotations of its parameters say how it is called.

    def look(
        files: Annotated[list[str], Argument("FILE", help="What to look at.")],
        depth: Annotated[int, Option("-d", "--depth", minimum=0, help="How deep.")] = 3,
    ) -> int:

`call` hands the arguments to argparse and calls the function; ``-h`` prints what the annotations
say. Not typer, which takes longer to load than a picture to decode (docs/decisions/0014).
"""

from __future__ import annotations

import argparse
import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints

from intact.cli.errors import UsageError
from intact.errors import quoted

Verb = Callable[..., int]


class HelpAsked(Exception):  # noqa: N818 - nothing is wrong
    """The arguments ask for help."""


class Option:
    """A parameter that is named on the command line.

    Args:
        names: ``-q`` and ``--quality``; by default made of the parameter's name.
        metavar: what the help calls its value.
        help: for people.
        minimum: of a number.
        maximum: of a number.
    """

    def __init__(
        self,
        *names: str,
        metavar: str = "",
        help: str = "",
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> None:
        self.names, self.metavar, self.help = names, metavar, help
        self.minimum, self.maximum = minimum, maximum


class Argument:
    """A parameter that is given by its place; a list takes all that is left.

    Args:
        metavar: what messages and the help call it.
        help: for people.
    """

    def __init__(self, metavar: str, *, help: str = "") -> None:
        self.metavar, self.help = metavar, help


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter of a verb.

    Attributes:
        name: in the function.
        declared: `Option` or `Argument`.
        kind: str, int, float, bool or an enumeration.
        many: it is a list.
        required: it has no default.
        default: if it has one.
    """

    name: str
    declared: Option | Argument
    kind: Any
    many: bool
    required: bool
    default: Any

    @property
    def names(self) -> tuple[str, ...]:
        """How an option is spelled."""
        assert isinstance(self.declared, Option)
        return self.declared.names or (f"--{self.name.replace('_', '-')}",)

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.declared.metavar if isinstance(self.declared, Argument) else self.names[-1]

    @property
    def metavar(self) -> str:
        """What the help calls its value; empty for a flag."""
        if self.declared.metavar or self.kind is bool:
            return self.declared.metavar
        if issubclass(self.kind, enum.Enum):
            return "|".join(item.value for item in self.kind)
        return {int: "INTEGER", float: "NUMBER"}.get(self.kind, "TEXT")

    def value(self, text: str) -> Any:
        """Read a value.

        Raises:
            argparse.ArgumentTypeError: it is not of the kind, out of range, or empty.
        """
        what = f"invalid value {quoted(text)}:"
        if not text:  # of a shell's variable that is not set; as a path it would be this folder
            raise argparse.ArgumentTypeError(f"{what} it is empty")
        if issubclass(self.kind, enum.Enum):
            legal = [item.value for item in self.kind]
            if text not in legal:
                raise argparse.ArgumentTypeError(f"{what} not one of {', '.join(legal)}")
            return self.kind(text)
        try:
            value = self.kind(text)
        except ValueError:
            kind = {int: "an integer", float: "a number"}[self.kind]
            raise argparse.ArgumentTypeError(f"{what} not {kind}") from None
        if isinstance(self.declared, Option) and self.kind is not str:
            low, high = self.declared.minimum, self.declared.maximum
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                raise argparse.ArgumentTypeError(f"{what} not in {_range(self.declared)}")
            if not math.isfinite(value):
                raise argparse.ArgumentTypeError(f"{what} not a finite number")
        return value


def _range(declared: Option) -> str:
    low, high = declared.minimum, declared.maximum
    return f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def parameters(verb: Verb) -> list[Parameter]:
    """The parameters of a verb, in order."""
    hints = get_type_hints(verb, include_extras=True)
    code, defaults = verb.__code__, verb.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    first = len(names) - len(defaults)
    found = []
    for index, name in enumerate(names):
        assert get_origin(hints[name]) is Annotated, f"{verb.__name__}: {name} is not declared"
        hint, declared = get_args(hints[name])[:2]
        if get_origin(hint) in (Union, UnionType):  # X | None
            [hint] = [item for item in get_args(hint) if item is not NoneType]
        many = get_origin(hint) is list
        kind = get_args(hint)[0] if many else hint
        default = defaults[index - first] if index >= first else None
        found.append(Parameter(name, declared, kind, many, index < first, default))
    return found


def call(verb: Verb, arguments: list[str]) -> int:
    """Parse arguments and call a verb; its exit code.

    Raises:
        HelpAsked: ``-h`` or ``--help`` is among them.
        UsageError: they are not what the verb takes.
    """
    return verb(**parse(parameters(verb), arguments))


class _Parser(argparse.ArgumentParser):
    """Whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


class _Help(argparse.Action):
    def __call__(self, *_: Any) -> NoReturn:
        raise HelpAsked


def options_of(known: list[Parameter], **texts: Any) -> argparse.ArgumentParser:
    """An argparse parser of the options; what is no option goes into ``words``."""
    made = _Parser(add_help=False, allow_abbrev=False, **texts)
    places = [item for item in known if isinstance(item.declared, Argument)]
    label = " ".join(f"{item.label}{'...' if item.many else ''}" for item in places)
    about = "; ".join(item.declared.help for item in places if item.declared.help)
    if places:
        made.add_argument("words", metavar=label, nargs="*", help=about)
    for item in known:
        if not isinstance(item.declared, Option):
            continue
        settings: dict[str, Any] = {"action": "store_true"}
        if item.kind is not bool:
            action = "append" if item.many else "store"
            settings = {"action": action, "type": item.value, "metavar": item.metavar}
        settings |= {"dest": item.name, "default": argparse.SUPPRESS, "required": item.required}
        made.add_argument(*item.names, help=_described(item), **settings)
    none = {"dest": argparse.SUPPRESS, "default": argparse.SUPPRESS, "nargs": 0}
    made.add_argument("-h", "--help", action=_Help, help="Show this page.", **none)
    return made


def _described(item: Parameter) -> str:
    """An option's help with its range and default; argparse would take a % for its own."""
    declared, notes = item.declared, []
    if isinstance(declared, Option) and declared.minimum is not None:
        notes.append(_range(declared))
    if item.required:
        notes.append("required")
    elif item.default is not None and item.kind is not bool and "[" not in declared.help:
        default = item.default.value if isinstance(item.default, enum.Enum) else item.default
        notes.append(f"default {default}")
    note = f"[{', '.join(notes)}]" if notes else ""
    return f"{declared.help} {note}".strip().replace("%", "%%")


def parse(known: list[Parameter], arguments: list[str]) -> dict[str, Any]:
    """The values of all parameters.

    Options may stand anywhere: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``; after
    ``--`` there are none. Of an option that is repeated the last one counts, or it is a list.

    Raises:
        HelpAsked: ``-h`` or ``--help`` is among them.
        UsageError: they are not what the parameters declare.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = vars(options_of(known).parse_intermixed_args(arguments[:end]))
    words = [*given.pop("words", []), *arguments[end + 1 :]]
    for item in known:
        if isinstance(item.declared, Argument) and words:
            taken, words = (words, []) if item.many else (words[:1], words[1:])
            try:
                values = [item.value(text) for text in taken]
            except argparse.ArgumentTypeError as error:
                raise UsageError(f"argument {item.label}: {error} (see --help)") from None
            given[item.name] = values if item.many else values[0]
        elif isinstance(item.declared, Argument) and item.required:
            raise UsageError(f"missing argument {item.label} (see --help)")
    if words:
        raise UsageError(f"unexpected argument {quoted(words[0])} (see --help)")
    return {item.name: item.default for item in known} | given


def help_of(verb: Verb, name: str, epilog: str, columns: int) -> str:
    """The page that ``-h`` prints."""
    import textwrap

    known = parameters(verb)
    head, _, body = (verb.__doc__ or "").partition("\n")
    paragraphs = [" ".join(text.split()) for text in textwrap.dedent(body).split("\n\n")]
    about = [textwrap.fill(text, columns) for text in (head, *paragraphs) if text.strip()]
    places = [item for item in known if isinstance(item.declared, Argument)]
    usage = [f"{item.label}{'...' if item.many else ''}" for item in places]
    usage = [
        text if item.required else f"[{text}]" for item, text in zip(places, usage, strict=True)
    ]

    def formatter(prog: str) -> argparse.HelpFormatter:
        return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=columns)

    return options_of(
        known,
        prog=f"intact {name}",
        usage=f"intact {name} [OPTIONS] {' '.join(usage)}".rstrip(),
        description="\n\n".join(about),
        epilog=textwrap.fill(epilog, columns),
        formatter_class=formatter,
    ).format_help()
