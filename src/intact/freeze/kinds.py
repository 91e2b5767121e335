"""How each kind of codec is frozen, by the name that ``codec.kind`` has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from intact.codec.model import Model
from intact.freeze import channelwise, checkerboard, hyperprior, vector
from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.hyperprior import HyperpriorNet
from intact.train.codecs.vector import VectorNet


class Freeze(Protocol):
    """Freezes a trained codec whose networks are integer where its kind wants it."""

    def __call__(
        self,
        net: Any,
        name: str,
        images: list[np.ndarray],
        info: dict[str, str] | None = None,
        *,
        dead_zone: float | None = None,
        progress: Callable[[], None] | None = None,
    ) -> Model:
        """Freeze.

        Args:
            net: the codec.
            name: of the model.
            images: uint8 [h, w, 3], of the training, to count symbols on.
            info: plain text kept in the model.
            dead_zone: the encoder's rounding offset as a share of the step, 0..0.5; the kind's own
                when None.
            progress: called after each image.

        Raises:
            ModelError: a bound cannot be proven.
        """
        ...


KINDS: dict[str, Freeze] = {
    CodecNet.KIND: checkerboard.freeze,
    ChannelwiseNet.KIND: channelwise.freeze,
    HyperpriorNet.KIND: hyperprior.freeze,
    VectorNet.KIND: vector.freeze,
}
