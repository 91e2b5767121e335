import contextlib
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.errors import ModelError
from intact.intnet.infer import infer
from intact.intnet.program import Program
from intact.intnet.tree import program_from_tree, program_to_tree


def equal_trees(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal_trees(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal_trees, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return type(left) is type(right) and left == right


@given(seed=st.integers(0, 2**32 - 1))
def test_a_tree_gives_the_same_program_back(
    random_program: Callable[[int], Program], seed: int
) -> None:
    first = random_program(seed)
    tree = program_to_tree(first)
    again = program_from_tree(copy.deepcopy(tree))
    assert equal_trees(tree, program_to_tree(again))
    assert infer(first) == infer(again)


def edits(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(tree, dict):
        for key, item in tree.items():
            found += edits(item, (*path, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            found += edits(item, (*path, index))
    return found


HOSTILE = [
    None, True, -1, 2**40, 1.5, "", "x" * 65, "a b", [], {}, b"", np.zeros(3), np.zeros((0, 0)),
    np.array(["a"]), np.full(2, 2**62), np.array([None]), [[]], {"op": "conv"}, {"op": []},
]  # fmt: skip


@given(seed=st.integers(0, 50), place=st.integers(0, 10**6), what=st.integers(0, len(HOSTILE) - 1))
def test_a_hostile_tree_is_a_model_error_or_a_valid_program(
    random_program: Callable[[int], Program], seed: int, place: int, what: int
) -> None:
    tree = program_to_tree(random_program(seed))
    paths = edits(tree)
    path = paths[place % len(paths)]
    target: Any = tree
    for key in path[:-1]:
        target = target[key]
    if path:
        target[path[-1]] = HOSTILE[what]
    else:
        tree = HOSTILE[what]
    with contextlib.suppress(ModelError):
        infer(program_from_tree(tree))


def test_unknown_and_missing_keys_are_refused(random_program: Callable[[int], Program]) -> None:
    tree = program_to_tree(random_program(0))
    with pytest.raises(ModelError, match="more"):
        program_from_tree({**tree, "more": 1})
    del tree["outputs"]
    with pytest.raises(ModelError, match="outputs"):
        program_from_tree(tree)


def test_too_many_operations_are_refused(random_program: Callable[[int], Program]) -> None:
    tree = program_to_tree(random_program(0))
    tree["ops"] = [{}] * 4097
    with pytest.raises(ModelError, match="4097"):
        program_from_tree(tree)


def test_the_key_of_a_repeated_edge_stands_only_where_it_says_something(block: Any) -> None:
    trees: Any = program_to_tree(block(8)), program_to_tree(block(8, edge=True))
    plain, edged = trees
    assert not any("edge" in op for op in plain["ops"])
    assert [op["edge"] for op in edged["ops"] if "edge" in op] == [1]
    convs = [op for op in program_from_tree(edged).ops if getattr(op, "edge", False)]
    assert len(convs) == 1
    for wrong in (0, 2, True, "1"):
        bad = copy.deepcopy(edged)
        next(op for op in bad["ops"] if "edge" in op)["edge"] = wrong
        with pytest.raises(ModelError, match="edge"):
            program_from_tree(bad)
