"""Figure 1: one picture by two models that differ in the prior alone, decoded elsewhere.

    damage.py INTEGER.intactm FLOAT.intactm [--image kodim01] [--from numpy --to torch]

Encodes with one library's float32 and decodes with another's, reading on past checksums and errors,
which a decoder must not: to show what they protect from. Without --image the first picture whose
float-prior file fails is taken. Writes figure1.png and figure1.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from paper_b import HERE, kodak, model_of, pixels_of, write_rows
from PIL import Image, ImageDraw

import intact
from intact.bits.fast import Decoder
from intact.bottleneck import hyper
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.scalar import dequantize
from intact.codec.coding import synthesize
from intact.codec.image import Encoder, Runtime
from intact.codec.model import Model
from intact.container.image_file import ImageFile, unpack_image
from intact.errors import CorruptDataError, NotExactError
from intact.inexact.networks import FloatNetworks

SPARE = bytes(1 << 16)
"""Behind a payload, so that a decoder that is lost does not come to its end."""


def runtime(library: str) -> Runtime:
    """Float networks and programs of a library."""
    return Runtime(backend=library, threads=1, allow_inexact=True)


def latents_anyway(model: Model, file: ImageFile, networks: FloatNetworks) -> np.ndarray:
    """int16 [h, w, M]: what a decoder that does not check comes to; zeros where it cannot go on.

    Args:
        model: with a hyperprior and of one rate.
        file: of one tile.
        networks: that compute the prior.
    """
    bottleneck = model.bottleneck_of(Hyperprior)
    assert bottleneck.tables_z is not None
    layout = Layout(file.header.latent_shape, file.header.tile_log2)
    (payload,) = file.tiles
    decoder = Decoder(payload + SPARE)
    window = layout.whole
    z = hyper.read(decoder.decode, window.shrink(hyper.HYPER_RATIO).shape, bottleneck.tables_z)
    index = bottleneck._by_scale(networks, z, 0, window)
    symbols = np.zeros(index.shape, np.int32)
    try:
        for row in range(index.shape[0]):
            decoded = decoder.decode(index[row].ravel(), bottleneck.tables_y)
            symbols[row] = decoded.reshape(index.shape[1:])
    except CorruptDataError:
        pass  # an impossible escape: the rest stays zero
    step = int(bottleneck.levels.steps[0])
    return dequantize(0, symbols, step)


def decode_anyway(model: Model, data: bytes, library: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and latents of a file, whatever its checksum says."""
    file = unpack_image(data)
    networks: Any = runtime(library).networks(model, file.header.width * file.header.height)
    latents = latents_anyway(model, file, networks)
    place = Layout(file.header.latent_shape, file.header.tile_log2).whole
    whole = Window(0, 0, file.header.height, file.header.width)
    return synthesize(networks, file.header, latents, place, whole), latents


def fails(model: Model, data: bytes, library: str) -> bool:
    """Whether a proper decoder refuses the file."""
    try:
        intact.decode(data, model=model, backend=library, threads=1, allow_inexact=True)
    except NotExactError:
        return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integer", type=Path)
    parser.add_argument("float", type=Path)
    parser.add_argument("--image")
    parser.add_argument("--from", dest="source", default="numpy")
    parser.add_argument("--to", default="torch")
    args = parser.parse_args()
    models = {"integer prior": model_of(args.integer), "float prior": model_of(args.float)}
    pictures = kodak()
    for name in [args.image] if args.image else pictures:
        pixels = pixels_of(pictures[name])
        panels, rows = [], []
        for label, model in reversed(models.items()):
            encoded = Encoder(pixels, model, runtime=runtime(args.source)).encode(0)
            failed = fails(model, encoded.data, args.to)
            if not failed and label == "float prior" and not args.image:
                break
            decoded, latents = decode_anyway(model, encoded.data, args.to)
            _, sent = decode_anyway(model, encoded.data, args.source)
            wrong = np.flatnonzero((latents != sent).any(2).ravel())
            rows.append({
                "image": name, "prior": label, "model": model.id.hex(), "bytes": len(encoded.data),
                "compressed_on": args.source, "decompressed_on": args.to, "refused": failed,
                "latents": sent.size, "wrong_latents": int((latents != sent).sum()),
                "first_wrong_position": int(wrong[0]) if wrong.size else "",
            })  # fmt: skip
            panels.append((f"{label}, {args.source} to {args.to}", decoded))
        else:
            write_rows(HERE / "figure1.csv", reversed(rows))
            draw(HERE / "figure1.png", panels[::-1])
            print(*rows, sep="\n")
            return
    print("no picture fails: take another pair of platforms, or another model")


def draw(path: Path, panels: list[tuple[str, np.ndarray]]) -> None:
    """Panels side by side, at two thirds of their size, each under its words."""
    height, width = (size * 2 // 3 for size in panels[0][1].shape[:2])
    sheet = Image.new("RGB", (2 * width + 8, height + 20), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (words, pixels) in enumerate(panels):
        left = number * (width + 8)
        sheet.paste(Image.fromarray(pixels).resize((width, height)), (left, 20))
        pen.text((left + 4, 4), f"N = 32 for 128: {words}", fill="black")
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main()
