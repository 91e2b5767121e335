"""Send one photograph through Intact and show what came out; `make demo` runs this.

Encodes demo/original.png to demo/photo.intact, decodes that with every backend to demo/photo.png,
and compares the hashes of file and pixels with demo/expected.json, which ships with the source:
same file, same pixels on every machine.

    python demo/run.py            # writes demo/photo.intact and demo/photo.png
    python demo/run.py --update   # makes demo/expected.json anew (a new model or format)
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from intact.measure import file_bpp, ms_ssim, psnr

DEMO = Path(__file__).resolve().parent
EXPECTED = DEMO / "expected.json"
BACKENDS = ("native", "numpy")


def run(*arguments: str | Path) -> float | None:
    """Run `intact` as a user would; its wall time in seconds, or None where it refused."""
    command = [Path(sys.executable).with_name("intact"), *arguments]
    shown = [p.relative_to(DEMO.parent) if isinstance(p, Path) else p for p in arguments]
    print("$ intact", *shown, flush=True)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        print(f"  {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        return None
    return seconds


def pixels(path: Path) -> np.ndarray:
    """Pixels [h, w, 3] of a picture file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def verdict(*, same: bool) -> str:
    """A word that reads well and greps well."""
    return "identical" if same else "DIFFERENT"


def decode_everywhere(file: Path) -> dict[str, np.ndarray]:
    """Decode with each backend of this machine; the last picture stays in demo/photo.png."""
    decoded = {}
    for backend in BACKENDS:
        picture = DEMO / "photo.png"
        seconds = run("decode", file, "-o", picture, "--backend", backend)
        if seconds is not None:
            print(f"  {seconds:.2f} s, start of Python included")
            decoded[backend] = pixels(picture)
    return decoded


def main() -> int:
    """Run the demonstration; 1 where anything that must be identical is not."""
    original, file = DEMO / "original.png", DEMO / "photo.intact"
    seconds = run("encode", original, "-o", file)
    if seconds is None:
        return 1
    source = pixels(original)
    height, width = source.shape[:2]
    size, rate = file.stat().st_size, file_bpp(file, height, width)
    print(f"  {seconds:.2f} s, {width} x {height} pixels, {original.stat().st_size} bytes of PNG")
    print(f"  became {size} bytes: {rate:.3f} bits per pixel, 1/{24 / rate:.0f} of the raw pixels")

    decoded = decode_everywhere(file)
    if not decoded:
        return 1
    first = next(iter(decoded.values()))
    print(f"  PSNR {psnr(source, first):.2f} dB, MS-SSIM {ms_ssim(source, first):.4f}")
    same = all(np.array_equal(first, other) for other in decoded.values())
    if len(decoded) > 1:
        print(f"pixels of {' and '.join(decoded)}: {verdict(same=same)}")
    found = {
        "photo.intact sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "pixels sha256": hashlib.sha256(first.tobytes()).hexdigest(),
    }
    if "--update" in sys.argv[1:]:
        EXPECTED.write_text(json.dumps(found, indent=2) + "\n")
        print(f"wrote {EXPECTED}")
        return 0 if same else 1
    expected = json.loads(EXPECTED.read_text())
    for what, value in found.items():
        print(f"{what} against demo/expected.json: {verdict(same=value == expected[what])}")
    print("look at demo/original.png and demo/photo.png")
    return 0 if same and found == expected else 1


if __name__ == "__main__":
    sys.exit(main())
