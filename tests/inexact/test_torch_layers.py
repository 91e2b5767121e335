"""PyTorch computes the same float layers as NumPy, but for the order of sums."""

import numpy as np
import pytest

from intact import decode, encode
from intact.bottleneck.floats import FloatLayer
from intact.bottleneck.hyperprior import ROLES, Hyperprior
from intact.codec.pixels import to_network
from intact.errors import ArgumentError
from intact.inexact import layers
from intact.inexact.networks import FloatNetworks
from tiny_hyperprior import tiny_hyperprior
from tiny_model import picture

pytest.importorskip("torch")

from intact.inexact import torch_layers


def random(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


LAYERS = {
    "conv": {"weight": random(4, 3, 5, 5), "bias": random(4)},
    "conv, halving": {"weight": random(4, 3, 5, 5), "bias": random(4)},
    "conv, 1x1": {"weight": random(4, 3, 1, 1), "bias": random(4)},
    "transposed": {"weight": random(3, 4, 5, 5), "bias": random(4)},
    "transposed, 1x1": {"weight": random(3, 4, 1, 1), "bias": random(4)},
    "gdn": {"beta": np.abs(random(3)) + 0.1, "gamma": np.abs(random(3, 3))},
    "igdn": {"beta": np.abs(random(3)) + 0.1, "gamma": np.abs(random(3, 3))},
    "relu": {},
    "abs": {},
    "log": {"floor": np.array([0.01], np.float32)},
    "scale": {"factor": random(3)},
    "offset": {"value": random(1)},
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name):
    op = name.partition(",")[0]
    stride = 2 if op == "transposed" or "halving" in name else 1
    layer = FloatLayer(op, LAYERS[name], stride)
    x = random(7, 10, 3, seed=4)
    import torch

    found = torch_layers.apply(layer, torch.from_numpy(x).permute(2, 0, 1)[None])
    np.testing.assert_allclose(
        found[0].permute(1, 2, 0), layers.apply(layer, x), rtol=1e-4, atol=1e-4
    )


def test_whole_networks():
    bottleneck = tiny_hyperprior("float").bottleneck_of(Hyperprior)
    for role in ROLES:
        network = bottleneck.networks[role.name]
        x = 40 * random(12, 8, {"y": 4, "z": 3, "pixels": 3}[role.inputs[0].name])
        found, wanted = torch_layers.run(network, x), layers.run(network, x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-2)


def test_the_backend_says_which_library():
    model = tiny_hyperprior("float")
    pixels = to_network(picture(40, 50), 16)
    runs = {b: FloatNetworks(model, 1, b, 1) for b in ("numpy", "torch")}
    assert [r.library for r in runs.values()] == ["numpy", "torch"]
    one, other = (r.real("analysis", {"pixels": pixels}) for r in runs.values())
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)
    assert not np.array_equal(one, other)  # float32: other sums, other last bits


def test_a_file_of_an_integer_prior_has_the_same_latents_in_both():
    model = tiny_hyperprior("prior")
    data = encode(picture(40, 50), model=model, allow_inexact=True, backend="torch")
    pixels = [
        decode(data, model=model, allow_inexact=True, backend=b).pixels for b in ("numpy", "torch")
    ]  # the checksum of the latents is met twice
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 1


def test_other_precisions_are_for_experiments():
    """float64 brings the libraries together, bfloat16 takes them away from float32."""
    model = tiny_hyperprior("float")
    pixels = to_network(picture(64, 64), 16)
    found = {}
    for library in ("numpy", "torch"):
        for precision in ("float32", "float64", "bfloat16"):
            networks = FloatNetworks(model, 1 << 16, library, 1)
            networks.precision = precision
            if (library, precision) == ("numpy", "bfloat16"):
                with pytest.raises(ArgumentError, match=r"precision = 'bfloat16'; numpy has it"):
                    networks.real("analysis", {"pixels": pixels})
                continue
            found[library, precision] = networks.real("analysis", {"pixels": pixels})
            assert found[library, precision].dtype == np.float32
    for precision in ("float16", "single"):
        networks.precision = precision  # type: ignore[assignment]
        with pytest.raises(ArgumentError, match=f"'{precision}'; legal: float32, float64, bfloat1"):
            networks.real("analysis", {"pixels": pixels})
    wanted = found["numpy", "float64"]
    size = np.abs(wanted).max()
    assert np.abs(found["torch", "float64"] - wanted).max() <= 2**-23 * size
    assert 0 < np.abs(found["numpy", "float32"] - wanted).max() < 1e-4 * size
    assert np.abs(found["torch", "bfloat16"] - wanted).max() > 1e-3 * size
