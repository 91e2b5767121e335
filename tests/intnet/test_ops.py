import tracemalloc

import numpy as np
import pytest

from intact.intnet import ops
from intact.intnet.program import Add, Conv, Program, Requantize, Scale, Unshuffle, Value


def simple(**changes: object) -> Program:
    values: dict[str, object] = {
        "weight": np.ones((1, 1, 1, 1), int), "bias": [0], "slope": [0], "divisor": [3],
    }  # fmt: skip
    values.update(changes)
    return Program("p", (Value("x", 1, -128, 127),), (Conv("x", "y", **values),), ("y",))  # type: ignore[arg-type]


def image(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int8)[:, :, None]


def test_equation_4() -> None:
    """(m + n / 2) / n with floor division: Q(m / n), for odd n never halfway."""
    numbers = np.arange(-8, 9)
    expected = [-3, -2, -2, -2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert ops.divide_round(numbers, 3).tolist() == expected
    assert ops.divide_round(numbers, 1).tolist() == numbers.tolist()


def test_division_equals_python_integers() -> None:
    random = np.random.default_rng(1)
    for acc, c in zip(
        random.integers(-(2**31), 2**31, 2000).tolist(),
        (random.integers(0, 8192, 2000) * 2 + 1).tolist(),
        strict=True,
    ):
        quotient = int(ops.divide_round(np.array(acc), c))
        assert 2 * abs(acc - quotient * c) < c


@pytest.mark.parametrize("divisor", [0, 2, -3, 16385])
def test_division_refuses_what_is_not_proven(divisor: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        ops.divide_round(np.array([1]), divisor)


def test_qrelu_of_figure_2() -> None:
    """g(v) = max(min(v, 15), 0)."""
    p = simple(low=0, high=15, divisor=[1])
    result = ops.run(p, {"x": image([-3, -1, 0, 1, 15, 16, 100])})["y"]
    assert result[0, :, 0].tolist() == [0, 0, 0, 1, 15, 15, 15]
    assert result.dtype == np.uint8


def test_qtanh_of_figure_2() -> None:
    """g(v) = Q(7 tanh(v / 15)) as a table; beyond it the ends hold on."""
    low, high = -40, 40
    table = np.rint(7 * np.tanh(np.arange(low, high + 1) / 15)).astype(np.int16)
    p = simple(low=-7, high=7, divisor=[1], table=table, table_low=low)
    result = ops.run(p, {"x": image([-128, -40, -15, -1, 0, 1, 2, 15, 40, 127])})["y"]
    assert result[0, :, 0].tolist() == [-7, -7, -5, 0, 0, 0, 1, 5, 7, 7]


def test_convolution_is_a_correlation_with_zeros_outside() -> None:
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    p = simple(weight=kernel, divisor=[1], low=-32768, high=32767)
    result = ops.run(p, {"x": image([1, 0, 0], [0, 0, 0], [0, 0, 10])})["y"][:, :, 0]
    # (0, 0) is seen by tap (0, 0) of position (1, 1), weight 1, and so on.
    assert result.tolist() == [[5, 4, 0], [2, 1 + 90, 80], [0, 60, 50]]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_stride_2_takes_even_positions_of_stride_1(size: int) -> None:
    random = np.random.default_rng(size)
    kernel = random.integers(-9, 10, (1, 1, 3, 3))
    inputs = {"x": random.integers(-128, 128, (size, size + 1, 1), dtype=np.int8)}
    full = ops.run(simple(weight=kernel), inputs)["y"]
    half = ops.run(simple(weight=kernel, stride=2), inputs)["y"]
    assert np.array_equal(half, full[::2, ::2])
    assert half.shape[:2] == (-(-size // 2), -(-(size + 1) // 2))


def test_depthwise_channels_do_not_mix() -> None:
    kernel = np.array([1, 10]).reshape(2, 1, 1, 1)
    conv = Conv("x", "y", kernel, np.zeros(2, int), np.zeros(2, int), np.ones(2, int), groups=2)
    p = Program("p", (Value("x", 2, -9, 9),), (conv,), ("y",))
    assert ops.run(p, {"x": np.array([[[3, -4]]])})["y"].tolist() == [[[3, -40]]]


def test_bias_and_level_are_inside_the_division() -> None:
    p = simple(bias=[1], slope=[-2], divisor=[5])
    x = {"x": image([10, 11, 12])}
    assert ops.run(p, x, 0)["y"][0, :, 0].tolist() == [2, 2, 3]  # (10 + 1) / 5, ...
    assert ops.run(p, x, 3)["y"][0, :, 0].tolist() == [1, 1, 1]  # (10 + 1 - 6) / 5, ...


def test_add_and_scale_saturate() -> None:
    p = Program(
        "p",
        (Value("x", 2, -32768, 32767),),
        (Scale("x", "y", np.array([2, -1])), Add("x", "y", "z")),
        ("y", "z"),
    )
    result = ops.run(p, {"x": np.array([[[20000, -32768]], [[-20000, 5]]])})
    assert result["y"].tolist() == [[[32767, 32767]], [[-32768, -5]]]
    assert result["z"].tolist() == [[[32767, -1]], [[-32768, 0]]]


def test_shuffle_is_pixel_shuffle_and_unshuffle_its_inverse() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(-9, 9, (3, 2, 36))
    expected = torch.nn.functional.pixel_shuffle(torch.from_numpy(x).permute(2, 0, 1), 3)
    assert np.array_equal(ops.shuffle(x, 3), expected.permute(1, 2, 0).numpy())
    assert np.array_equal(ops.unshuffle(ops.shuffle(x, 3), 3), x)


@pytest.mark.parametrize(
    ("inputs", "level", "message"),
    [
        ({}, 0, "inputs"),
        ({"x": np.zeros((1, 1, 1), int), "z": np.zeros((1, 1, 1), int)}, 0, "inputs"),
        ({"x": np.zeros((1, 1, 1))}, 0, "integer array"),
        ({"x": np.zeros((1, 1), int)}, 0, "shape"),
        ({"x": np.zeros((1, 1, 2), int)}, 0, "shape"),
        ({"x": np.zeros((0, 1, 1), int)}, 0, "shape"),
        ({"x": np.full((1, 1, 1), 128)}, 0, "128"),
        ({"x": np.full((1, 1, 1), 200, np.uint8)}, 0, "200"),
        ({"x": np.zeros((1, 1, 1), int)}, 128, "level"),
        ({"x": np.zeros((1, 1, 1), int)}, 0.5, "level"),
        ({"x": np.zeros((1, 1, 1), int)}, True, "level"),
    ],
)
def test_wrong_arguments_are_refused(
    inputs: dict[str, np.ndarray], level: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ops.run(simple(), inputs, level)


def test_an_indivisible_size_is_refused() -> None:
    p = Program("p", (Value("x", 1, 0, 1),), (Unshuffle("x", "y", 2),), ("y",))
    with pytest.raises(ValueError, match="unshuffle"):
        ops.run(p, {"x": np.zeros((2, 3, 1), int)})


def test_values_are_freed_after_their_last_reader() -> None:
    """A long chain needs the memory of a few values, not of all."""
    chain = [Requantize(f"v{i}", f"v{i + 1}", np.ones(16, int), -9, 9) for i in range(40)]
    program = Program("chain", (Value("v0", 16, -9, 9),), tuple(chain), ("v0", "v20", "v40"))
    x = np.arange(64 * 64 * 16).reshape(64, 64, 16) % 19 - 9
    tracemalloc.start()
    try:
        results = ops.run(program, {"v0": x.astype(np.int8)})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert list(results) == ["v0", "v20", "v40"]
    assert all(np.array_equal(result, x) for result in results.values())
    assert peak < 8 * x.size * 8  # 41 values of 8 bytes per element otherwise


def test_a_tap_outside_reads_the_nearest_position_inside_where_the_edge_is_repeated():
    weight = np.zeros((1, 1, 3, 3), int)
    weight[0, 0] = [[1, 0, 0], [0, 0, 0], [0, 0, 10]]
    x = np.array([[1, 2, 3], [4, 5, 6]])[:, :, None]
    p = simple(weight=weight, low=-32768, high=32767, divisor=[1], edge=True)
    found = ops.run(p, {"x": x}, 0)["y"][..., 0]
    # above left + 10 times below right, each clipped into the input
    assert found.tolist() == [[1 + 50, 1 + 60, 2 + 60], [1 + 50, 1 + 60, 2 + 60]]


def test_a_plain_picture_stays_plain_where_the_edge_is_repeated(block):
    program = block(8, edge=True)
    x = np.broadcast_to(np.arange(8) * 37 - 90, (5, 4, 8))
    found = ops.run(program, {"x": x}, 3)[program.outputs[0]]
    assert (found == found[0, 0]).all()
