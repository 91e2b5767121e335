"""Arguments become what a verb's annotations say, or one line that names what is wrong."""

from __future__ import annotations

import enum
import subprocess
import sys
from typing import Annotated

import pytest

from intact.cli import parser
from intact.cli.errors import UsageError
from intact.cli.parser import Argument, Option


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


def verb(
    names: Annotated[list[str], Argument("NAME", help="What.")],
    depth: Annotated[int | None, Option("-d", "--depth", minimum=0, maximum=9)] = None,
    weight_of: Annotated[float, Option(help="How much.")] = 0.5,
    color: Annotated[Color, Option("--color")] = Color.RED,
    tags: Annotated[list[str] | None, Option("--set", metavar="K=V")] = None,
    loud: Annotated[bool, Option("--loud")] = False,
) -> int:
    """Look at things.

    More of
    it.
    """
    return 0


def parse(*arguments):
    return parser.parse(parser.parameters(verb), list(arguments))


def test_defaults_stand_where_nothing_is_given():
    assert parse("a") == {
        "names": ["a"], "depth": None, "weight_of": 0.5, "color": Color.RED, "tags": None,
        "loud": False,
    }  # fmt: skip


@pytest.mark.parametrize("depth", [["-d", "3"], ["-d3"], ["--depth", "3"], ["--depth=3"]])
def test_an_option_has_four_spellings_and_stands_anywhere(depth):
    for arguments in ([*depth, "a", "b"], ["a", *depth, "b"], ["a", "b", *depth]):
        found = parse(*arguments)
        assert (found["names"], found["depth"]) == (["a", "b"], 3)


def test_values_are_of_the_declared_kind():
    found = parse("a", "--weight-of", "-1000.0", "--color", "blue", "--loud")
    assert (found["weight_of"], found["color"], found["loud"]) == (-1000.0, Color.BLUE, True)


def test_a_list_keeps_all_of_what_is_repeated_and_a_value_the_last():
    found = parse("a", "--set", "x=1", "--set=y=2", "-d1", "-d2")
    assert (found["tags"], found["depth"]) == (["x=1", "y=2"], 2)


def test_a_dash_is_a_name_and_after_two_everything_is():
    assert parse("-", "--", "-d", "--loud", "--")["names"] == ["-", "-d", "--loud", "--"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing argument NAME"),
        (["a", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["a", "-x"], "unrecognized arguments: -x"),
        (["a", "--dep", "3"], "unrecognized arguments: --dep"),
        (["a", "-d"], "-d/--depth: expected one argument"),
        (["a", "--loud=yes"], "--loud: ignored explicit argument 'yes'"),
        (["a", "-d", "x"], "-d/--depth: invalid value 'x': not an integer"),
        (["a", "-d", "1.5"], "'1.5': not an integer"),
        (["a", "-d", "10"], r"'10': not in 0\.\.9"),
        (["a", "-d", "-1"], r"'-1': not in 0\.\.9"),
        (["a", "--weight-of", "much"], "--weight-of: invalid value 'much': not a number"),
        (["a", "--color", "green"], "'green': not one of red, blue"),
        (["a", "--weight-of", "inf"], "--weight-of: invalid value 'inf': not a finite number"),
        (["a", "--weight-of", "nan"], "--weight-of: invalid value 'nan': not a finite number"),
        ([""], "argument NAME: invalid value '': it is empty"),
        (["a", "--", ""], "argument NAME: invalid value '': it is empty"),
        (["a", "--set", ""], "--set: invalid value '': it is empty"),
        (["a", "--set="], "--set: invalid value '': it is empty"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(*arguments)


def test_a_number_that_is_none_is_in_no_range():
    def one(share: Annotated[float, Option("--share", minimum=0.0, maximum=1.0)] = 0.0) -> int:
        return 0

    one.__annotations__["share"] = Annotated[float, Option("--share", minimum=0.0, maximum=1.0)]
    with pytest.raises(UsageError, match="'nan': not in"):
        parser.parse(parser.parameters(one), ["--share", "nan"])


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_is_asked_for_anywhere_but_after_two_dashes(asked):
    for arguments in ([asked], ["a", "--loud", asked, "--nonsense"]):
        with pytest.raises(parser.HelpAsked):
            parse(*arguments)
    assert parse("--", asked)["names"] == [asked]


def test_the_help_says_all_and_fits_its_columns():
    text = parser.help_of(verb, "look", "The end. " * 20, 60)
    assert text.startswith("usage: intact look [OPTIONS] NAME...\n\nLook at things.\n\nMore of it.")
    for piece in ("--depth INTEGER", "[0..9]", "red|blue", "default red", "--set K=V"):
        assert piece in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_command_loads_no_other_verb_and_no_bar_without_a_terminal():
    code = (
        "import sys; from intact.cli import main; main(['decode', 'none.intact', '-o', 'x.ppm']); "
        "print(*(m for m in sys.modules if m.startswith(('intact.cli.', 'rich'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "intact.cli.decode" in loaded
    assert not loaded & {"intact.cli.encode", "intact.cli.train", "intact.cli.models", "rich"}
