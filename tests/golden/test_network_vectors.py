"""Golden vectors of integer networks: every backend that is exact here computes them."""

import json
from pathlib import Path

import numpy as np
import pytest

from intact.intnet import ops
from intact.intnet.backends import choose
from intact.intnet.tree import program_from_tree

PATH = Path(__file__).parents[2] / "vectors" / "intnet" / "qtanh.json"
CONTENT = json.loads(PATH.read_text())
ARRAYS = {"weight": np.int16, "bias": np.int32, "slope": np.int32, "divisor": np.int16,
          "table": np.int16}  # fmt: skip


@pytest.fixture(scope="module")
def program():
    tree = CONTENT["program"]
    for op in tree["ops"]:
        for name, dtype in ARRAYS.items():
            op[name] = np.array(op[name], dtype)
    return program_from_tree(tree)


def test_the_second_example_of_the_paper(program):
    """4-bit kernels and activations with Qtanh by table; ops.py is the definition."""
    for case in CONTENT["cases"]:
        u = np.array(case["u"], np.int8)
        assert np.array_equal(ops.run(program, {"u": u})["w2"], np.array(case["w2"]))
    for op in program.ops:
        table = [round(7 * np.tanh(v / 15)) for v in range(op.table_low, -op.table_low + 1)]
        assert op.table.tolist() == table
        assert np.abs(op.weight).max() <= 8


@pytest.mark.parametrize("name", choose.available())
def test_a_backend_that_is_exact_computes_it(program, name):
    if not choose.prove(name, program).ok:
        pytest.skip(f"{name} is not exact on this machine")
    run = choose.backend(name)(program)
    for case in CONTENT["cases"]:
        found = run({"u": np.array(case["u"], np.int8)}, level=0)["w2"]
        assert np.array_equal(found, np.array(case["w2"]))
