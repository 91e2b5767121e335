"""Command lines: a verb is a function, and the annotations of its parameters say how it is called.

    def look(
        files: Annotated[list[str], Argument("FILE", help="What to look at.")],
        depth: Annotated[int, Option("-d", "--depth", minimum=0, help="How deep.")] = 3,
    ) -> int:

`call` parses the arguments and calls the function; ``-h`` prints what the annotations say. Written
for us because a parser from a package took longer to load than a picture to decode.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from intact.cli.errors import UsageError
from intact.errors import quoted

WIDEST = 30
"""Columns for names in the help; longer ones stand above their text."""
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
            UsageError: it is not of the kind, or out of range.
        """
        what = f"invalid value for {self.label}: {quoted(text)}"
        if issubclass(self.kind, enum.Enum):
            legal = [item.value for item in self.kind]
            if text not in legal:
                raise UsageError(f"{what} is not one of {', '.join(legal)} (see --help)")
            return self.kind(text)
        try:
            value = self.kind(text)
        except ValueError:
            kind = {int: "an integer", float: "a number"}[self.kind]
            raise UsageError(f"{what} is not {kind} (see --help)") from None
        if isinstance(self.declared, Option) and self.kind is not str:
            low, high = self.declared.minimum, self.declared.maximum
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                raise UsageError(f"{what} is not in {_range(self.declared)} (see --help)")
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


def parse(known: list[Parameter], arguments: list[str]) -> dict[str, Any]:
    """The values of all parameters.

    Options may stand anywhere: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``; after
    ``--`` there are none. Of an option that is repeated the last one counts, or it is a list.

    Raises:
        HelpAsked: ``-h`` or ``--help`` is among them.
        UsageError: they are not what the parameters declare.
    """
    spelled = {
        name: item for item in known if isinstance(item.declared, Option) for name in item.names
    }
    given: dict[str, list[Any]] = {}
    places: list[str] = []
    for name, value in _options(arguments, spelled):
        if name is None:
            places.append(value)
        else:
            item = spelled[name]
            value = True if item.kind is bool else item.value(value)
            given.setdefault(item.name, []).append(value)
    for item in known:
        if isinstance(item.declared, Argument) and places:
            taken, places = (places, []) if item.many else (places[:1], places[1:])
            given[item.name] = [item.value(text) for text in taken]
    if places:
        raise UsageError(f"unexpected argument {quoted(places[0])} (see --help)")
    values = {}
    for item in known:
        if item.name in given:
            values[item.name] = given[item.name] if item.many else given[item.name][-1]
        elif item.required:
            kind = "argument" if isinstance(item.declared, Argument) else "option"
            raise UsageError(f"missing {kind} {item.label} (see --help)")
        else:
            values[item.name] = item.default
    return values


def _options(
    arguments: list[str], spelled: dict[str, Parameter]
) -> Iterator[tuple[str | None, str]]:
    """Pairs of an option's name and its value; of None and a word for what is no option."""
    words = iter(arguments)
    for word in words:
        if word == "--":
            yield from ((None, rest) for rest in words)
            return
        if not word.startswith("-") or word == "-":
            yield None, word
            continue
        if word.startswith("--"):
            name, is_joined, value = word.partition("=")
        else:
            name, is_joined, value = word[:2], word[2:], word[2:]
        if name in ("-h", "--help"):
            raise HelpAsked
        if name not in spelled:
            raise UsageError(f"no such option: {quoted(name)} (see --help)")
        if spelled[name].kind is bool:
            if is_joined:
                raise UsageError(f"{name} takes no value (see --help)")
        elif not is_joined:
            try:
                value = next(words)
            except StopIteration:
                raise UsageError(f"{name} needs a value (see --help)") from None
        yield name, value


def help_of(verb: Verb, name: str, epilog: str, columns: int) -> str:
    """The page that ``-h`` prints."""
    import textwrap

    known = parameters(verb)
    places = [item for item in known if isinstance(item.declared, Argument)]
    usage = [f"{item.metavar}{'...' if item.many else ''}" for item in places]
    usage = [
        text if item.required else f"[{text}]" for item, text in zip(places, usage, strict=True)
    ]
    rows = [(item.metavar, item.declared.help) for item in places], _option_rows(known)
    width = max(len(left) for part in rows for left, _ in part if len(left) <= WIDEST)
    head, _, body = (verb.__doc__ or "").partition("\n")
    pieces = [f"Usage: intact {name} [OPTIONS] {' '.join(usage)}".rstrip(), head]
    pieces += [" ".join(text.split()) for text in textwrap.dedent(body).split("\n\n")]
    wrapped = [textwrap.fill(text, columns) for text in pieces if text.strip()]
    for title, part in zip(("Arguments:", "Options:"), rows, strict=True):
        if part:
            lines = [_row(left, right, width, columns) for left, right in part]
            wrapped.append("\n".join([title, *lines]))
    return "\n\n".join([*wrapped, textwrap.fill(epilog, columns)]) + "\n"


def _option_rows(known: list[Parameter]) -> list[tuple[str, str]]:
    rows = []
    for item in known:
        if not isinstance(item.declared, Option):
            continue
        notes = [] if item.declared.minimum is None else [_range(item.declared)]
        if item.required:
            notes.append("required")
        elif item.default is not None and item.kind is not bool and "[" not in item.declared.help:
            default = item.default.value if isinstance(item.default, enum.Enum) else item.default
            notes.append(f"default {default}")
        note = f"[{', '.join(notes)}]" if notes else ""
        left = " ".join([", ".join(item.names), item.metavar]).rstrip()
        rows.append((left, f"{item.declared.help} {note}".strip()))
    return [*rows, ("-h, --help", "Show this page.")]


def _row(left: str, right: str, width: int, columns: int) -> str:
    """One line of the help: what is wider than its column stands above the text."""
    import textwrap

    indent = " " * (width + 4)
    text = textwrap.fill(right, columns, initial_indent=indent, subsequent_indent=indent)
    if len(left) > width:
        return f"  {left}\n{text}".rstrip()
    return f"  {left:{width}}  {text.lstrip()}".rstrip()
