"""vectors/bits/rans.json: the contract between this code, C, other languages and the spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intact.bits.tables import TableBank

VECTORS = Path(__file__).parents[2] / "vectors" / "bits" / "rans.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_payloads_are_frozen(coder: Any, case: dict[str, Any]) -> None:
    bank = TableBank.build(case["minimums"], case["freqs"])
    payload = bytes.fromhex(case["payload"])
    parts = [
        (np.array(part["symbols"], np.int32), np.array(part["indexes"], np.int64), bank)
        for part in case["parts"]
    ]
    assert coder.encode(parts, case["lanes"]) == payload
    decoder = coder.decoder(payload)
    for symbols, indexes, _ in parts:
        assert decoder.decode(indexes, bank).tolist() == symbols.tolist()
    decoder.finish()


def test_a_payload_worked_out_by_hand() -> None:
    # docs/spec/bits.md: x = 65536, push entry 1 (f 8191, cum 8192): 65536 = 8 * 8191 + 8,
    # so x = 8 * 16384 + 8 + 8192 = 139272 = 0x00022008
    (case,) = (case for case in CASES if case["name"] == "one-symbol")
    assert case["payload"] == "00" + "08200200"
