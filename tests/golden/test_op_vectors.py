"""vectors/op: what every operation gives, for this code, for C, and for other languages."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intact.intnet import ops
from intact.intnet.backends import choose, native
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.program import Add, Conv, Op, Requantize, Scale, Shuffle, Unshuffle
from intact.intnet.tree import program_from_tree

FOLDER = Path(__file__).parents[2] / "vectors" / "op"
FILES = sorted(path.name for path in FOLDER.glob("*.json"))
ISAS = ISA_NAMES[: ISA_NAMES.index(native.isa()) + 1] if "native" in choose.available() else ()
WAYS = [(name, "auto") for name in choose.available()] + [("native", isa) for isa in ISAS]


def value_of(item: Any) -> Any:
    """JSON with arrays in place of their shapes and values."""
    if isinstance(item, dict) and item.keys() == {"shape", "values"}:
        return np.array(item["values"], np.int64).reshape(item["shape"])
    if isinstance(item, dict):
        return {key: value_of(value) for key, value in item.items()}
    return [value_of(value) for value in item] if isinstance(item, list) else item


def cases(file):
    for case in json.loads((FOLDER / file).read_text(encoding="utf-8")):
        found = value_of(case)
        yield (
            program_from_tree(found["program"]), found["inputs"], found["level"], found["outputs"],
        )  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_the_definition_gives_the_golden_outputs(file):
    for program, inputs, level, outputs in cases(file):
        found = ops.run(program, inputs, level)
        for name, expected in outputs.items():
            assert np.array_equal(found[name], expected), program.name


@pytest.mark.parametrize(("backend", "isa"), WAYS)
@pytest.mark.parametrize("file", FILES)
def test_every_backend_gives_the_golden_outputs(file, backend, isa):
    for program, inputs, level, outputs in cases(file):
        if isa != "auto":
            runner = native.prepare(program, isa=isa)
        elif not choose.prove(backend, program).ok:
            pytest.skip(f"{backend} is not exact here, and says so")
        else:
            runner = choose.backend(backend)(program)
        for threads in (1, 2):
            found = runner(inputs, level=level, threads=threads)
            for name, expected in outputs.items():
                assert np.array_equal(found[name], expected), program.name


def test_every_operation_and_form_has_vectors():
    seen, forms = set(), set()
    for file in FILES:
        for program, *_ in cases(file):
            for op in program.ops:
                seen.add(type(op))
                if isinstance(op, Conv):
                    forms.add((op.groups > 1, op.stride, op.weight.shape[2], op.edge))
                    forms.add(("table", op.table is not None))
    assert seen == {Add, Conv, Requantize, Scale, Shuffle, Unshuffle} == set(Op.__args__)
    assert {("table", True), ("table", False)} <= forms
    assert {(False, 1, 1, False), (False, 1, 3, False), (False, 2, 3, False)} <= forms
    assert {(True, 1, 3, False), (True, 2, 3, False)} <= forms
    assert {(False, 1, 3, True), (False, 2, 3, True), (True, 1, 3, True)} <= forms


def test_saturation_rounding_and_ends_of_ranges_occur():
    """Vectors of the middle alone would not tell a wrong end."""
    for file in FILES:
        reached = set()
        for program, _, _, outputs in cases(file):
            op = program.ops[0]
            low, high = getattr(op, "low", -32768), getattr(op, "high", 32767)
            for array in outputs.values():
                reached |= {end for end in (low, high) if (array == end).any()}
        assert reached or "shuffle" in file or "table" in file, file


def test_the_script_still_writes_them():
    spec = importlib.util.spec_from_file_location("generate_ops", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = dict(module.texts())
    assert sorted(texts) == FILES
    for name, text in texts.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text
