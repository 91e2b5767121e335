"""The training's colors are the codec's: same positions, same neighbors."""

import numpy as np
import torch

from intact.bottleneck import anchors
from intact.bottleneck.grid import Window
from intact.bottleneck.passes import pass_numbers
from intact.train.codecs.fourstep_colors import correct_first, correct_later


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
    places = pass_numbers(Window(*start, start[0] + 20, start[1] + 36), 3, 3) == 0
    assert np.abs(found - whole)[places].max() < 3
    for diagonal in (True, False):
        later = correct_later(torch.tensor(mean), torch.tensor(y), diagonal=diagonal)[0].numpy()
        wanted = anchors.correct_later(
            np.rint(mean[0]).astype(np.int16), np.rint(y[0]).astype(np.int16), diagonal=diagonal
        )
        assert np.abs(later - wanted).max() < 3
