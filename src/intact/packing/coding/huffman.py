"""Method "huffman": a canonical Huffman code for all symbols of a segment.

Normative, with docs/spec/weights_coding.md. Agustsson et al. 2017, table 1, counts it next to the
arithmetic coder. Code words are at most `MAX_LENGTH` bits long, which costs nothing that can be
measured; lengths stand in the same bits as the symbols.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.errors import ArgumentError
from intact.packing.coding import kernels
from intact.packing.coding.alphabet import choose_table
from intact.packing.coding.huffman_reader import ESCAPE_BITS, MAX_LENGTH, BitReader, Code
from intact.packing.coding.shape import WHAT, Backend, Shape, Symbols
from intact.packing.coding.static import table_place

CHUNK: Final = 1 << 16
"""Symbols that are made bits at a time."""


def code_lengths(counts: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Length of each symbol's code word in bits: the shortest code with words of 24 bits at most.

    Package-merge (Larmore and Hirschberg 1990) where Huffman's own algorithm exceeds that.

    Args:
        counts: how often each symbol occurs, at most 2**24 of them above 0.

    Returns:
        0 for symbols that do not occur; 1 for one that is alone.

    Raises:
        ArgumentError: a count is negative, or too many occur.

    Example:
        >>> code_lengths([4, 2, 1, 0, 1]).tolist()
        [1, 2, 3, 0, 3]
    """
    weights = [int(count) for count in counts]
    if any(weight < 0 for weight in weights):
        raise ArgumentError("a count is negative")
    used = [symbol for symbol, weight in enumerate(weights) if weight]
    if len(used) > 1 << MAX_LENGTH:
        raise ArgumentError(f"{len(used)} symbols occur, at most 2**{MAX_LENGTH} can")
    lengths = np.zeros(len(weights), np.int64)
    if len(used) == 1:
        lengths[used[0]] = 1
    elif used:
        found = _huffman([weights[symbol] for symbol in used])
        if max(found) > MAX_LENGTH:
            found = _package_merge([weights[symbol] for symbol in used])
        lengths[used] = found
    return lengths


def _huffman(weights: list[int]) -> list[int]:
    """Lengths by Huffman's algorithm, of at least two symbols."""
    heap = [(weight, node) for node, weight in enumerate(weights)]
    heapq.heapify(heap)
    parents = [0] * (2 * len(weights) - 1)
    for node in range(len(weights), len(parents)):
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        parents[first[1]] = parents[second[1]] = node
        heapq.heappush(heap, (first[0] + second[0], node))
    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return depths[: len(weights)]


def _package_merge(weights: list[int]) -> list[int]:
    """Lengths of at most MAX_LENGTH bits: the 2 n - 2 cheapest items deepen their symbols."""
    coins = sorted((weight, (symbol,)) for symbol, weight in enumerate(weights))
    row = coins
    for _ in range(MAX_LENGTH - 1):
        pairs = zip(row[0::2], row[1::2], strict=False)
        row = sorted(coins + [(a[0] + b[0], a[1] + b[1]) for a, b in pairs])
    lengths = [0] * len(weights)
    for _, symbols in row[: 2 * len(weights) - 2]:
        for symbol in symbols:
            lengths[symbol] += 1
    return lengths


def code_words(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The canonical words: of one length in the order of symbols, shorter ones first."""
    words = np.zeros(lengths.size, np.int64)
    word = previous = 0
    for symbol in np.lexsort((np.arange(lengths.size), lengths)).tolist():
        length = int(lengths[symbol])
        if length:
            word <<= length - previous
            words[symbol], previous = word, length
            word += 1
    return words


def encode(symbols: Symbols, shape: Shape, backend: Backend | None) -> bytes:
    """The table's place, then bits: the lengths of the code words, and those of the symbols."""
    del backend  # NumPy does it fast enough
    minimum, counts = choose_table(symbols, shape.low, shape.high)
    escapes = symbols.size - int(counts.sum())
    lengths = code_lengths([*counts.tolist(), escapes])
    words = code_words(lengths)
    head = varint.encode(minimum - shape.low) + varint.encode(counts.size - 1)
    pieces = [_length_bits(lengths)]
    for start in range(0, symbols.size, CHUNK):
        part = symbols[start : start + CHUNK].astype(np.int64)
        places = part - minimum
        places[(places < 0) | (places >= counts.size)] = counts.size
        if escapes and (places == counts.size).any():
            pieces += _with_escapes(part, places, counts.size, words, lengths, shape.low)
        else:
            pieces.append(_bits(words[places], lengths[places]))
    return head + np.packbits(np.concatenate(pieces)).tobytes()


def _with_escapes(
    part: NDArray[np.int64],
    places: NDArray[np.int64],
    escape: int,
    words: NDArray[np.int64],
    lengths: NDArray[np.int64],
    low: int,
) -> list[NDArray[np.uint8]]:
    """Bits of some symbols, the escaped ones behind their code word."""
    pieces: list[NDArray[np.uint8]] = []
    start = 0
    for at in [*np.flatnonzero(places == escape).tolist(), places.size - 1]:
        chosen = places[start : at + 1]
        pieces.append(_bits(words[chosen], lengths[chosen]))
        if chosen.size and chosen[-1] == escape:
            pieces.append(_bits(part[at : at + 1] - low, np.array([ESCAPE_BITS])))
        start = at + 1
    return pieces


def _bits(words: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bits of some code words, the highest of each first."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    owners = np.repeat(np.arange(lengths.size), lengths)
    below = ends[owners] - 1 - np.arange(total)
    return (words[owners] >> below & 1).astype(np.uint8)


def _length_bits(lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Differences of lengths in order, the first from 0, as Elias gamma codes of zigzag + 1."""
    codes = np.array([varint.zigzag(int(step)) + 1 for step in np.diff(lengths, prepend=0)])
    sizes = np.array([2 * int(code).bit_length() - 1 for code in codes])
    return _bits(codes, sizes)


def decode(data: bytes, shape: Shape, backend: Backend | None) -> Symbols:
    """Inverse of `encode`.

    Raises:
        CorruptDataError: the lengths are no code's, or the bits end early or late.
    """
    cursor = Cursor(data, f"{WHAT}, huffman")
    minimum, size = table_place(cursor, shape)
    payload = cursor.take(cursor.remaining, "bits")
    reader = BitReader(payload)
    code = Code.of(minimum, reader.lengths(size + 1))
    native = kernels.functions(backend)
    if native is None:
        symbols = reader.symbols(code, shape)
    else:
        symbols = reader.symbols_native(native, code, shape)
    reader.finish()
    return symbols
