"""The tutorial does what it says, and shows the script that is tested."""

import importlib.util
import itertools
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import mse_loss  # noqa: E402

DOCS = Path(__file__).resolve().parents[2] / "docs"


class TheirAutoencoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Conv2d(1, 2, 4, stride=4)
        self.decoder = torch.nn.ConvTranspose2d(2, 1, 4, stride=4)


def test_the_tutorial_shows_the_script():
    script = (DOCS / "quantize_features.py").read_text(encoding="utf-8")
    assert f"```python\n{script}```" in (DOCS / "quantize.md").read_text(encoding="utf-8")
    code = [line for line in script.split('"""')[2].splitlines() if line.strip()]
    assert len(code) <= 30


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_the_features_of_somebody_elses_autoencoder_are_quantized(scale):
    spec = importlib.util.spec_from_file_location("tutorial", DOCS / "quantize_features.py")
    assert spec is not None
    assert spec.loader is not None
    tutorial = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tutorial)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        images = torch.rand(8, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
        net = TheirAutoencoder()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(80):  # they have trained it without quantization
            optimizer.zero_grad()
            mse_loss(net.decoder(net.encoder(images)), images).backward()
            optimizer.step()
        with torch.no_grad():  # features may be large: sigma is in units of 1 / z^2
            for parameter in net.encoder.parameters():
                parameter *= scale
            net.decoder.weight /= scale
        quantizer, histogram = tutorial.quantize_features(
            net, itertools.repeat(images), steps=60, size=16
        )
    with torch.no_grad():
        found = quantizer(net.encoder(images))
        error = mse_loss(net.decoder(found.values), images)
    assert error < images.var() / 4
    assert float(quantizer.sigma) > 0
    # 2 channels x 16 patches x log2(16) bits would be 128 for an image without entropy coding.
    assert 0 < float(found.bits(histogram.p())) < 128
