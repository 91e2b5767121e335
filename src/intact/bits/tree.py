"""Table banks as plain values: what a model file stores, checked on the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from intact.bits.tables import MAX_TABLES, TableBank
from intact.errors import ModelError
from intact.untrusted import mapping

if TYPE_CHECKING:
    from jaxtyping import Int64

Tree = dict[str, np.ndarray]


def bank_to_tree(bank: TableBank) -> Tree:
    """A bank as integer arrays; inverse of `bank_from_tree`."""
    return {
        "minimums": bank.minimums,
        "sizes": bank.sizes,
        "freqs": bank.freqs.astype(np.int16),
    }


def bank_from_tree(tree: object, what: str) -> TableBank:
    """Build and check a bank; inverse of `bank_to_tree`.

    Args:
        tree: of unknown origin.
        what: it is, for messages.

    Raises:
        ModelError: anything is missing, unknown, of a wrong type or out of range.
    """
    keys = ("minimums", "sizes", "freqs")
    rows = mapping(tree, keys, what)
    minimums, sizes, freqs = (_row(rows[key], f"{what}: {key}") for key in keys)
    if sizes.size > MAX_TABLES:
        raise ModelError(f"{what}: {sizes.size} tables, at most {MAX_TABLES}")
    if sizes.size == 0 or int(sizes.min()) < 2 or int(sizes.sum()) != freqs.size:
        raise ModelError(f"{what}: sizes do not add up to {freqs.size} frequencies")
    return TableBank.build(minimums, np.split(freqs, np.cumsum(sizes)[:-1]))


def _row(value: object, what: str) -> Int64[np.ndarray, " n"]:
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray", value)
        if array.ndim == 1 and array.dtype.kind in "iu":
            return array.astype(np.int64)
    raise ModelError(f"{what} is not a row of integers")
