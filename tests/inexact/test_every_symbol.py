"""Eq. 14 in float32 for every symbol: right where the floats agree, and lost where they do not."""

import math

import numpy as np
import pytest

from intact.bits.tables import TOTAL
from intact.errors import ArgumentError, CorruptDataError
from intact.inexact import every_symbol
from intact.inexact.every_symbol import Scales

SCALES = Scales()


def latents(count=9000, seed=1):
    """Theta and symbols of its scales."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(-2, 40, count).astype(np.float32)
    slope = math.log(SCALES.high / SCALES.low) / (SCALES.count - 1)
    sigma = SCALES.low * np.exp(slope * np.clip(theta, 0, None))
    return np.rint(rng.normal(size=count) * sigma).astype(np.int32), theta


@pytest.mark.parametrize("library", ["numpy", "torch", "onnx"])
def test_it_decodes_what_it_encoded(library):
    pytest.importorskip("onnxruntime" if library == "onnx" else library)
    symbols, theta = latents()
    symbols[:3] = 5000, -5000, 12  # escapes
    data = every_symbol.encode(symbols, theta, SCALES, library)
    assert np.array_equal(every_symbol.decode(data, theta, SCALES, library), symbols)


def test_it_costs_what_the_density_says():
    symbols, theta = latents()
    data = every_symbol.encode(symbols, theta, SCALES)
    slope = math.log(SCALES.high / SCALES.low) / (SCALES.count - 1)
    sigma = SCALES.low * np.exp(slope * np.clip(theta, 0, None).astype(float))
    root = sigma * math.sqrt(2)
    mass = [0.5 * (math.erfc((abs(s) - 0.5) / r) - math.erfc((abs(s) + 0.5) / r))
            for s, r in zip(symbols.tolist(), root.tolist(), strict=True)]  # fmt: skip
    bits = -np.log2(np.maximum(mass, 1e-9)).sum()
    assert 8 * len(data) == pytest.approx(bits, rel=0.01)


def test_a_difference_in_the_last_bits_of_theta_loses_the_rest():
    symbols, theta = latents(60000)
    data = every_symbol.encode(symbols, theta, SCALES)
    other = theta.copy()
    other[::7] = np.nextafter(other[::7], np.float32(100))
    try:
        found = every_symbol.decode(data, other, SCALES)
    except CorruptDataError:
        return
    assert not np.array_equal(found, symbols)


def test_numpys_erfc_is_erfc():
    x = np.linspace(0, 20, 4001, dtype=np.float32)
    wanted = [math.erfc(v) for v in x.tolist()]
    assert np.abs(every_symbol._erfc(x) - np.array(wanted)).max() < 5e-7


def test_tables_are_valid_for_every_scale():
    sigma = np.geomspace(0.11, 256, 3000).astype(np.float32)
    bank = every_symbol.tables(sigma, every_symbol._erfc)
    assert bank.num_tables == 3000
    assert (np.add.reduceat(bank.freqs, bank.starts.astype(int)) == TOTAL).all()


def test_an_unknown_library_is_refused():
    symbols, theta = latents(5)
    with pytest.raises(ArgumentError, match="legal: numpy, torch, onnx"):
        every_symbol.encode(symbols, theta, SCALES, "jax")  # type: ignore[arg-type]
