"""The native entropy coder is used where it proves itself, and is refused where it does not."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from intact.bits import fast, rans

built = pytest.mark.skipif(not fast.is_native(), reason="the native library was not built")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each test begins as a process does."""
    monkeypatch.setattr(fast, "_refused", "")
    fast._is_right.cache_clear()
    yield
    fast._is_right.cache_clear()


def test_the_first_message_is_what_the_normative_coder_writes() -> None:
    message = fast.probe_message()
    digest = hashlib.sha256()
    for lanes in fast.PROBE_LANES:
        payload = rans.encode(message, lanes)
        digest.update(payload)
        decoder = rans.Decoder(payload)
        for symbols, indexes, bank in message:
            assert np.array_equal(decoder.decode(indexes, bank), symbols)
        decoder.finish()
    assert digest.hexdigest() == fast.PROBE_DIGEST


def test_the_first_message_has_escapes_and_every_table() -> None:
    for symbols, indexes, bank in fast.probe_message():
        entries = bank.entries_of(symbols, indexes)
        assert bank.is_escape[entries].any()
        assert set(indexes) == set(range(bank.num_tables))


@built
def test_a_native_coder_that_is_right_is_used() -> None:
    assert fast.is_native()
    assert fast.Decoder(b"")._functions is not None
    assert fast.Decoder(b"", backend="python")._functions is None


@built
@pytest.mark.parametrize("fault", ["decode", "encode", "raise"])
def test_a_native_coder_that_is_wrong_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    true_decode, true_encode = fast.Decoder._decode_native, fast._encode_native

    def decode(self: Any, functions: Any, indexes: Any, bank: Any) -> Any:
        symbols = true_decode(self, functions, indexes, bank)
        if fault == "raise":
            raise AssertionError("intact_rans_decode returned 3")
        symbols[-1] += 1
        return symbols

    def encode(functions: Any, message: Any, lanes: Any) -> bytes:
        payload = bytearray(true_encode(functions, message, lanes))
        payload[1] ^= 1
        return bytes(payload)

    if fault == "encode":
        monkeypatch.setattr(fast, "_encode_native", encode)
    else:
        monkeypatch.setattr(fast.Decoder, "_decode_native", decode)
    assert not fast.is_native()
    assert caplog.text.count("the native entropy coder is refused") == 1
    message = fast.probe_message()
    payload = fast.encode(message)  # by Python
    assert payload == rans.encode(message)
    assert np.array_equal(fast.Decoder(payload).decode(*message[0][1:]), message[0][0])
    with pytest.raises(ValueError, match="not used: it codes a known message wrong"):
        fast.Decoder(payload, backend="native")
    assert caplog.text.count("refused") == 1
