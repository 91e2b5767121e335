from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.bounds import conv_bounds
from intact.intnet.certificate import prove
from intact.intnet.infer import Info
from intact.intnet.program import Conv, Program, Value

# Every kind: tiny, the paper's 2**8, near powers of two, primes, the largest; some are 3 * 7 * 13.
DIVISORS = [1, 3, 5, 7, 63, 127, 129, 255, 257, 273, 1021, 4095, 4097, 8191, 10007, 16381, 16383]


def boundary_cases(divisor: int, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All acc next to a rounding boundary with ``(|v| + 1) * c <= limit``, and their quotients."""
    quotients = np.arange(0, limit // divisor, dtype=np.int64)
    below = quotients * divisor + divisor // 2  # the last acc that rounds to q
    for acc, result in ((below, quotients), (below + 1, quotients + 1)):
        yield acc, result
        yield -acc, -result


def check_roundings(divisor: int) -> None:
    c = np.float32(divisor)
    reciprocal = np.float32(1) / c
    for acc, expected in boundary_cases(divisor, 2**22):
        assert np.array_equal(ops.divide_round(acc, divisor), expected)
        x = acc.astype(np.float32)
        assert np.array_equal(np.rint(x / c), expected)
        assert np.array_equal(np.rint(x * reciprocal), expected)
        assert np.array_equal(np.floor(x * reciprocal + np.float32(0.5)), expected)
        assert np.array_equal(np.rint(acc / divisor), expected)  # float64


@pytest.mark.parametrize("divisor", DIVISORS)
def test_rule_1_makes_every_rounding_agree(divisor: int) -> None:
    check_roundings(divisor)


@pytest.mark.slow
def test_rule_1_for_every_divisor() -> None:
    for divisor in range(1, 16384, 2):
        check_roundings(divisor)


def test_twice_the_limit_of_rule_1_is_too_much() -> None:
    acc, divisor = 4_244_092, 255
    exact = int(ops.divide_round(np.array(acc), divisor))
    assert exact == 16_643
    assert 2**22 < (exact + 1) * divisor <= 2**23
    assert np.rint(np.float32(acc) * (np.float32(1) / np.float32(divisor))) == 16_644


def test_a_reciprocal_2_ulp_off_fails() -> None:
    divisor = 16383
    wrong = np.float32(1) / np.float32(divisor)
    for _ in range(2):
        wrong = np.nextafter(wrong, np.float32(1))
    misses = sum(
        int((np.rint(acc.astype(np.float32) * wrong) != expected).sum())
        for acc, expected in boundary_cases(divisor, 2**22)
    )
    assert misses > 0


def test_saturated_quotients_need_order_only() -> None:
    """Beyond the clip float32 may round acc itself; v stays outside because it is monotone."""
    divisor, high = 16383, 255
    acc = np.arange(high * divisor + divisor // 2 + 1, 2**31 - 1, 104_729, dtype=np.int64)
    v = np.rint(acc.astype(np.float32) * (np.float32(1) / np.float32(divisor)))
    assert (np.minimum(v, high) == high).all()


def layer(weight: np.ndarray, low: int, high: int, **more: object) -> tuple[Conv, Program]:
    outputs = weight.shape[0]
    zeros = np.zeros(outputs, int)
    values = {"bias": zeros, "slope": zeros, "divisor": zeros + 1, **more}
    conv = Conv("x", "y", weight, low=-32768, high=32767, **values)
    channels = weight.shape[1] if conv.groups == 1 else outputs
    return conv, Program("p", (Value("x", channels, low, high),), (conv,), ("y",))


@given(
    seed=st.integers(0, 10**6),
    ends=st.sampled_from([(-128, 127), (0, 255), (-32768, 32767), (-5, 0), (4, 9), (-9, -4)]),
    taps=st.sampled_from([1, 3]),
    depthwise=st.booleans(),
)
def test_bounds_hold_and_are_reached(
    seed: int, ends: tuple[int, int], taps: int, depthwise: bool
) -> None:
    random = np.random.default_rng(seed)
    inputs = 4
    weight = random.integers(-64, 65, (4, 1 if depthwise else inputs, taps, taps))
    bias, slope = random.integers(-999, 999, 4), random.integers(-99, 99, 4)
    conv, _ = layer(weight, *ends, bias=bias, slope=slope, groups=4 if depthwise else 1)
    bounds = conv_bounds(conv, Info(inputs, *ends))
    for channel in range(4):
        for side, sign in ((bounds.high, 1), (bounds.low, -1)):
            wanted = np.where(sign * weight[channel].transpose(1, 2, 0) > 0, ends[1], ends[0])
            source = np.zeros((taps, taps, inputs), np.int64) + wanted
            level = 127 * sign if slope[channel] > 0 else -127 * sign
            acc = int(ops.accumulate(conv, source, level)[taps // 2, taps // 2, channel])
            assert sign * acc <= sign * int(side[channel])
            if taps == 1 or ends[0] <= 0 <= ends[1]:
                assert acc == int(side[channel])
            assert abs(acc) <= int(bounds.bound[channel])


def test_every_order_of_summation_stays_below_the_bound() -> None:
    weight = np.array([9, -7, 5, -3]).reshape(1, 4, 1, 1)
    conv, _ = layer(weight, -128, 127, bias=[-10])
    bounds = conv_bounds(conv, Info(4, -128, 127))
    terms = [9 * -128, -7 * 127, 5 * -128, -3 * 127, -10]
    largest = max(abs(sum(order[:n])) for order in permutations(terms) for n in range(6))
    assert largest == bounds.bound[0] == -bounds.low[0]
    assert bounds.partial[0] == largest - 10


def test_the_signs_of_the_input_count() -> None:
    weight = np.array([100, -60]).reshape(1, 2, 1, 1)
    conv, _ = layer(weight, 0, 255)
    assert conv_bounds(conv, Info(2, 0, 255)).bound[0] == 25_500
    assert conv_bounds(conv, Info(2, -128, 127)).bound[0] == 100 * 128 + 60 * 127


@pytest.mark.parametrize(
    ("widest", "inputs", "ends", "missing"),
    [
        (64, 1000, (0, 255), set()),
        (65, 10, (0, 255), {"int16-pairs"}),
        (128, 10, (0, 255), {"int16-pairs", "u8s8-int32"}),
        (64, 10, (0, 256), {"int16-pairs", "u8s8-int32"}),
        (64, 1029, (0, 255), {"float32"}),  # 64 * 255 * 1029 = 16,793,280 > 2**24
    ],
)
def test_arithmetics_that_are_exact(
    widest: int, inputs: int, ends: tuple[int, int], missing: set[str]
) -> None:
    conv, program = layer(np.full((1, inputs, 1, 1), widest), *ends)
    everything = {"int16-pairs", "u8s8-int32", "float32", "int32", "float64"}
    assert set(conv_bounds(conv, Info(inputs, *ends)).arithmetics) == everything - missing
    assert set(prove(program).rows[0].arithmetics) == everything - missing


def test_a_bound_of_2_to_the_31_is_refused_with_its_channel() -> None:
    weight = np.ones((2, 1, 1, 1), int)
    _, fits = layer(weight, 0, 255, bias=[0, 2**31 - 256])
    assert prove(fits).bound == 2**31 - 1
    _, breaks = layer(weight, 0, 255, bias=[0, 2**31 - 255])
    with pytest.raises(ModelError, match=r"conv 'y'.*channel 1"):
        prove(breaks)
    _, level = layer(weight, 0, 255, bias=[0, 2**31 - 256], slope=[0, 1])
    with pytest.raises(ModelError, match="reaches 2\\^31"):
        prove(level)


def test_v_max_is_what_saturation_leaves() -> None:
    weight = np.full((1, 4, 1, 1), 64)
    conv, _ = layer(weight, 0, 255, divisor=[3])
    bounds = conv_bounds(conv, Info(4, 0, 255))
    assert bounds.quotient[0] == 21_760
    assert bounds.reciprocal
    narrow = Conv("x", "y", weight, np.array([0]), np.array([0]), np.array([3]), low=0, high=255)
    assert conv_bounds(narrow, Info(4, 0, 255)).quotient[0] == 255
    _, wide = layer(np.full((1, 300, 1, 1), 64), 0, 255, divisor=[129])
    assert not prove(wide).rows[0].rule1  # 32,767 * 129 > 2**22


def test_a_certificate_can_be_read(block: Callable[..., Program]) -> None:
    certificate = prove(block(count=2))
    text = certificate.text()
    assert len(text.splitlines()) == 3 + 18
    assert "depthwise 16>16 3x3" in text
    assert all(len(line) <= 160 for line in text.splitlines())
    data = certificate.to_dict()
    assert data["bound"] == certificate.bound
    assert len(data["rows"]) == 18  # type: ignore[arg-type]
