"""Why a model's finest level ends where it does: rounding, the encoder, or the decoder.

    python benchmarks/finest_level.py [--weights FILE] [--count 16] [-o CSV]

The float networks of an image codec 2 code the middles of photographs that are set aside, at their
finest level (ideal bits, not files):

- with latents rounded to their steps, and with none rounded;
- with latents corrected: the decoder draws them, what the picture lacks goes back through the
  pseudo-inverse of the synthesis' first layer and is added, once to three times. What that gains,
  the encoder has missed;
- with everything added that the first layer cannot say, exactly, as if there were a latent for
  each pixel of a patch. What that gains, more latents could, were the decoder to let them pass.

Printed too: by how much the synthesis' blocks change the picture that its first layer draws.
docs/decisions/0036 has the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import ROOT, Row, write
from integer_loss import photographs
from torch import Tensor

from intact.codec.store import DEFAULT
from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.transforms import PIXEL_UNIT
from intact.train.convert import widen
from intact.train.network import unshuffle
from intact.train.start import float_codec

FINEST = -1.0
CORRECTIONS = 3
SPANNED = 0.05
"""Singular values of the first layer below it count as none."""
AT_ONCE = 8


def patches(pixels: Tensor) -> Tensor:
    """[b, h/16, w/16, 768]: pixels in float units, in the order that the first layer gives them."""
    return unshuffle(unshuffle(pixels * PIXEL_UNIT, 8), 2)


def psnr(image: Tensor, drawn: Tensor) -> Tensor:
    """In dB [b]."""
    error = (drawn.clamp(0, 255) - image).square().mean((1, 2, 3))
    return 10 * torch.log10(255**2 / error)


class Level:
    """A level of a float codec, the finest if not said.

    Attributes:
        at: the level, in [-1, 1].
    """

    def __init__(self, net: ChannelwiseNet) -> None:
        self.at = FINEST
        self.net, self.synthesis = net, net.network("synthesis")
        self.first = self.synthesis.get("first", "weight")[:, :, 0, 0].double()
        self.inverse = torch.linalg.pinv(self.first, rtol=1e-2).float()
        basis, values, _ = torch.linalg.svd(self.first)
        self.rank = int((values > SPANNED).sum())
        self.missing = basis[:, self.rank :].float()

    def level(self, image: Tensor) -> Tensor:
        """[b]: the level, for each picture."""
        return torch.full((len(image),), self.at)

    def analyzed(self, image: Tensor) -> Tensor:
        """Latents [b, h/16, w/16, M] of uint8 [b, h, w, 3]."""
        pixels = (image.float() - 128) * PIXEL_UNIT
        return self.net.networks["analysis"]({"pixels": pixels}, self.level(image))["y"]

    def drawn(self, y: Tensor, more: Tensor | None = None) -> Tensor:
        """Pixels of latents, and of more that the first layer draws as ``missing``."""
        if more is None:
            out = self.synthesis({"y": y}, self.level(y))["pixels"]
            return out / PIXEL_UNIT + 128
        weight = self.synthesis.get("first", "weight")
        kept = weight.data
        try:
            weight.data = torch.cat([kept, self.missing[:, :, None, None]], 1)
            return self.drawn(torch.cat([y, more], 3))
        finally:
            weight.data = kept

    def corrected(self, image: Tensor, y: Tensor, back: Tensor) -> Tensor:
        """Latents, and what the picture lacks when they are drawn, by way of ``back`` [768, M]."""
        return y + patches(image - self.drawn(y)) @ back

    def coded(self, y: Tensor, rounding: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Bits per pixel [b], and pixels rounded to levels."""
        result = self.net.code(y, self.level(y), None, rounding=rounding)
        area = result.pixels.shape[1] * result.pixels.shape[2]
        return result.bits_y.sum((1, 2, 3)) / area, result.pixels.round()


def measure(level: Level, image: Tensor) -> list[Row]:
    """A row for each picture of uint8 [b, h, w, 3]."""
    wanted, y = image.float(), level.analyzed(image)
    rows: list[Row] = [{} for _ in image]

    def note(name: str, values: Tensor) -> None:
        for row, value in zip(rows, values.tolist(), strict=True):
            row[name] = value

    linear = y @ level.first.float().T + level.synthesis.get("first", "bias")
    linear = linear - level.synthesis.get("first", "slope")
    out = level.drawn(y)
    change = (patches(out - 128) - linear) / PIXEL_UNIT
    note("blocks_change", change.square().mean((1, 2, 3)).sqrt())
    lost = patches(wanted - out)
    exact = level.drawn(y, lost @ level.missing)
    share = (lost @ level.missing).square().sum((1, 2, 3)) / lost.square().sum((1, 2, 3))
    note("share_not_spanned", share)
    note("psnr_all_added", psnr(wanted, exact.round()))
    for k in range(CORRECTIONS + 1):
        if k:
            y = level.corrected(wanted, y, level.inverse.T)
        for name, rounding in (("rounded", torch.round), ("unrounded", lambda x: x)):
            bpp, pixels = level.coded(y, rounding)
            note(f"bpp_{name}_{k}", bpp)
            note(f"psnr_{name}_{k}", psnr(wanted, pixels))
    return rows


def asked(description: str | None, count: int) -> tuple[Level, argparse.Namespace]:
    """The codec that the command line names, and the rest of what it says.

    Args:
        description: of the program.
        count: of photographs, where it says none.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--weights", type=Path, default=None, help="[those of the default model]")
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    options.weights = (
        options.weights or ROOT / "src" / "intact" / "models" / f"{DEFAULT}.safetensors"
    )
    torch.set_num_threads(1)
    net = float_codec(options.weights)
    if not isinstance(net, ChannelwiseNet):
        raise SystemExit(f"{options.weights} is no {ChannelwiseNet.KIND!r}")
    widen(net)
    return Level(net), options


@torch.no_grad()
def main() -> None:
    """Measure, print, write."""
    level, options = asked(__doc__, 16)
    name_of, rows = options.weights.stem, list[Row]()
    for part in photographs(options.count).split(AT_ONCE):
        rows += [{"weights": name_of, **row} for row in measure(level, part)]
    latents = level.net.config.latents
    print(f"{name_of}: {latents} latents, the first layer spans {level.rank} of 768")
    for name in rows[0]:
        if name != "weights":
            values = np.array([row[name] for row in rows])
            print(f"{name:20} mean {values.mean():6.2f}, least {values.min():6.2f}")
    if options.output:
        write(options.output, rows)


if __name__ == "__main__":
    main()
