"""`intact.bits.rans` and `intact.bits.fast`: nearly every test runs on every coder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from intact.bits import fast, rans
from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank
from intact.errors import CorruptDataError

pytestmark = pytest.mark.filterwarnings("error")
# A fixture that only picks the coder may be shared by all examples.
examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

Plan = tuple[list[tuple[int, list[int]]], list[list[tuple[int, int]]], int | None]
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
NEAR = st.integers(-40, 40)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """(minimum, weights) of each table; (table, symbol) pairs of each part; lanes: plain data."""
    tables = draw(
        st.lists(
            st.tuples(
                st.one_of(NEAR, st.sampled_from([-(1 << 30), (1 << 30) - 30])),
                st.lists(st.integers(1, 1 << 20), min_size=2, max_size=30),
            ),
            min_size=1,
            max_size=4,
        )
    )
    pairs = st.tuples(st.integers(0, len(tables) - 1), st.one_of(NEAR, NEAR, NEAR, INT32))
    parts = draw(st.lists(st.lists(pairs, max_size=40), max_size=3))
    lanes = draw(st.sampled_from([None, None, 1, 2, 4, 8, 64, 1024]))
    return tables, parts, lanes


def built(plan: Plan) -> tuple[list[rans.Part], int | None]:
    """The parts of a plan, ready to encode."""
    tables, parts, lanes = plan
    bank = TableBank.build([m for m, _ in tables], [apportion(w) for _, w in tables])
    arrays = [np.array(part, np.int64).reshape(-1, 2) for part in parts]
    return [(a[:, 1].astype(np.int32), a[:, 0].astype(np.uint8), bank) for a in arrays], lanes


def decode(coder: Any, payload: bytes, parts: Sequence[rans.Part]) -> list[np.ndarray]:
    """Decode as many symbols as ``parts`` have, and finish."""
    decoder = coder.decoder(payload)
    symbols = [decoder.decode(indexes, bank) for _, indexes, bank in parts]
    decoder.finish()
    return symbols


def bell_bank(num_tables: int = 16, widest: int = 500) -> TableBank:
    """Two-sided geometric tables, from nearly certain to wide."""
    rows = []
    for width in np.geomspace(1, widest, num_tables).astype(int).tolist():
        side = [(1 << 60) * width**k // (width + 1) ** k for k in range(3 * width + 1)]
        rows.append(apportion([*side[:0:-1], *side, 1 << 40]))
    return TableBank.build([-(row.size // 2 - 1) for row in rows], rows)


def drawn(bank: TableBank, count: int, seed: int, tables: slice = slice(None)) -> rans.Part:
    """Symbols with exactly their tables' frequencies; an escape lies up to 500 above or below."""
    rng = np.random.default_rng(seed)
    indexes = rng.choice(np.arange(bank.num_tables)[tables], count).astype(np.uint8)
    slots = indexes.astype(np.int64) * TOTAL + rng.integers(0, TOTAL, count)
    entries = bank.slot_entries[slots]
    away = np.where(bank.is_escape[entries], rng.integers(0, 500, count), 0)
    symbols = (bank.values[entries] + away).astype(np.int32)
    below = bank.is_escape[entries] & (rng.integers(0, 2, count) == 1)
    return np.where(below, bank.minimums[indexes] - 1 - away, symbols), indexes, bank


@given(plan=plans())
@examples
def test_decode_inverts_encode(coder: Any, plan: Plan) -> None:
    parts, lanes = built(plan)
    decoded = decode(coder, coder.encode(parts, lanes), parts)
    for got, (symbols, _, _) in zip(decoded, parts, strict=True):
        assert got.dtype == np.int32
        assert got.tolist() == symbols.tolist()


@given(plan=plans())
@examples
def test_fast_writes_the_bytes_of_rans(fast_coder: Any, plan: Plan) -> None:
    parts, lanes = built(plan)
    assert fast_coder.encode(parts, lanes) == rans.encode(parts, lanes)


@given(plan=plans(), payload=st.binary(max_size=60), lanes_log2=st.integers(0, 3))
@examples
def test_any_bytes_decode_or_are_corrupt(
    coder: Any, plan: Plan, payload: bytes, lanes_log2: int
) -> None:
    parts, _ = built(plan)
    for hostile in (payload, bytes([lanes_log2]) + b"\xff\xff\xff\x7f" * 2**lanes_log2 + payload):
        results = []
        for decoder in (coder.decoder, rans.Decoder):
            try:
                outcome = decode(type("", (), {"decoder": decoder}), hostile, parts)
                results.append([symbols.tolist() for symbols in outcome])
            except CorruptDataError:
                results.append("corrupt")
        assert results[0] == results[1]  # all coders refuse the same payloads


@given(plan=plans())
@examples
def test_every_truncation_and_extension_is_noticed(coder: Any, plan: Plan) -> None:
    parts, lanes = built(plan)
    payload = coder.encode(parts, lanes)
    # all cuts of a short payload; of a long header only some
    for length in {*range(min(len(payload), 40)), *range(max(0, len(payload) - 40), len(payload))}:
        with pytest.raises(CorruptDataError):
            decode(coder, payload[:length], parts)
    with pytest.raises(CorruptDataError):
        decode(coder, payload + b"\0", parts)


@given(plan=plans(), place=st.integers(0, 1 << 20), change=st.integers(1, 255))
@examples
def test_damage_gives_other_symbols_or_is_corrupt(
    coder: Any, plan: Plan, place: int, change: int
) -> None:
    parts, lanes = built(plan)
    payload = bytearray(coder.encode(parts, lanes))
    if not payload:
        return
    payload[place % len(payload)] ^= change
    try:
        decoded = decode(coder, bytes(payload), parts)
    except CorruptDataError:
        return
    assert any(
        got.tolist() != symbols.tolist()
        for got, (symbols, _, _) in zip(decoded, parts, strict=True)
    )


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32, 64, 128, 1024])
def test_lane_counts_around_whole_rows(coder: Any, lanes: int) -> None:
    bank = bell_bank(4, 20)
    counts = [lanes - 1, 0, 1, lanes, lanes + 1, 2 * lanes + 3]
    parts = [drawn(bank, count, seed) for seed, count in enumerate(counts)]
    payload = coder.encode(parts, lanes)
    assert payload[0] == lanes.bit_length() - 1
    for got, (symbols, _, _) in zip(decode(coder, payload, parts), parts, strict=True):
        assert got.tolist() == symbols.tolist()


@pytest.mark.parametrize("lanes", [1, 8, 64])
def test_escapes_at_the_limits_round_trip(coder: Any, lanes: int) -> None:
    limits = [0, 1, -1, 63, 64, -65, 1 << 30, -(1 << 30), (1 << 31) - 1, -(1 << 31)]
    symbols = np.array(limits * 40, np.int32)
    for minimum in (0, -(1 << 30), (1 << 30) - 1):
        bank = TableBank.build([minimum], [[1, TOTAL - 2, 1]])
        parts = [(symbols, np.zeros(symbols.size, np.uint8), bank)]
        payload = coder.encode(parts, lanes)
        assert decode(coder, payload, parts)[0].tolist() == symbols.tolist()


def test_later_indexes_may_follow_from_earlier_symbols(coder: Any) -> None:
    bank = bell_bank(4, 20)
    first = drawn(bank, 1000, 1)
    indexes = np.abs(first[0]) % 4
    payload = coder.encode([first, (indexes[::-1], indexes, bank)])
    decoder = coder.decoder(payload)
    again = np.abs(decoder.decode(first[1], bank)) % 4
    assert decoder.decode(again, bank).tolist() == indexes[::-1].tolist()
    decoder.finish()


def test_the_empty_message_is_the_empty_payload(coder: Any) -> None:
    bank = bell_bank(1)
    nothing = np.zeros(0, np.int32)
    assert coder.encode([]) == b""
    assert coder.encode([(nothing, nothing, bank)] * 2, 8) == b""
    assert decode(coder, b"", [(nothing, nothing, bank)])[0].size == 0
    with pytest.raises(CorruptDataError, match="empty"):
        coder.decoder(b"").decode(np.zeros(1, int), bank)
    with pytest.raises(CorruptDataError, match="without symbols"):
        coder.decoder(rans.frame_header([rans.LOWER])).finish()


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"\x0b" + b"\0" * 9000, "lanes"),
        (b"\xff", "lanes"),
        (b"\x00\xff\xff", "header"),
        (b"\x01\xff\xff\xff\xff\xff\xff\xff", "header"),
        (b"\x00\xff\xff\x00\x00", "below"),
    ],
)
def test_illegal_headers_are_corrupt(coder: Any, payload: bytes, complaint: str) -> None:
    with pytest.raises(CorruptDataError, match=complaint):
        coder.decoder(payload)


@pytest.mark.parametrize(
    "spelling",
    ["8000", "ffffffff7f", "808080808001", "feffffff1f", "8180808010", "80", ""],
    ids=["padded", "34 bits", "six bytes", "above int32", "below int32", "cut", "missing"],
)
@pytest.mark.parametrize("padding", [0, 40])  # beyond the C coder's fast rows, and within
def test_illegal_escapes_are_corrupt(coder: Any, spelling: str, padding: int) -> None:
    bank = TableBank.build([-5], [[TOTAL - 1, 1]])
    symbol, index = np.array([0], np.int32), np.zeros(1, np.uint8)
    legal = coder.encode([(symbol, index, bank)], 1)
    assert legal[-1] == 8  # -5 is the table's only symbol: 0 is 4 above -4
    body = legal[:-1] + bytes.fromhex(spelling)
    cut = spelling in ("80", "")
    with pytest.raises(CorruptDataError):
        decode(coder, body + (b"" if cut else b"\0" * padding), [(symbol, index, bank)])


@pytest.mark.parametrize(
    ("symbols", "indexes", "lanes"),
    [
        ([1], [1], None), ([1], [-1], None), ([1, 2], [0], None), ([[1]], [[0]], None),
        ([1.0], [0], None), ([1], [0.0], None), ([1 << 31], [0], None), ([1], [0], 3),
        ([1], [0], 0), ([1], [0], 2048),
    ],
)  # fmt: skip
def test_wrong_arguments_are_value_errors(
    coder: Any, symbols: list[Any], indexes: list[Any], lanes: int | None
) -> None:
    bank = TableBank.build([0], [[1, TOTAL - 1]])
    with pytest.raises(ValueError, match=r"index|symbols|lanes"):
        coder.encode([(np.array(symbols), np.array(indexes), bank)], lanes)


def test_wrong_indexes_and_backends_are_value_errors(coder: Any) -> None:
    bank = TableBank.build([0], [[1, TOTAL - 1]])
    payload = coder.encode([(np.zeros(3, int), np.zeros(3, int), bank)])
    with pytest.raises(ValueError, match="indexes"):
        coder.decoder(payload).decode(np.array([0, 1, 0]), bank)
    with pytest.raises(ValueError, match="backend"):
        fast.encode([], backend="gpu")  # pyright: ignore[reportArgumentType]


def escape_excess(part: rans.Part) -> int:
    """Bytes of the escapes' varints."""
    symbols, indexes, bank = part
    above = bank.minimums[indexes] + bank.sizes[indexes].astype(np.int64) - 1
    high, low = symbols - above, bank.minimums[indexes] - 1 - symbols.astype(np.int64)
    codes = np.where(high >= 0, 2 * high, 2 * low + 1)[(high >= 0) | (low >= 0)]
    return sum(max(1, -(-int(code).bit_length() // 7)) for code in codes)


@pytest.mark.parametrize("count", [1, 10, 100, 1000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("kind", ["low", "mixed", "high", "nearly certain", "flat"])
def test_overhead_is_within_a_thousandth_and_24_bytes(
    fast_coder: Any, kind: str, count: int
) -> None:
    if count == 1_000_000 and kind not in ("low", "high"):
        pytest.skip("the two extremes are enough at this size")
    if kind == "nearly certain":
        part = drawn(TableBank.build([0], [[TOTAL - 1, 1]]), count, count)
    elif kind == "flat":
        part = drawn(TableBank.build([0], [apportion([1] * 1000)]), count, count)
    else:
        tables = {"low": slice(0, 3), "mixed": slice(None), "high": slice(12, None)}[kind]
        part = drawn(bell_bank(), count, count, tables)
    symbols, indexes, bank = part
    freqs = bank.freqs[bank.entries_of(symbols, indexes.astype(np.uint16))]
    bits = math.fsum((np.log2(TOTAL) - np.log2(freqs)).tolist())
    ideal = bits / 8 + escape_excess(part)
    payload = fast_coder.encode([part])
    assert len(payload) <= ideal * 1.001 + 24
    if ideal < 64:
        assert payload[0] == 0  # one lane: a small message stays small
    assert np.array_equal(decode(fast_coder, payload, [part])[0], symbols)


def test_all_coders_choose_the_same_lanes(fast_coder: Any) -> None:
    for count in (1, 300, 3000, 100_000):
        part = drawn(bell_bank(), count, 7)
        lanes = rans.choose_lanes([rans.check_part(*part)])
        assert fast_coder.encode([part])[0] == lanes.bit_length() - 1


def test_a_message_longer_than_any_bound_on_its_bytes(fast_coder: Any) -> None:
    # 300,000 symbols in five bytes: what hostile input can claim costs time, not memory faults
    bank = TableBank.build([0], [[TOTAL - 1, 1]])
    part = (np.zeros(100, np.int32), np.zeros(100, np.uint8), bank)
    payload = fast_coder.encode([part], 1)
    with pytest.raises(CorruptDataError):
        decode(fast_coder, payload, [(part[0], np.zeros(300_000, np.uint8), bank)])
