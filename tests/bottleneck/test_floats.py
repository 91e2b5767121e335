"""Float networks as data: what a model of unknown origin may make a machine do."""

import numpy as np
import pytest

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.roles import Role, Signal
from intact.errors import ModelError

ROLE = Role("analysis", (Signal("pixels", 3, -128, 127, 1),), (Signal("y", "M", -9, 9, 16),))


def conv(inputs: int, outputs: int, side: int = 1, stride: int = 1) -> FloatLayer:
    arrays = {
        "weight": np.zeros((outputs, inputs, side, side), np.float32),
        "bias": np.zeros(outputs, np.float32),
    }
    return FloatLayer("conv", arrays, stride)


def halving(first: FloatLayer, channels: int) -> FloatNetwork:
    return FloatNetwork((first, *[conv(channels, channels, 3, 2)] * 4))


def test_the_cost_is_that_of_the_layers_at_their_size():
    network = halving(conv(3, 8, 5), 8)
    macs, most = network.cost(ROLE, 3)
    assert macs == 3 * 8 * 25 + 8 * 8 * 9 * (1 / 4 + 1 / 16 + 1 / 64 + 1 / 256)
    assert most == 4 * 8
    network.check(ROLE, {})


def test_too_many_multiplications_are_refused():
    with pytest.raises(
        ModelError, match=r"float analysis: multiplications per pixel: \d+, at most"
    ):
        halving(conv(3, 400, 7), 400).check(ROLE, {})


def test_too_large_values_are_refused():
    slim = FloatNetwork((conv(3, 257), conv(257, 4), *[conv(4, 4, 1, 2)] * 4))
    with pytest.raises(ModelError, match="float analysis: bytes per pixel: 1028, at most 1024"):
        slim.check(ROLE, {})


def test_the_paper_s_largest_networks_are_not_too_large():
    """Ballé 2019, section 6: 256 filters of 5x5, and here 320 latents."""
    layers = [conv(3, 256, 5, 2), conv(256, 256, 5, 2), conv(256, 256, 5, 2), conv(256, 320, 5, 2)]
    FloatNetwork(tuple(layers)).check(ROLE, {})
    assert Hyperprior.LATENT_PX == 16
