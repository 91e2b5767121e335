"""Writes the golden files of this folder, and the tables of all golden files. Run by hand only.

    PYTHONPATH=src:tests python vectors/file/generate.py

Files of every kind of codec, mode, edge of size, quality, metadata, alpha and layout of tiles,
beside those of vectors/image. `files.json` (one folder up) has for each golden file, old and new,
its model, its size, the SHA-256 of its pixels (uint8, row by row, channels interleaved)
and why it is there.
README.md is the same as a table. A difference after a change of the code means that the format
changed: that needs a new version, not new vectors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from intact import Model, decode, load_model
from intact.codec.image import Encoder
from intact.container.image_file import unpack_image
from tiny_model import picture

HERE = Path(__file__).parent
VECTORS = HERE.parent
TINY, TINY2, HYPER = (
    "image/tiny.intactm",
    "image/codec2/tiny2.intactm",
    "image/hyperprior/exact.intactm",
)
EXIF = b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@dataclass(frozen=True)
class Case:
    """A file: of which model, size and picture, and why.

    Attributes:
        model: its path below vectors, or the name of a shipped one.
        size: height, width, channels.
        level: of the model.
        reason: why the file is there.
        picture: "photo" (`tiny_model.picture`), "black", "white", "noise", "flat", "opaque",
            "clear" or "equal".
        metadata: that it carries.
        embed: the model is in the file.
    """

    model: str
    size: tuple[int, int, int]
    level: int
    reason: str
    picture: str = "photo"
    metadata: dict[str, bytes] = field(default_factory=dict)
    embed: bool = False


CASES = {
    # Sizes around a latent (16 pixels), a hyper-latent (64) and a single row or column.
    "gray_1x1": Case(TINY, (1, 1, 1), 3, "smallest gray"),
    "rgba_1x1": Case(TINY, (1, 1, 4), 3, "smallest with alpha"),
    "row": Case(TINY, (1, 70, 3), 8, "a single row"),
    "column": Case(TINY, (70, 1, 3), 8, "a single column"),
    "latent_less_one": Case(TINY, (15, 15, 3), 9, "one pixel less than a latent"),
    "latent_and_one": Case(TINY, (17, 17, 3), 9, "one pixel more than a latent"),
    "hyper_exact": Case(TINY, (64, 64, 3), 6, "one whole hyper-latent, no padding"),
    "hyper_less_one": Case(TINY, (63, 65, 3), 6, "one less and one more than a hyper-latent"),
    # Levels.
    "gray_coarsest": Case(TINY, (48, 64, 1), 0, "lowest level, gray"),
    "gray_finest": Case(TINY, (48, 64, 1), 15, "highest level, gray"),
    "alpha_coarsest": Case(TINY, (48, 30, 4), 0, "lowest level; alpha is lossless at each"),
    # What is in the picture.
    "black": Case(TINY, (40, 40, 3), 7, "saturation at 0", "black"),
    "white": Case(TINY, (40, 40, 3), 7, "saturation at 255", "white"),
    "noise": Case(TINY, (50, 60, 3), 15, "large symbols, escapes", "noise"),
    "gray_noise": Case(TINY, (50, 60, 1), 15, "the same in gray", "noise"),
    "opaque": Case(TINY, (40, 50, 4), 8, "alpha is 255 everywhere", "opaque"),
    "clear": Case(TINY, (40, 50, 4), 8, "alpha is 0 everywhere", "clear"),
    "gray_clear": Case(TINY, (33, 20, 2), 8, "gray with alpha 0", "clear"),
    # Tiles.
    "four_tiles": Case(TINY, (1030, 1040, 1), 2, "tiles in both directions"),
    "tiles_alpha": Case(TINY, (18, 1050, 4), 5, "alpha is one plane, whatever the tiles"),
    # Metadata and models inside.
    "exif": Case(TINY, (20, 20, 3), 8, "EXIF", metadata={"exif": EXIF}),
    "xmp": Case(TINY, (20, 20, 3), 8, "XMP", metadata={"xmp": XMP}),
    "icc": Case(TINY, (20, 20, 3), 8, "a color profile", metadata={"icc_profile": b"profile"}),
    "all_metadata": Case(
        TINY, (20, 20, 4), 8, "EXIF, XMP, code points and alpha together",
        metadata={"exif": EXIF, "xmp": XMP, "cicp": bytes([12, 13, 0, 1])},
    ),
    "embedded_model": Case(TINY, (24, 40, 3), 8, "the model travels in the file", embed=True),
    # Kind `channelwise`, image codec 2.
    "two_row": Case(TINY2, (1, 70, 3), 6, "image codec 2, a single row"),
    "two_gray_alpha": Case(TINY2, (33, 17, 2), 6, "image codec 2, gray with alpha"),
    "two_noise": Case(TINY2, (50, 60, 3), 15, "image codec 2, large symbols", "noise"),
    "two_equal": Case(TINY2, (40, 50, 3), 6, "image codec 2, gray stored as RGB", "equal"),
    # Kind `hyperprior`, Ballé 2019 with an integer prior.
    "hyperprior_gray": Case(HYPER, (33, 40, 1), 1, "hyperprior, gray"),
    "hyperprior_rgba": Case(HYPER, (40, 33, 4), 3, "hyperprior, alpha"),
    "hyperprior_1x1": Case(HYPER, (1, 1, 3), 0, "hyperprior, smallest, lowest level"),
    "hyperprior_tiles": Case(HYPER, (20, 1050, 3), 2, "hyperprior, two tiles"),
    # Models of the package.
    "photo_low": Case("photo", (40, 56, 3), 0, "model photo, lowest level"),
    "photo_high": Case("photo", (40, 56, 3), 63, "model photo, highest level"),
    "photo_gray": Case("photo", (37, 41, 1), 31, "model photo, gray"),
    "eyes_low": Case("photo-eyes", (40, 56, 3), 0, "model photo-eyes, lowest level"),
    "eyes_high": Case("photo-eyes", (40, 56, 3), 63, "model photo-eyes, highest level"),
    "eyes_rgba": Case("photo-eyes", (37, 41, 4), 31, "model photo-eyes, alpha"),
    "second_low": Case("photo-2", (40, 56, 3), 0, "model photo-2, lowest level"),
    "second_high": Case("photo-2", (40, 56, 3), 63, "model photo-2, highest level"),
    "second_rgba": Case("photo-2", (37, 41, 4), 31, "model photo-2, alpha"),
    "third_low": Case("photo-3", (40, 56, 3), 0, "model photo-3, lowest level"),
    "third_high": Case("photo-3", (40, 56, 3), 63, "model photo-3, highest level"),
    "fourth_low": Case("photo-4", (40, 56, 3), 0, "model photo-4, lowest level"),
    "fourth_high": Case("photo-4", (40, 56, 3), 63, "model photo-4, highest level"),
    "fourth_rgba": Case("photo-4", (37, 41, 4), 31, "model photo-4, alpha"),
    "psnr_low": Case("photo-psnr", (40, 56, 3), 0, "model photo-psnr, lowest level"),
    "psnr_high": Case("photo-psnr", (40, 56, 3), 63, "model photo-psnr, highest level"),
    "psnr_rgba": Case("photo-psnr", (37, 41, 4), 31, "model photo-psnr, alpha"),
    "mse_low": Case("photo-mse", (40, 56, 3), 0, "model photo-mse, lowest level"),
    "mse_high": Case("photo-mse", (40, 56, 3), 63, "model photo-mse, highest level"),
    "mse_rgba": Case("photo-mse", (37, 41, 4), 31, "model photo-mse, alpha"),
    "sixth_low": Case("photo-6", (40, 56, 3), 0, "model photo-6, lowest level"),
    "sixth_high": Case("photo-6", (40, 56, 3), 63, "model photo-6, highest level"),
    "sixth_rgba": Case("photo-6", (37, 41, 4), 31, "model photo-6, alpha"),
    "fifth_low": Case("photo-5", (40, 56, 3), 0, "model photo-5, lowest level"),
    "fifth_high": Case("photo-5", (40, 56, 3), 63, "model photo-5, highest level"),
    "fifth_rgba": Case("photo-5", (37, 41, 4), 31, "model photo-5, alpha"),
}  # fmt: skip
OLD = {
    "image/coarsest": (TINY, "lowest level"),
    "image/edge_15_17_rgb": (TINY, "one pixel less and one more than a latent"),
    "image/finest": (TINY, "highest level"),
    "image/gray_alpha": (TINY, "gray with alpha"),
    "image/gray_as_rgb": (TINY, "gray stored as RGB: its flag"),
    "image/gray_as_rgb_alpha": (TINY, "gray stored as RGBA: its flag"),
    "image/hdr_colors": (TINY, "code points of color (cicp)"),
    "image/one_latent_gray": (TINY, "exactly one latent"),
    "image/one_pixel_rgb": (TINY, "smallest"),
    "image/plain": (TINY, "repeated hyper-latents, mode 2"),
    "image/plain_two_tiles": (TINY, "repeated hyper-latents, mode 3, in two tiles"),
    "image/rgb_alpha": (TINY, "RGBA"),
    "image/two_tiles_high": (TINY, "two tiles, one above the other"),
    "image/two_tiles_wide": (TINY, "two tiles side by side"),
    "image/whole_block": (TINY, "a whole block of 16 x 16 latents and parts of three more"),
    "image/codec2/alpha": (TINY2, "image codec 2, alpha"),
    "image/codec2/coarsest": (TINY2, "image codec 2, lowest level"),
    "image/codec2/finest": (TINY2, "image codec 2, highest level"),
    "image/codec2/four_tiles": (
        TINY2,
        "image codec 2, tiles in both directions: it looks across all borders",
    ),
    "image/codec2/gray": (TINY2, "image codec 2, gray"),
    "image/codec2/one_pixel": (TINY2, "image codec 2, smallest"),
    "image/codec2/plain": (TINY2, "image codec 2, one color"),
    "image/codec2/two_tiles_wide": (TINY2, "image codec 2, one latent of a tile alone in its row"),
    "image/hyperprior/exact": (HYPER, "hyperprior with an integer prior"),
    "image/vector/vector": ("image/vector/vector.intactm", "kind vector"),
    "image/vector/scalar": (
        "image/vector/scalar.intactm",
        "kind vector with scalar centers, alpha",
    ),
    "image/vector/logits": (
        "image/vector/logits.intactm",
        "kind vector, the largest of some logits decides, gray",
    ),
}
"""The models of the files below vectors/image, and why they are there."""


HEAD = """# Golden vectors

Written by `vectors/*/generate.py`, pinned by `SHA256SUMS`, held by `tests/golden` and, on other
processors and libraries, by `tests/platforms/run`. An implementation in another language can check
itself against them: `bits` (entropy coder), `op` and `intnet` (integer networks), the files below,
`invalid` and `unsupported` (what must be refused). This page is `files.json` and
`invalid/index.json` as tables. Hashes are SHA-256 of the pixels: uint8, row by row, channels
interleaved; here their first 16 digits.
"""


@cache
def model_of(path: str) -> Model:
    """A model by its path below vectors, or a shipped one by name."""
    if not path.endswith(".intactm"):
        return load_model(path)
    return Model.from_bytes((VECTORS / path).read_bytes())


def pixels_of(case: Case) -> np.ndarray:
    """uint8 [h, w] or [h, w, c]: the picture of a case."""
    height, width, channels = case.size
    image = picture(height, width, channels)
    flat = {"black": 0, "white": 255}
    if case.picture in flat:
        image[:] = flat[case.picture]
    elif case.picture == "noise":
        image = np.random.default_rng(9).integers(0, 256, image.shape).astype(np.uint8)
    elif case.picture == "flat":
        image[:] = (200, 90, 30)
    elif case.picture == "equal":
        image[:] = image[:, :, :1]
    elif case.picture in ("opaque", "clear"):
        image[:, :, -1] = 255 * (case.picture == "opaque")
    return image[:, :, 0] if channels == 1 else image


def encoded(name: str) -> bytes:
    """The file of a case."""
    case = CASES[name]
    encoder = Encoder(pixels_of(case), model_of(case.model), case.metadata, embed_model=case.embed)
    return encoder.encode(case.level).data


def facts(path: str, model: str, reason: str) -> dict[str, Any]:
    """What a decoder must come to, by the definition; by NumPy where that would take minutes."""
    data = (VECTORS / path).read_bytes()
    header = unpack_image(data).header
    backend = "reference" if header.width * header.height < 100_000 else "numpy"
    decoded = decode(data, model=model_of(model) if model else None, backend=backend)
    found = {
        "model": model or None,
        "width": header.width,
        "height": header.height,
        "mode": decoded.mode,
        "level": header.level,
        "pixels_sha256": hashlib.sha256(decoded.pixels.tobytes()).hexdigest(),
        "reason": reason,
    }
    for key in ("exif", "icc_profile", "xmp", "cicp"):
        if value := getattr(decoded, key):
            found[key] = value.hex()
    return found


def index() -> dict[str, dict[str, Any]]:
    """All golden files of exact models, by their path below vectors."""
    found = {f"{path}.intact": item for path, item in OLD.items()}
    for name, case in CASES.items():
        found[f"file/{name}.intact"] = ("" if case.embed else case.model, case.reason)
    return {path: facts(path, *found[path]) for path in sorted(found)}


def table(files: dict[str, dict[str, Any]], invalid: dict[str, dict[str, str]]) -> str:
    """README.md."""
    lines = [
        *HEAD.splitlines(),
        "",
        f"## {len(files)} files of exact models",
        "",
        "| file | model | size | mode | level | pixels | why |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for path, item in files.items():
        size, digest = f"{item['width']}x{item['height']}", item["pixels_sha256"][:16]
        model, (mode, level) = item["model"] or "in the file", (item["mode"], item["level"])
        lines.append(
            f"| {path} | {model} | {size} | {mode} | {level} | {digest} | {item['reason']} |"
        )
    lines += ["", f"## {len(invalid)} files that must be refused", "", "| file | error | says |"]
    lines.append("|---|---|---|")
    for name, item in invalid.items():
        lines.append(f"| invalid/{name} | {item['error']} | {item['says']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write files, index and table."""
    for name in CASES:
        (HERE / f"{name}.intact").write_bytes(encoded(name))
    files = index()
    (VECTORS / "files.json").write_text(json.dumps(files, indent=1) + "\n")
    invalid = json.loads((VECTORS / "invalid" / "index.json").read_text())
    (VECTORS / "README.md").write_text(table(files, invalid))


if __name__ == "__main__":
    main()
