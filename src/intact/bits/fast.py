"""The entropy coder to use: the same bytes as `intact.bits.rans`, by the fastest means here.

That is native/rans.c where it was built and codes a known message right, `intact.bits.fallback`
elsewhere.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from intact import native
from intact.bits import rans
from intact.bits.rans import LOWER
from intact.bits.tables import COST_BITS, TOTAL, TableBank
from intact.errors import CorruptDataError
from intact.locks import Lock

if TYPE_CHECKING:
    from jaxtyping import Int, Int32, UInt16

    from intact.bits.rans import Part

Backend = Literal["native", "python"]

MAX_SYMBOL_BYTES = 7

_LOG = logging.getLogger(__name__)
_LOCK = Lock()
_refused = ""
"""Why the native coder is not used in this process."""

_NATIVE_ERRORS = {1: "payload ends", 2: "impossible escape"}


def encode(
    parts: Sequence[Part], lanes: int | None = None, *, backend: Backend | None = None
) -> bytes:
    """Encode the parts of one message; inverse of `Decoder`, equal to `rans.encode`.

    Args:
        parts: (symbols, indexes, bank) in the order in which they will be decoded.
        lanes: a power of two up to 1024; follows the ideal length when None.
        backend: the fastest one available when None.

    Returns:
        The payload; ``b""`` for a message without symbols.

    Raises:
        ValueError: an index is not in its bank, arrays differ in length or kind, ``lanes`` is
            illegal or ``backend`` is not available.
    """
    functions = _functions_for(backend)
    message = [rans.check_part(*part) for part in parts]
    if not any(symbols.size for symbols, _, _ in message):
        return b""
    if lanes is not None:
        rans.check_lanes(lanes)
    if functions is not None:
        return _encode_native(functions, message, lanes)
    from intact.bits import fallback  # takes long to load, and is seldom needed

    entries = [bank.entries_of(symbols, indexes) for symbols, indexes, bank in message]
    lanes = lanes or rans.lanes_for(rans.ideal_bytes(message, entries))
    return fallback.encode(message, entries, lanes)


class Decoder:
    """Decodes one payload part by part; inverse of `encode`, equal to `rans.Decoder`.

    Call `finish` at the end: only then is it certain that nothing was left over.
    """

    def __init__(
        self,
        payload: bytes,
        *,
        backend: Backend | None = None,
        _functions: ctypes.CDLL | None = None,
    ) -> None:
        """Read the header.

        Raises:
            CorruptDataError: the header is cut short, or its lane count or a state is illegal.
            ValueError: ``backend`` is not available.
        """
        self._functions = _functions or _functions_for(backend)
        self._payload = bytes(payload)
        states, self._position = rans.parse_header(self._payload)
        self._states = np.array(states, np.uint32)
        self._num_symbols = 0

    def decode(self, indexes: Int[np.ndarray, " n"], bank: TableBank) -> Int32[np.ndarray, " n"]:
        """Decode the next part: one symbol per table index.

        Raises:
            CorruptDataError: the payload ends early, or holds an impossible escape. A flipped bit
                may still decode to wrong symbols: checksums belong to the container.
            ValueError: an index is not in the bank.
        """
        tables = rans.check_indexes(indexes, bank)
        if not tables.size:
            return np.zeros(0, np.int32)
        if not self._states.size:
            raise CorruptDataError("payload is empty, but symbols were expected")
        if self._functions is not None:
            symbols = self._decode_native(self._functions, tables, bank)
        else:
            from intact.bits import fallback

            symbols, self._position = fallback.decode(
                self._payload, self._position, self._states, tables, bank
            )
        self._num_symbols += tables.size
        return symbols

    def finish(self) -> None:
        """Check that the message ends exactly here.

        Raises:
            CorruptDataError: bytes are left over, or a lane is not back in its first state.
        """
        rans.check_end(self._payload, self._states.tolist(), self._position, self._num_symbols)

    def _decode_native(
        self, functions: ctypes.CDLL, indexes: UInt16[np.ndarray, " n"], bank: TableBank
    ) -> Int32[np.ndarray, " n"]:
        """Decode one part in C."""
        symbols = np.empty(indexes.size, np.int32)
        cursor = np.array([self._position, 0], np.int64)
        error = functions.intact_rans_decode(
            self._payload, len(self._payload), cursor.ctypes.data,
            self._states.ctypes.data, self._states.size,
            indexes.ctypes.data, indexes.size,
            bank.buckets.ctypes.data, bank.decode_entries.ctypes.data, bank.values.ctypes.data,
            bank.descriptors.ctypes.data, bank.num_tables, symbols.ctypes.data,
        )  # fmt: skip
        self._position, done = cursor.tolist()
        if error in _NATIVE_ERRORS:
            raise CorruptDataError(
                f"{_NATIVE_ERRORS[error]} at byte {self._position}, "
                f"in symbol {self._num_symbols + done}"
            )
        assert error == 0, f"intact_rans_decode returned {error}"
        return symbols


def _encode_native(functions: ctypes.CDLL, message: Sequence[Part], lanes: int | None) -> bytes:
    """Encode in C."""
    cost = 0
    found = [np.empty(symbols.size, np.uint32) for symbols, _, _ in message]
    for (symbols, indexes, bank), entries in zip(message, found, strict=True):
        cost += functions.intact_rans_look_up(
            symbols.ctypes.data, indexes.ctypes.data, symbols.size, bank.encode_costs.ctypes.data,
            bank.descriptors.ctypes.data, bank.num_tables, entries.ctypes.data,
        )  # fmt: skip
    lanes = lanes or rans.lanes_for(cost >> (COST_BITS + 3))
    capacity = MAX_SYMBOL_BYTES * sum(entries.size for entries in found)
    buffer = np.empty(capacity, np.uint8)  # untouched pages cost nothing
    states = np.full(lanes, LOWER, np.uint32)
    position = np.array([capacity], np.int64)
    for (symbols, indexes, bank), entries in zip(reversed(message), reversed(found), strict=True):
        error = functions.intact_rans_encode(
            symbols.ctypes.data, indexes.ctypes.data, entries.ctypes.data, symbols.size,
            bank.push_entries.ctypes.data, bank.descriptors.ctypes.data,
            states.ctypes.data, lanes, buffer.ctypes.data, position.ctypes.data,
        )  # fmt: skip
        assert error == 0, f"intact_rans_encode returned {error}"
    return rans.frame_header(states.tolist()) + buffer[int(position[0]) :].tobytes()


def _functions_for(backend: Backend | None) -> ctypes.CDLL | None:
    """The native functions, or None for Python.

    Raises:
        ValueError: an unknown backend, or one that is not available.
    """
    if backend not in (None, "native", "python"):
        raise ValueError(f"backend is {backend!r}, wanted 'native', 'python' or None")
    functions = None if backend == "python" else _proven()
    if backend == "native" and functions is None:
        raise ValueError(f"the native backend is not used: {_refused or 'not built here'}")
    return functions


def is_native() -> bool:
    """Whether native code codes where no backend is asked for."""
    return _proven() is not None


def refuse(reason: str) -> None:
    """Use Python from now on in this process: what native code decoded was wrong."""
    global _refused
    _LOG.warning("the native entropy coder is refused from now on: %s", reason)
    _refused = reason


def _proven() -> ctypes.CDLL | None:
    """The native functions, if they are there, right about a first message, and not refused."""
    if _refused:
        return None
    functions = _functions()
    if functions is None:
        return None
    with _LOCK:  # of threads that come together one tries it
        if not _is_right(functions):
            refuse("it codes a known message wrong")
    return None if _refused else functions


@cache
def _is_right(functions: ctypes.CDLL) -> bool:
    """Whether native code writes the bytes of `intact.bits.rans` and reads them; tried once."""
    digest = hashlib.sha256()
    parts = probe_message()
    try:
        for lanes in PROBE_LANES:
            payload = _encode_native(functions, parts, lanes)
            digest.update(payload)
            decoder = Decoder(payload, _functions=functions)
            for symbols, indexes, bank in parts:
                if not np.array_equal(decoder.decode(indexes, bank), symbols):
                    return False
            decoder.finish()
    except (CorruptDataError, AssertionError):
        return False
    return digest.hexdigest() == PROBE_DIGEST


def probe_message() -> list[Part]:
    """Two parts that take every path through the coder: tables of several sizes, and escapes."""
    at = np.arange(230, dtype=np.int64)
    mixed = at * 2654435761 % (1 << 32) >> 16  # 0..65535
    long = [30 + 17 * (k % 5) for k in range(200)]
    bank = TableBank.build(
        [-3, 0, -100],
        [[9000, 5000, 1200, 800, 300, 80, 3, 1], [TOTAL - 1, 1], [*long, TOTAL - sum(long)]],
    )
    indexes = (mixed % 7 % 3).astype(np.uint16)
    spans = np.array([7, 1, 200])[indexes]
    symbols = mixed * mixed % 1000003 * spans // 1000003 + bank.minimums[indexes]
    symbols[50], symbols[51], symbols[120] = (1 << 31) - 1, -(1 << 31), 9999
    return [
        (symbols[:93].astype(np.int32), indexes[:93], bank),
        (symbols[93:].astype(np.int32), indexes[93:], bank),
    ]


PROBE_LANES = (1, 2, 4, 8, 32)
PROBE_DIGEST = "79c40d6c48af277314d73bc436189a959fd36414777cce4fa5e0932eb8520f96"
"""SHA-256 of the payloads of `probe_message` by `intact.bits.rans`, one after the other."""


def _functions() -> ctypes.CDLL | None:
    """The native library, if there is one."""
    library = native.library()
    return None if library is None else _typed(library)


@cache
def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the argument types of the coder's functions set."""
    pointer, integer, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    library.intact_rans_decode.restype = small
    library.intact_rans_decode.argtypes = [
        ctypes.c_char_p, integer, pointer, pointer, small, pointer, integer,
        pointer, pointer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    library.intact_rans_encode.restype = small
    library.intact_rans_encode.argtypes = [
        pointer, pointer, pointer, integer, pointer, pointer, pointer, small, pointer, pointer,
    ]  # fmt: skip
    library.intact_rans_look_up.restype = integer
    library.intact_rans_look_up.argtypes = [
        pointer, pointer, integer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    return library
