"""Small models of the kind `vector` made by hand, one for each form of it.

Transforms are those of `tiny_model`, whose eight latents are the mean colors of 8x8 blocks; slots
are two of four channels, or eight of one. The third form decides by the largest of some logits.
"""

from __future__ import annotations

import numpy as np

from intact.bits.apportion import apportion
from intact.bits.tables import TableBank
from intact.bottleneck.vector import Vector
from intact.codec.model import Model
from intact.intnet.program import Conv, Program, Unshuffle, Value
from tiny_model import INT16, M, analysis, conv, synthesis

MODELS = ("vector", "scalar", "logits")
SIZES = {"vector": (1, 2, 60, 4), "scalar": (8, 8, 12, 1), "logits": (2, 2, 9, 4)}
"""Books, slots, centers, numbers."""


def logits(random: np.random.Generator, channels: int) -> Program:
    """Sums of the features of `tiny_model`, as many as are asked for."""
    features = analysis().ops[1]
    assert isinstance(features, Conv)
    narrow = Conv(
        "blocks", "features", features.weight, features.bias, features.slope,
        features.divisor * 8 + 1, stride=2, low=-128, high=127,
    )  # fmt: skip
    last = conv(random, "features", "y", (M, channels), INT16, taps=3)
    return Program(
        "analysis", (Value("pixels", 3, -128, 127),),
        (Unshuffle("pixels", "blocks", 8), narrow, last), ("y",),
    )  # fmt: skip


def tables(slots: int, size: int, entries: int) -> TableBank:
    """Falling frequencies of the first ``entries`` symbols; the others are escapes."""
    rows = []
    for slot in range(slots):
        weights = 2000 // (np.arange(min(size, entries)) + 2 + slot)
        rows.append(apportion(np.append(weights, 60)))
    return TableBank.build([0] * slots, rows)


def tiny_vector(which: str = "vector", seed: int = 11) -> Model:
    """The model of a form."""
    random = np.random.default_rng(seed)
    books, slots, size, numbers = SIZES[which]
    codebook = np.rint(400 * random.standard_normal((books, size, numbers))).astype(int)
    codebook[:, :, 0] *= 4  # the first channel of a slot is the widest
    order = np.stack([random.permutation(size) for _ in range(slots)])
    first = logits(random, slots * size) if which == "logits" else analysis()
    return Model(
        name=f"tiny {which}",
        programs={"analysis": first, "synthesis": synthesis(random)},
        bottleneck=Vector(
            codebook, order, tables(slots, size, 40), "largest" if which == "logits" else "nearest"
        ),
        info={"trained": "not at all"},
    )
