"""Banks as plain values and back; hostile ones are refused."""

import numpy as np
import pytest

from intact.bits.tables import TOTAL, TableBank
from intact.bits.tree import bank_from_tree, bank_to_tree
from intact.errors import ModelError

BANK = TableBank.build([-3, 5], [[4096, 8191, 4096, 1], [TOTAL - 1, 1]])


def test_a_tree_gives_the_same_bank_back() -> None:
    tree = bank_to_tree(BANK)
    assert {key: value.dtype.name for key, value in tree.items()} == {
        "minimums": "int32",
        "sizes": "int32",
        "freqs": "int16",
    }
    again = bank_from_tree(tree, "bank")
    for name in ("minimums", "sizes", "starts", "freqs"):
        assert np.array_equal(getattr(again, name), getattr(BANK, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "bank: missing or unknown keys"),
        ({"freqs": [1, 2]}, "bank: freqs is not a row of integers"),
        ({"freqs": np.ones(6)}, "freqs is not a row of integers"),
        ({"minimums": np.zeros((2, 1), int)}, "minimums is not a row"),
        ({"sizes": np.array([4, 3])}, "sizes do not add up to 6"),
        ({"sizes": np.array([5, 1])}, "sizes do not add up"),
        ({"sizes": np.zeros(0, int)}, "sizes do not add up"),
        ({"minimums": np.array([0])}, "1 minimums for 2 tables"),
        ({"freqs": np.array([4096, 8191, 4096, 2, TOTAL - 1, 1])}, "table"),
    ],
)
def test_hostile_banks_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        bank_from_tree({**bank_to_tree(BANK), **change}, "bank")
