"""Float networks as ONNX graphs: valid, and the same functions as NumPy's."""

import math

import numpy as np
import pytest

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.bottleneck.hyperprior import ROLES, Hyperprior
from intact.inexact import layers, onnx_layers
from tiny_hyperprior import tiny_hyperprior


def random(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


EVERY = FloatNetwork((
    FloatLayer("offset", {"value": random(3)}),
    FloatLayer("conv", {"weight": random(4, 3, 5, 5), "bias": random(4)}, 2),
    FloatLayer("gdn", {"beta": np.abs(random(4)) + 1, "gamma": np.abs(random(4, 4))}),
    FloatLayer("transposed", {"weight": random(4, 3, 5, 5), "bias": random(3)}, 2),
    FloatLayer("igdn", {"beta": np.abs(random(3)) + 1, "gamma": np.abs(random(3, 3))}),
    FloatLayer("abs"),
    FloatLayer("scale", {"factor": random(1)}),
    FloatLayer("relu"),
    FloatLayer("conv", {"weight": random(2, 3, 1, 1), "bias": random(2)}),
    FloatLayer("log", {"floor": np.array([0.5], np.float32)}),
))  # fmt: skip
"""Every operation."""


def test_the_package_onnx_accepts_a_graph():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(onnx_layers.graph(EVERY, 3))
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("size", [(8, 12), (16, 10)])
def test_onnx_runtime_computes_them(size):
    pytest.importorskip("onnxruntime")
    x = random(*size, 3)
    wanted = layers.run(EVERY, x)
    np.testing.assert_allclose(onnx_layers.run(EVERY, x), wanted, rtol=1e-3, atol=1e-3)
    bottleneck = tiny_hyperprior("float").bottleneck_of(Hyperprior)
    for role in ROLES:
        network = bottleneck.networks[role.name]
        x = 40 * random(*size, {"y": 4, "z": 3, "pixels": 3}[role.inputs[0].name])
        found, wanted = onnx_layers.run(network, x), layers.run(network, x)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-2)


def test_the_functions_of_equation_14():
    pytest.importorskip("onnxruntime")
    x = np.linspace(0, 8, 600, dtype=np.float32).reshape(20, 30)
    np.testing.assert_allclose(onnx_layers.exp(-x), np.exp(-x), rtol=1e-5)
    wanted = np.vectorize(math.erfc)(x)
    np.testing.assert_allclose(onnx_layers.erfc(x), wanted, atol=5e-7)
