"""Figures 5 to 12: two pictures of each set at the rate of one of our models, next to others.

    python papers/agustsson2017/visual.py --models MODELS --out OUT kodak=FOLDER b100=FOLDER ...

Writes OUT/SET/visual.webp: original, JPEG, JPEG 2000, BPG (where bpgenc is on PATH), x265 intra
4:4:4 (in its place, but not BPG; where pillow-heif is installed), and `shvq`, each with its rate,
MS-SSIM, SSIM and PSNR. The paper's pictures are not at hand; ours are not picked: of a folder
sorted by name those at a third and at two thirds. Pages are WebP of quality 90, to be small.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from curves import curves_of, sets_of
from PIL import Image

from intact import files
from intact.evaluate.codec import Codec, MissingError
from intact.evaluate.crops import Window, sheet, size_of
from intact.evaluate.find import find_codec
from intact.evaluate.metrics import metric_set
from intact.evaluate.pictures import Picture

OTHERS = ("jpeg", "jpeg2000", "bpg", "heic")


def chosen(folder: Path) -> list[Path]:
    """The pictures at a third and at two thirds of a folder, sorted by name."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in files.IMAGES)
    if not paths:
        raise SystemExit(f"{folder}: no file in this folder ends in {', '.join(files.IMAGES)}")
    return [paths[len(paths) // 3], paths[2 * len(paths) // 3]]


def page(paths: list[Path], ours: Codec, others: list[Codec]) -> Image.Image:
    """Crops of each picture, one below the other, at the rate of ours nearest to 0.25 bpp."""
    metrics = metric_set(["psnr", "ssim", "ms_ssim"])
    sheets = []
    for path in paths:
        picture = Picture(path.stem, path)
        target = size_of(ours, picture.pixels(), None)
        sheets.append(sheet(picture, [*others, ours], target, metrics, Window(320, 1)))
    size = max(one.width for one in sheets), sum(one.height for one in sheets)
    canvas = Image.new("RGB", size, "white")
    top = 0
    for one in sheets:
        canvas.paste(one, (0, top))
        top += one.height
    return canvas


def main() -> None:
    """A page for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sets, curves = sets_of(parser, options.sets), curves_of(options.models)
    if "shvq" not in curves:
        parser.error(f"--models {options.models}: no vector-b1.intactm and its like there")
    ours = find_codec("shvq=" + ",".join(map(str, curves["shvq"])))
    others = []
    for name in OTHERS:
        try:
            others.append(find_codec(name))
        except MissingError as error:
            print(f"left out: {name}: {error}")
    for name, folder in sets.items():
        (options.out / name).mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        page(chosen(folder), ours, others).save(data, "WEBP", quality=90)
        files.replace(options.out / name / "visual.webp", data.getvalue())
        print(options.out / name / "visual.webp", len(data.getvalue()), "bytes", flush=True)


if __name__ == "__main__":
    main()
