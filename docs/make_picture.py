"""Make docs/picture.png: a photograph, its decoded file, and a crop beside JPEG of the same size.

python docs/make_picture.py [--quality 50]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import intact
from intact.measure import psnr

ROOT = Path(__file__).resolve().parent.parent
CROP = (130, 150, 322, 342)  # the dog's eyes and nose
GAP, TEXT = 12, 26


def jpeg_of_size(image: Image.Image, size: int) -> tuple[bytes, Image.Image]:
    """The largest JPEG that is not larger than ``size``, or the smallest there is."""
    best = b""
    for quality in range(1, 96):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if not best or len(buffer.getvalue()) <= size:
            best = buffer.getvalue()
    return best, Image.open(io.BytesIO(best)).convert("RGB")


def main() -> None:
    """Compose and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", type=float, default=50)
    quality = parser.parse_args().quality
    original = Image.open(ROOT / "demo" / "original.png").convert("RGB")
    data = intact.encode(original, quality=quality)
    decoded = Image.fromarray(intact.decode(data).pixels)
    jpeg_data, jpeg = jpeg_of_size(original, len(data))

    def label(name: str, size: int | None, image: Image.Image) -> str:
        if size is None:
            return name
        bpp = 8 * size / (original.width * original.height)
        quality_db = psnr(np.asarray(original), np.asarray(image))
        return f"{name}: {size:,} bytes, {bpp:.2f} bpp, {quality_db:.1f} dB"

    columns = [
        (label("original", None, original), original),
        (label("Intact", len(data), decoded), decoded),
        (label("JPEG", len(jpeg_data), jpeg), jpeg),
    ]
    side = 384
    sheet = Image.new("RGB", (3 * side + 4 * GAP, 2 * side + TEXT + 4 * GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for i, (text, image) in enumerate(columns):
        x = GAP + i * (side + GAP)
        draw.text((x, GAP), text, "black", font=font)
        sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS), (x, GAP + TEXT))
        crop = image.crop(CROP).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(crop, (x, 2 * GAP + TEXT + side))
    sheet.save(ROOT / "docs" / "picture.png", optimize=True)
    print(*(text for text, _ in columns), sep="\n")


if __name__ == "__main__":
    main()
