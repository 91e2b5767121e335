"""A band of rows on its way through the NumPy backend, and the rows around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from intact.intnet.program import Conv

TILE = 8  # channel vectors are repeated so that ufunc inner loops are long enough


@dataclass(eq=False)
class Band:
    """One band of rows on its way through a segment, with buffers that the next band reuses."""

    stored: dict[str, np.ndarray]
    slots: dict[str, int] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    width: int = 0
    values: dict[str, np.ndarray] = field(default_factory=dict)
    _buffers: dict[tuple[object, np.dtype], np.ndarray] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Positions in the band."""
        return (self.last - self.first) * self.width

    def scratch(self, key: object, count: int, dtype: type = np.float32) -> np.ndarray:
        """A flat buffer; zeros at first, so that unused tails never hold a NaN."""
        name = (key, np.dtype(dtype))
        if name not in self._buffers or self._buffers[name].size < count:
            self._buffers[name] = np.zeros(count, dtype)
        return self._buffers[name][:count]

    def matrix(self, key: object, channels: int, dtype: type = np.float32) -> np.ndarray:
        """A buffer [count rounded up to TILE, channels]."""
        rows = -(-self.count // TILE) * TILE
        return self.scratch(key, rows * channels, dtype).reshape(rows, channels)

    def new(self, name: str, channels: int) -> np.ndarray:
        """The register of a value made in this band."""
        self.values[name] = self.matrix(self.slots[name], channels)
        return self.values[name]

    def read(self, name: str) -> np.ndarray:
        """A value at the band's positions, loaded if it is not there yet."""
        if name not in self.values:
            rows = self.stored[name][self.first : self.last]
            target = self.new(name, rows.shape[2])
            np.copyto(target[: self.count], rows.reshape(self.count, -1), casting="unsafe")
        return self.values[name]


def tiled(vector: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """A value for each channel, TILE times: for rows as `wide_rows` has them."""
    return np.tile(vector.astype(dtype), TILE)


def wide_rows(matrix: np.ndarray) -> np.ndarray:
    """[positions, channels] as [positions / TILE, TILE * channels]."""
    return matrix.reshape(-1, TILE * matrix.shape[1])


def padded_rows(band: Band, op: Conv, dtype: type) -> np.ndarray:
    """Rows of the source that the band's taps see, padded as the layer says: [rows, columns, c]."""
    source = band.stored[op.source]
    taps, stride = op.weight.shape[2], op.stride
    margin = taps // 2
    height, width, channels = source.shape
    rows = (band.last - band.first - 1) * stride + taps
    columns = (band.width - 1) * stride + taps
    # The tail lets a depthwise tap run past the last row (see _depthwise).
    flat = band.scratch("padded", (rows * columns + 2 * TILE) * channels, dtype)
    padded = flat[: rows * columns * channels].reshape(rows, columns, channels)
    top = band.first * stride - margin
    begin, end = max(top, 0), min(top + rows, height)
    right = min(columns - margin, width)
    inner = padded[begin - top : end - top, margin : margin + right]
    np.copyto(inner, source[begin:end, :right], casting="unsafe")
    if op.edge:
        # Columns first: the rows above and below repeat them, too.
        whole = padded[begin - top : end - top]
        whole[:, :margin] = whole[:, margin : margin + 1]
        whole[:, margin + right :] = whole[:, margin + right - 1 : margin + right]
        padded[: begin - top] = padded[begin - top]
        padded[end - top :] = padded[end - top - 1]
    else:
        padded[: begin - top] = padded[end - top :] = 0
        padded[:, :margin] = padded[:, margin + right :] = 0
    return padded
