"""Programs that do not play their roles are refused, with the value at fault named."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from intact import ModelError
from intact.bottleneck.roles import Role, Signal, check, decoding
from intact.intnet.infer import HALF, Resize
from intact.intnet.program import Add, Conv, Program, Requantize, Shuffle, Unshuffle, Value

INT8 = (-128, 127)
PIXELS = Signal("pixels", 3, *INT8, px=1, multiple=4)
Y = Signal("y", "M", *INT8, px=4)
Z = Signal("z", "N", *INT8, px=16)
ROLES = (
    Role("analysis", (PIXELS,), (Y,), decoding=False),
    Role("hyper", (Y,), (Z,), decoding=False),
    Role("synthesis", (Y,), (PIXELS,)),
)


def conv(source: str, target: str, inputs: int, outputs: int, **options) -> Conv:
    zeros = np.zeros(outputs, int)
    return Conv(
        source, target, np.ones((outputs, inputs, 1, 1), int), zeros, zeros, zeros + 1, **options
    )


def programs() -> dict[str, Program]:
    halves = (conv("y", "h", 2, 2, stride=2), conv("h", "z", 2, 5, stride=2))
    return {
        "analysis": Program(
            "analysis",
            (Value("pixels", 3, *INT8),),
            (Unshuffle("pixels", "u", 4), conv("u", "y", 48, 2)),
            ("y",),
        ),
        "hyper": Program("hyper", (Value("y", 2, *INT8),), halves, ("z",)),
        "synthesis": Program(
            "synthesis",
            (Value("y", 2, *INT8),),
            (conv("y", "u", 2, 48), Shuffle("u", "pixels", 4)),
            ("pixels",),
        ),
    }


def refused(message: str, role: str, **changes) -> None:
    """One program is changed, and the message names what is wrong."""
    known = programs()
    with pytest.raises(ModelError, match=message):
        check(known | {role: replace(known[role], **changes)}, ROLES)


def test_letters_get_their_numbers() -> None:
    assert check(programs(), ROLES) == {"M": 2, "N": 5}


def test_a_decoder_runs_what_is_said_to_be_decoding() -> None:
    assert decoding(ROLES) == ("synthesis",)


def test_sizes_follow_from_the_pixels_of_a_position() -> None:
    assert ROLES[0].steps(Y) == (HALF, HALF)
    assert ROLES[2].steps(PIXELS) == (Resize(Fraction(4)),)
    assert Role("r", (Y,), (Y,)).steps(Y) == ()


@pytest.mark.parametrize("odd", [{"more": programs()["hyper"]}, {}])
def test_another_set_of_programs_is_refused(odd) -> None:
    known = programs()
    del known["hyper"]
    with pytest.raises(ModelError, match=r"wanted \['analysis', 'hyper', 'synthesis'\]"):
        check(known | odd, ROLES)


def test_inputs_and_outputs_have_their_names_and_order() -> None:
    refused(r"hyper maps \('x',\)", "hyper", inputs=(Value("x", 2, *INT8),))
    refused(r"analysis maps .* \('u', 'y'\)", "analysis", outputs=("u", "y"))


def test_channels_are_equal_where_the_letter_is() -> None:
    wide = (Value("y", 3, *INT8),)
    refused(r"hyper\.y has 3 channels, wanted 2", "hyper", inputs=wide, ops=(conv("y", "z", 3, 5),))
    refused(
        r"synthesis\.pixels has 12 channels, wanted 3", "synthesis",
        ops=(conv("y", "u", 2, 48), Shuffle("u", "pixels", 2)),
    )  # fmt: skip


def test_a_program_is_proven_for_exactly_what_it_is_given() -> None:
    refused(
        r"input y is in -128\.\.126, wanted -128\.\.127",
        "hyper",
        inputs=(Value("y", 2, -128, 126),),
    )
    ops = programs()["hyper"].ops
    refused(
        r"hyper\.z reaches -128\.\.128, beyond", "hyper", ops=(ops[0], replace(ops[1], high=128))
    )


def test_less_than_the_range_is_no_fault() -> None:
    known = programs()
    ops = known["hyper"].ops
    known["hyper"] = replace(known["hyper"], ops=(ops[0], replace(ops[1], high=5)))
    check(known, ROLES)


def test_an_output_of_another_size_is_refused() -> None:
    first, last = programs()["hyper"].ops
    refused(
        "hyper.z is sized 1/2 rounded up, wanted 1/2 rounded up then 1/2 rounded up",
        "hyper",
        ops=(first, replace(last, stride=1)),
    )
    back = (conv("y", "h", 2, 192, stride=2), Shuffle("h", "pixels", 8))
    refused("synthesis.pixels is sized 1/2 rounded up then 8, wanted 4", "synthesis", ops=back)


def test_where_sizes_are_multiples_any_way_to_the_right_size_will_do() -> None:
    known = programs()
    steps = (conv("pixels", "h", 3, 4, stride=2), conv("h", "y", 4, 2, stride=2))
    known["analysis"] = replace(known["analysis"], ops=steps)
    check(known, ROLES)
    refused(
        "analysis.y is sized 1/2 rounded up", "analysis", ops=(conv("pixels", "y", 3, 2, stride=2),)
    )


def test_only_what_divides_every_size_may_divide() -> None:
    ops = (Unshuffle("y", "u", 2), conv("u", "z", 8, 5, stride=2))
    refused("hyper: u does not fit every size", "hyper", ops=ops)
    ops = (Unshuffle("pixels", "u", 8), conv("u", "w", 192, 8), Shuffle("w", "y", 2))
    refused("analysis: u does not fit every size", "analysis", ops=ops)
    ops = (conv("pixels", "h", 3, 2, stride=2), Unshuffle("h", "u", 2), conv("u", "y", 8, 2))
    refused("analysis: u does not fit every size", "analysis", ops=ops)


def test_sums_of_values_that_only_sometimes_fit_are_refused() -> None:
    """Half of an odd height, doubled, is one more."""
    there_and_back = (
        conv("y", "h", 2, 8, stride=2),
        Shuffle("h", "back", 2),
        Add("y", "back", "s"),
        Requantize("s", "t", np.ones(2, int)),
        conv("t", "q", 2, 2, stride=2),
        conv("q", "z", 2, 5, stride=2),
    )
    refused("hyper: s adds values of different sizes", "hyper", ops=there_and_back)
