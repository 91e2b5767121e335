"""`intact.bits.tables`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.bits.apportion import apportion
from intact.bits.tables import COST_BITS, TOTAL, TableBank
from intact.errors import ModelError


@given(
    st.lists(st.one_of(st.integers(0, 5), st.integers(0, 1 << 80)), min_size=2, max_size=40).filter(
        any
    )
)
def test_apportion_sums_up_and_is_near_the_shares(weights: list[int]) -> None:
    freqs = apportion(weights)
    assert freqs.sum() == TOTAL
    assert freqs.min() >= 1
    shares = [weight * TOTAL / sum(weights) for weight in weights]
    small = sum(share < 1 for share in shares)
    for freq, share in zip(freqs.tolist(), shares, strict=True):
        assert freq == 1 or share - 2 - small * (share / TOTAL + 1) <= freq <= share + 1


@pytest.mark.parametrize("count", [2, TOTAL - 1, TOTAL])
def test_apportion_at_the_limits_of_its_size(count: int) -> None:
    freqs = apportion([1] * count)
    assert freqs.sum() == TOTAL
    assert freqs.max() - freqs.min() <= 1


@pytest.mark.parametrize("weights", [[], [1], [0, 0], [2, -1], [1] * (TOTAL + 1)])
def test_apportion_refuses(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        apportion(weights)


@pytest.mark.parametrize(
    ("minimums", "freqs"),
    [
        ([], []),
        ([0], [[TOTAL]]),
        ([0], [[TOTAL, 0]]),
        ([0], [[TOTAL + 1, -1]]),
        ([0], [[8192, 8191]]),
        ([0], [[8192.0, 8192.0]]),
        ([0], [[1 << 32, TOTAL - (1 << 32)]]),
        ([0, 0], [[1, TOTAL - 1]]),
        ([(1 << 30) + 1], [[1, TOTAL - 1]]),
        ([1 << 30], [[1, 1, TOTAL - 2]]),
        ([-(1 << 30) - 1], [[1, TOTAL - 1]]),
        ([1 << 40], [[1, TOTAL - 1]]),
    ],
)
def test_illegal_tables_are_model_errors(minimums: list[int], freqs: list[list[Any]]) -> None:
    with pytest.raises(ModelError):
        TableBank.build(minimums, freqs)


def test_illegal_arrays_are_model_errors() -> None:
    good: dict[str, Any] = {
        "minimums": [0, 5], "sizes": [2, 3], "starts": [0, 2],
        "freqs": [1, TOTAL - 1, 3, 4, TOTAL - 7],
    }  # fmt: skip
    good = {name: np.array(values) for name, values in good.items()}
    assert TableBank(**good).num_tables == 2
    for change in (
        {"sizes": [3, 2]}, {"sizes": [1, 4]}, {"starts": [0, 1]}, {"minimums": [0]},
        {"minimums": [[0], [5]]}, {"freqs": [1, TOTAL - 1, 3, 4]}, {"sizes": [2, 3, 2]},
    ):  # fmt: skip
        with pytest.raises(ModelError):
            TableBank(**(good | {name: np.array(values) for name, values in change.items()}))


def test_a_bank_does_not_change_with_the_arrays_it_was_built_from() -> None:
    freqs = np.array([1, TOTAL - 1], np.int32)
    bank = TableBank(np.zeros(1, np.int32), np.array([2], np.int32), np.zeros(1, np.int64), freqs)
    freqs[0] = 7
    assert bank.freqs[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        bank.freqs[0] = 7


def test_the_derived_forms_agree() -> None:
    # 257 entries, so that a bucket of 64 slots holds several and some buckets hold none
    bank = TableBank.build([-3, 7], [[1, 2, TOTAL - 4, 1], apportion([1, 9] * 128 + [1])])
    for table in range(2):
        for slot in (0, 1, 2, 3, 63, 64, 65, 8191, TOTAL - 2, TOTAL - 1):
            entry = int(bank.slot_entries[table * TOTAL + slot])
            assert bank.cums[entry] <= slot < bank.cums[entry] + bank.freqs[entry]
            bucket = int(bank.buckets[table * 256 + slot // 64])
            assert bank.cums[bucket] <= slot // 64 * 64 < bank.cums[bucket] + bank.freqs[bucket]
    assert bank.values[:5].tolist() == [-3, -2, -1, 0, 7]
    assert np.flatnonzero(bank.is_escape).tolist() == [3, 4 + 256]


def test_costs_are_never_above_the_ideal_and_near_it() -> None:
    freqs = np.concatenate([np.arange(1, 120), [5000, 8192, 16383]])
    rows = [[freq, TOTAL - freq] for freq in freqs.tolist()]
    bank = TableBank.build([0] * len(rows), rows)
    for freq, cost in zip(bank.freqs.tolist(), bank.costs.tolist(), strict=True):
        ideal = math.log2(TOTAL / freq) * 2**COST_BITS
        assert ideal - 3 <= cost <= ideal + 1e-6


def test_multipliers_divide_exactly() -> None:
    # the error grows with x, so the largest quotients decide, just below and at a multiple
    freqs = np.arange(1, TOTAL)
    bank = TableBank.build([0] * freqs.size, list(np.stack([freqs, TOTAL - freqs], axis=1)))
    table = bank.push_entries[::2]
    for quotient in (1, 4, 5, 16383, 1 << 17, (1 << 18) - 1):
        for within in (0, 1, -1):
            x = quotient * freqs + np.where(within < 0, freqs - 1, np.minimum(within, freqs - 1))
            product = x.astype(np.uint64) * table["multiplier"] + table["addend"]
            assert np.array_equal(product >> np.uint64(45), np.full(freqs.size, quotient))
