"""Butteraugli, as libjxl's program `butteraugli_main` computes it."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
from PIL import Image

from intact.evaluate.scratch import scratch

PROGRAM = "butteraugli_main"
INTENSITY_NITS = 80
"""butteraugli_main's default intensity target; given explicitly all the same."""


def why_missing() -> str:
    """Why it cannot be computed here, or ""."""
    return "" if shutil.which(PROGRAM) else f"no program {PROGRAM} (Debian: libjxl-devtools)"


def version() -> str:
    """The program's version and how it is called."""
    return f"{_debian_version('libjxl-devtools')}@{INTENSITY_NITS}nits"


def butteraugli(original: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """Butteraugli's 3-norm and maximum, both 0 for equal pictures; of libjxl's own program.

    Raises:
        RuntimeError: the program fails or says something else than expected.
    """
    with scratch() as folder:
        files = [folder / name for name in ("original.ppm", "decoded.ppm")]
        for file, pixels in zip(files, (original, decoded), strict=True):
            Image.fromarray(pixels).save(file)
        command = [PROGRAM, *map(str, files), "--intensity_target", str(INTENSITY_NITS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse_butteraugli(done.stdout, done.returncode, done.stderr)


def parse_butteraugli(output: str, status: int = 0, errors: str = "") -> tuple[float, float]:
    """3-norm and maximum from what butteraugli_main prints: the maximum, then ``3-norm: value``.

    Raises:
        RuntimeError: it is something else.
    """
    lines = output.split()
    if status or len(lines) != 3 or lines[1] != "3-norm:":
        raise RuntimeError(f"{PROGRAM}: status {status}, printed {output!r}, {errors!r}")
    return float(lines[2]), float(lines[0])


def _debian_version(package: str) -> str:
    """Version of an installed Debian package, or "unknown" elsewhere."""
    try:
        command = ["dpkg-query", "-W", "-f", "${Version}", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
