from typing import Any

import numpy as np
import pytest

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.program import Conv, Program, Requantize, Value, dtype_of


def conv(**changes: Any) -> Conv:
    values: dict[str, Any] = {
        "source": "x", "target": "y", "weight": np.ones((2, 3, 1, 1), np.int8), "bias": [0, 0],
        "slope": [0, 0], "divisor": [3, 5],
    }  # fmt: skip
    values.update(changes)
    return Conv(**values)


def test_constants_must_be_integers_that_fit() -> None:
    with pytest.raises(ModelError, match="float64"):
        conv(weight=np.ones((2, 3, 1, 1)))
    with pytest.raises(ModelError, match="int16"):
        conv(weight=np.full((2, 3, 1, 1), 40000))


def test_constants_cannot_change_afterwards() -> None:
    with pytest.raises(ValueError, match="read-only"):
        conv().weight[0] = 1


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, "uint8"), (0, 256, "int16"), (-1, 127, "int8"), (-1, 128, "int16"),
     (-128, 0, "int8"), (-32768, 32767, "int16"), (0, 0, "uint8")],
)  # fmt: skip
def test_outputs_take_the_smallest_dtype(low: int, high: int, dtype: str) -> None:
    assert dtype_of(low, high) == np.dtype(dtype)
    op = Requantize("x", "y", np.ones(3, int), low, high)
    p = Program("p", (Value("x", 3, -128, 127),), (op,), ("y",))
    assert ops.run(p, {"x": np.zeros((1, 1, 3), np.int8)})["y"].dtype == np.dtype(dtype)
