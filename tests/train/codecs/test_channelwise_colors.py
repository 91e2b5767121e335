"""The training's colors are the codec's: same positions, same neighbors."""

import numpy as np
import torch

from intact.bottleneck import anchors
from intact.bottleneck.grid import Window
from intact.bottleneck.order import pass_a_mask
from intact.train.codecs.channelwise_colors import correct_first, correct_second


def test_corrections_are_those_of_the_codec_but_for_rounding():
    random = np.random.default_rng(1)
    mean, y = random.normal(0, 300, (2, 1, 20, 36, 3))
    start = (6, 12)

    rounded = np.rint(y[0]).astype(np.int16)

    def exact(means, rows, columns):
        return rounded[rows, columns]

    steps = torch.full((1, 1, 1, 3), 1e-4, dtype=torch.float64)
    found = correct_first(torch.tensor(mean), torch.tensor(y), steps, start)[0].numpy()
    whole = anchors.correct_first(np.rint(mean[0]).astype(np.int16), start, exact)
    mask = pass_a_mask(Window(*start, start[0] + 20, start[1] + 36), 3, 3)
    assert np.abs(found - whole)[mask].max() < 3
    later = correct_second(torch.tensor(mean), torch.tensor(y))[0].numpy()
    wanted = anchors.correct_second(np.rint(mean[0]).astype(np.int16), rounded)
    assert np.abs(later - wanted).max() < 3
