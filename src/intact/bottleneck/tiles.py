"""The payloads of an image, each a message that is read part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from intact.bits.fast import Backend, Decoder
from intact.bits.tables import TableBank
from intact.bottleneck import hyper
from intact.bottleneck.grid import Layout, Window

Piece = tuple[np.ndarray, np.ndarray]
"""Places [n] in a flattened window, and the symbols int32 [n] there."""


def sent_places(index: np.ndarray, wanted: np.ndarray, skip: int) -> np.ndarray:
    """Flat places [n] of the wanted symbols that are sent: those of tables from ``skip`` on.

    Takes a tenth of a boolean mask's time.
    """
    sent = index >= skip
    sent &= wanted
    return np.flatnonzero(sent)


class Tiles:
    """The decoders of the tiles that were asked for, each somewhere in its message.

    Args:
        payloads: of all tiles.
        layout: of the image.
        coder: of entropy; the fastest one here when None.
    """

    def __init__(self, payloads: Sequence[bytes], layout: Layout, coder: Backend | None) -> None:
        self.payloads, self.layout = payloads, layout
        self.coder: Backend | None = coder
        self._decoders: dict[int, Decoder] = {}

    def hyper(
        self, window: Window, bank: TableBank, first: int = 0, channels: int | None = None
    ) -> np.ndarray:
        """int8 [h, w, n]: begin the tiles of a window of latents, which they fill, with their z.

        Tables as in `intact.bottleneck.hyper.read`.
        """
        outer = window.shrink(hyper.HYPER_RATIO)
        count = bank.num_tables if channels is None else channels
        z = np.zeros((*outer.shape, count), np.int8)
        for number in self.layout.tiles(window):
            cells = self.layout.tile(number).shrink(hyper.HYPER_RATIO)
            decoder = self._begin(number)
            z[cells.within(outer)] = hyper.read(decoder.decode, cells.shape, bank, first, count)
        return z

    def begin(self, window: Window) -> None:
        """Begin the tiles of a window of latents; nothing comes before their symbols."""
        for number in self.layout.tiles(window):
            self._begin(number)

    def _begin(self, number: int) -> Decoder:
        decoder = self._decoders[number] = Decoder(self.payloads[number], backend=self.coder)
        return decoder

    def all_symbols(self, window: Window, index: np.ndarray, bank: TableBank) -> np.ndarray:
        """int32 [h, w, m]: decode all symbols of a window of latents that whole tiles fill.

        Args:
            window: where.
            index: unsigned [h, w, m], the table of each symbol.
            bank: the tables.
        """
        symbols = np.zeros(index.shape, np.int32)
        for number in self.layout.tiles(window):
            place = self.layout.tile(number).within(window)
            tables = index[place]
            decoded = self._decoders[number].decode(tables.ravel(), bank)
            symbols[place] = decoded.reshape(tables.shape)
        return symbols

    def sent(
        self,
        window: Window,
        index: np.ndarray,
        wanted: np.ndarray,
        bank: TableBank,
        skip: int,
    ) -> Iterator[Piece]:
        """Decode one pass of a window of latents that whole tiles fill, tile by tile.

        Args:
            window: where.
            index: uint8 [h, w, m], the table of each symbol.
            wanted: bool [h, w, m], which symbols are of this pass.
            bank: the tables.
            skip: tables below it are not sent.
        """
        _, across, channels = index.shape
        kind = np.int32 if index.size < 1 << 31 else np.intp  # half of what `flatnonzero` gives
        for number in self.layout.tiles(window):
            place = self.layout.tile(number).within(window)
            tables = index[place]
            places = sent_places(tables, wanted[place], skip)
            symbols = self._decoders[number].decode(tables.take(places), bank)
            if tables.shape[1] != across:  # narrower than the window
                row, rest = np.divmod(places, tables.shape[1] * channels)
                places = row * (across * channels) + (rest + place[1].start * channels)
            places += place[0].start * across * channels
            yield places.astype(kind, copy=False), symbols

    def symbols(
        self,
        window: Window,
        index: np.ndarray,
        wanted: np.ndarray,
        bank: TableBank,
        skip: int,
    ) -> np.ndarray:
        """int32 [h, w, m]: the same, with 0 wherever nothing is sent."""
        symbols = np.zeros(index.shape, np.int32)
        flat = symbols.reshape(-1)
        for places, found in self.sent(window, index, wanted, bank, skip):
            flat[places] = found
        return symbols

    def finish(self, window: Window) -> None:
        """Check that the messages of the tiles in a window ended as they began.

        Raises:
            CorruptDataError: one did not.
        """
        for number in self.layout.tiles(window):
            self._decoders[number].finish()
