"""What integers lose against their float networks, by network and by bits of the pixel networks.

    python benchmarks/integer_loss.py [--weights FILE] [--recipe FILE] [--bits 8,10,12] [-o CSV]

Float weights are converted as freezing does it, all networks or one at a time, and both code the
same pictures: photographs of ``held_out.txt`` and synthetic pictures of kinds that no training
sees. A loss is what the bits and the squared error grow by, at the level's exchange rate, in
percent of the bits. Bits are the ideal ones of the trained densities: where a loss comes from is
found in seconds so, and what a model is worth is for files to say (`rd_models.py --twin`). Seams
are second differences of gradients across multiples of 8 pixels over those elsewhere, in the float
networks' own pictures, too.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from common import DATA, ROOT, Row, write
from PIL import Image
from plain_areas import differences, gradients, ratio
from rd_models import text
from torch import Tensor

from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.channelwise_graphs import build_graphs
from intact.train.config import load
from intact.train.convert import Ranges, convert, observe, widen
from intact.train.data import read_list
from intact.train.start import float_codec, image_folder, observed

LEVELS = (-1.0, -0.5, 0.0, 0.5)
SIDE, COUNT, AT_ONCE = 256, 10, 5
PERIOD = 8
Measured = dict[str, list[tuple[float, float]]]
"""(bits per pixel, squared error) by set and level."""


def photographs(count: int = COUNT) -> Tensor:
    """uint8 [count, SIDE, SIDE, 3]: the middles of the first that are large enough."""
    found: list[np.ndarray] = []
    for name in sorted(read_list(ROOT / "benchmarks" / "held_out.txt")):
        image = np.asarray(Image.open(DATA / "train" / name).convert("RGB"))
        if min(image.shape[:2]) >= SIDE:
            top, left = ((side - SIDE) // 2 for side in image.shape[:2])
            found.append(image[top : top + SIDE, left : left + SIDE])
    return torch.from_numpy(np.stack(found[:count]))


def measure(net: ChannelwiseNet, sets: dict[str, Tensor]) -> Measured:
    """What the pictures take and lose."""
    found: Measured = {}
    for name, images in sets.items():
        found[name] = []
        for t in LEVELS:
            results = [
                net(part, torch.full((len(part),), t), None, hard=True)
                for part in images.split(AT_ONCE)
            ]
            bpp, mse = (torch.cat([getattr(r, k) for r in results]).mean() for k in ("bpp", "mse"))
            found[name].append((float(bpp), float(mse)))
    return found


def seams(net: ChannelwiseNet, pictures: Iterable[np.ndarray]) -> float:
    """The ratio of the second differences, at two levels."""
    total = np.zeros((2, 2))
    for image in pictures:
        for t in LEVELS[::2]:
            drawn = net(torch.from_numpy(image)[None], torch.tensor([t]), None, hard=True).pixels
            total += differences(drawn[0].numpy(), PERIOD)
    return ratio(total)


def losses(net: ChannelwiseNet, floats: Measured, integers: Measured) -> dict[str, list[float]]:
    """Percent of the bits by set and level."""
    found = {}
    for name, points in integers.items():
        found[name] = []
        for t, (bpp, mse), (float_bpp, float_mse) in zip(LEVELS, points, floats[name], strict=True):
            price = net.rates.rd_weight / float(net.step(torch.tensor(t))) ** 2
            found[name].append(100 * (bpp - float_bpp + price * (mse - float_mse)) / float_bpp)
    return found


def converted(
    net: ChannelwiseNet, seen: dict[str, Ranges], bits: int, names: Iterable[str]
) -> ChannelwiseNet:
    """The codec with some networks in integers, those of pixels of so many bits."""
    graphs = build_graphs(dataclasses.replace(net.config, pixel_bits=bits))
    result = copy.deepcopy(net)
    for name in names:
        network = copy.deepcopy(net.network(name))
        network.graph = graphs[name]
        result.networks[name] = convert(network, seen[name])
    return result


def main() -> None:
    """Print a line for each conversion."""
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = ROOT / "src" / "intact" / "models" / "photo-3.safetensors"
    parser.add_argument("--weights", type=Path, default=shipped, help="of image codec 2 [photo-3]")
    parser.add_argument("--recipe", type=Path, default=ROOT / "docs" / "photo-3.toml")
    parser.add_argument("--bits", default="8,10,12")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    net = float_codec(options.weights)
    assert isinstance(net, ChannelwiseNet), "its weights are of another kind"
    widen(net)
    config = load(options.recipe)
    seen = observe(net, observed(image_folder(config), config)[::2])
    sets = {"photographs": photographs(), "text": torch.from_numpy(np.stack([*text().values()]))}
    fields = [image[:SIDE, :SIDE] for _, image in gradients()][::3]
    pixel_networks = ("analysis", "synthesis")
    plan = [
        (names, bits)
        for bits in map(int, options.bits.split(","))
        for names in (tuple(net.networks), *((name,) for name in pixel_networks))
    ]
    plan += [((name,), 8) for name in net.networks if name not in pixel_networks]
    rows: list[Row] = []
    with torch.no_grad():
        floats = measure(net, sets)
        print(f"{'float':28} seams {seams(net, fields):.3f}", flush=True)
        for names, bits in plan:
            integer = converted(net, seen, bits, names)
            found = losses(net, floats, measure(integer, sets))
            what, at_seams = names[0] if len(names) == 1 else "all", seams(integer, fields)
            told = [f"{k} " + " ".join(f"{v:6.2f}" for v in values) for k, values in found.items()]
            print(
                f"{what + f', {bits} bits':28} seams {at_seams:.3f}  {'  '.join(told)}", flush=True
            )
            rows += [
                {"networks": what, "bits": bits, "set": name, "t": t, "loss_percent": value,
                 "seams": at_seams}
                for name, values in found.items() for t, value in zip(LEVELS, values, strict=True)
            ]  # fmt: skip
    if options.output:
        write(options.output, rows)


if __name__ == "__main__":
    main()
