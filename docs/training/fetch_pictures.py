"""Fetches the pictures of debian_pictures.csv from Debian packages and makes them training data.

    python docs/training/fetch_pictures.py ../debian_pictures

Nothing is installed: `apt-get download`, `dpkg-deb -x` into a temporary folder. Photographs go to
DIR/photographs, the rest to DIR/graphics, as PNG. Each is halved until its shorter side is at most
1,400 (graphics: 720) pixels, and at least once where it was a JPEG that stays large enough, which
takes that compression's traces away. A picture of another SHA-256 than that in the list is left out
and named.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from PIL import Image

LIST = Path(__file__).with_name("debian_pictures.csv")
LIMITS = {"photograph": 1400, "graphic": 720}
LEAST = 320
"""A JPEG is halved only if its shorter side stays at least so long."""


def main() -> int:
    """Fetch them all; 1 where one is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", type=Path, default=LIST, help="[debian_pictures.csv]")
    arguments = parser.parse_args()
    with arguments.list.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    failed = []
    for package in sorted({row["package"] for row in rows}):
        with tempfile.TemporaryDirectory() as temporary:
            fault = unpack(package, Path(temporary))
            for row in rows:
                if row["package"] == package:
                    reason = fault or convert(row, Path(temporary), arguments.folder)
                    if reason:
                        failed.append(f"{package} {row['path']}: {reason}")
    print(f"{len(rows) - len(failed)} of {len(rows)} pictures are in {arguments.folder}")
    for line in failed:
        print(f"left out: {line}", file=sys.stderr)
    return 1 if failed else 0


def unpack(package: str, folder: Path) -> str:
    """Download a package and unpack it; returns what went wrong, or nothing."""
    fault = _run(["apt-get", "download", package], folder)
    for archive in folder.glob("*.deb"):
        fault = fault or _run(["dpkg-deb", "-x", archive.name, "."], folder)
    return fault


def _run(command: list[str], folder: Path) -> str:
    """Run a program; returns the last line of what went wrong, or nothing."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    lines = [f"it ended with {done.returncode}", *done.stderr.split("\n")]
    return f"{command[0]}: {[x for x in lines if x.strip()][-1]}" if done.returncode else ""


def convert(row: dict[str, str], source: Path, folder: Path) -> str:
    """Shrink a picture and write it; returns what went wrong, or nothing."""
    try:
        data = (source / row["path"]).read_bytes()
    except OSError as error:
        return f"version {row['version']} had it: {error.strerror}"
    found = hashlib.sha256(data).hexdigest()
    if found != row["sha256"]:
        return f"its SHA-256 is {found[:12]}, not {row['sha256'][:12]}: look at it and its license"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data)) as image:
            small = shrink(image, LIMITS[row["kind"]])
    target = folder / f"{row['kind']}s" / f"{row['package']}_{name_of(row['path'])}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".part")
    small.save(temporary, "PNG")
    temporary.replace(target)
    return ""


def name_of(path: str) -> str:
    """The name of a picture: of its wallpaper, where its file is called by its size."""
    parts = Path(path).with_suffix("").parts
    return parts[-4] if "contents" in parts else parts[-1]


def shrink(image: Image.Image, limit: int) -> Image.Image:
    """The picture in RGB, halved as the head of this file says."""
    halvings = 0
    while min(image.size) >> halvings > limit:
        halvings += 1
    if image.format == "JPEG" and halvings == 0 and min(image.size) // 2 >= LEAST:
        halvings = 1
    return image.convert("RGB").reduce(1 << halvings)


if __name__ == "__main__":
    sys.exit(main())
