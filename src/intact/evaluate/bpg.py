"""BPG itself, by the programs bpgenc and bpgdec of libbpg, where they are on PATH.

Options are those of the published curve, 4:4:4 in YCbCr by x265 at 8 bits. libbpg is in no package
index: tests hold what is called and read by stand-ins, and no figure of ours is from it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from intact.evaluate.codec import Codec, Legal, MissingError, texts
from intact.evaluate.scratch import scratch

PROGRAMS = ("bpgenc", "bpgdec")
OPTIONS = ("-f", "444", "-c", "ycbcr", "-b", "8", "-e", "x265", "-m", "8")
WORST = 51


@dataclass(frozen=True, eq=False)
class Bpg(Codec):
    """Files of bpgenc; a setting is its quantizer, 0 (best) .. 51."""

    @property
    def label(self) -> str:
        """What people call it."""
        return "BPG 4:4:4 (x265)"

    @property
    def legal(self) -> Legal:
        """What its settings may be."""
        return Legal(0, WORST, whole=True)

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        return " ".join(("bpgenc", "-q", setting, *OPTIONS))

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3].

        Raises:
            RuntimeError: the program fails.
        """
        with scratch() as folder:
            source, target = folder / "picture.png", folder / "picture.bpg"
            Image.fromarray(pixels).save(source, compress_level=1)
            _call("bpgenc", "-q", setting, *OPTIONS, "-o", str(target), str(source))
            return _made(target).read_bytes()

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file.

        Raises:
            RuntimeError: the program fails.
        """
        with scratch() as folder:
            source, target = folder / "picture.bpg", folder / "picture.ppm"
            source.write_bytes(data)
            _call("bpgdec", "-o", str(target), str(source))
            with Image.open(_made(target)) as opened:
                return np.asarray(opened.convert("RGB"))


def bpg(name: str) -> Bpg:
    """The codec.

    Raises:
        MissingError: a program is not on PATH.
    """
    for program in PROGRAMS:
        if not shutil.which(program):
            raise MissingError(f"no program {program} on PATH (of libbpg)")
    usage = subprocess.run(["bpgenc", "-h"], capture_output=True, text=True, check=False)
    version = re.search(r"version ([\w.]+)", usage.stdout + usage.stderr)
    return Bpg(
        name, texts(47, 43, 39, 35, 31, 27, 23, 19, 15), (texts(*range(WORST, -1, -1)),),
        f"libbpg {version[1] if version else 'unknown'}",
    )  # fmt: skip


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: status {done.returncode}, {done.stderr.strip()!r:.200}")


def _made(path: Path) -> Path:
    if not path.exists():
        raise RuntimeError(f"the program ended well, but there is no {path.name}")
    return path
