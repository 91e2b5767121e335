"""How many scales, and spaced how: the excess rate of L of them over Eq. 14 for every sigma; §4.

    scales.py --steps 5000 [--arm float-prior-0.03] [--every 3]

The latents of Kodak by a float-prior model, and the real sigmas that its hyper-synthesis gives (in
the range of Eq. 15). Each latent is then coded with the nearest of L scales between the same ends,
spaced logarithmically (the paper's) or linearly; the rate is the sum of -log2 p of Eq. 14, no file.
Writes results/STEPS/scales.csv.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from arms import FLOAT, MAIN, STEPS
from paper_b import RESULTS, RUNS, kodak, latents_of, model_of, pixels_of, write_rows

from intact.inexact.every_symbol import Scales
from intact.inexact.networks import FloatNetworks
from intact.train.entropy import gaussian_bits

COUNTS = (8, 16, 32, 64)
SCALES = Scales()


def spaced(count: int, how: str) -> np.ndarray:
    """[count] scales between the ends of Eq. 15."""
    space = np.geomspace if how == "logarithmic" else np.linspace
    return space(SCALES.low, SCALES.high, count)


def nearest(sigma: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The scale that costs least: p is nearly symmetric in the logarithm of sigma."""
    ends = np.sqrt(scales[1:] * scales[:-1])
    return scales[np.searchsorted(ends, sigma)]


def bits(symbols: np.ndarray, sigma: np.ndarray) -> float:
    """Of all symbols, by Eq. 14."""
    found = gaussian_bits(torch.from_numpy(symbols).double(), torch.from_numpy(sigma).double())
    return float(found.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--arm", default=f"{FLOAT}-{MAIN:g}")
    parser.add_argument("--every", type=int, default=3)
    args = parser.parse_args()
    model = model_of(RUNS / str(args.steps) / f"{args.arm}.intactm")
    networks = FloatNetworks(model, 1 << 18, "torch", 1)
    slope = math.log(SCALES.high / SCALES.low) / (SCALES.count - 1)
    symbols, sigmas = [], []
    for path in kodak(args.every).values():
        z, y = latents_of(model, networks, pixels_of(path))
        theta = networks.real("hyper_synthesis", {"z": z})[: y.shape[0], : y.shape[1]]
        sigmas.append(SCALES.low * np.exp(slope * np.clip(theta, 0, SCALES.count - 1)).ravel())
        symbols.append(y.ravel().astype(np.float32))
    y, sigma = np.concatenate(symbols), np.concatenate(sigmas)
    whole = bits(y, sigma)
    rows = [
        {"arm": args.arm, "spacing": how, "L": count, "bits": f"{found:.0f}",
         "excess_percent": f"{100 * (found / whole - 1):.3f}"}
        for how in ("logarithmic", "linear") for count in COUNTS
        for found in (bits(y, nearest(sigma, spaced(count, how))),)
    ]  # fmt: skip
    write_rows(RESULTS / str(args.steps) / "scales.csv", rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
