"""What an encoder would gain that draws its latents, and sends back what the picture lacks.

    python benchmarks/correction.py [--weights FILE] [--count 8] [-o CSV]

The analysis guesses what the decoder will make of its latents. An encoder can know: it draws the
unrounded latents, and adds what the picture lacks, carried back through the transposed first layer
of the synthesis, times a share; once or more. Float networks of an image codec 2, ideal bits, not
files; middles of photographs that are set aside, six levels. Printed: the change of the rate at
equal PSNR and at equal SSIMULACRA 2 (our own), in percent of what the codec without needs there,
from the finest level to the coarsest. A correction costs an encoder one more synthesis.
docs/decisions/0036 has the figures.
"""

from __future__ import annotations

import numpy as np
import torch
from common import Row, write
from finest_level import Level, asked, psnr
from integer_loss import photographs
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from intact.train.losses.ssimulacra2 import score

LEVELS = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)
SHARES = (0.15, 0.3, 0.5)
TIMES = (1, 2, 3)


def coded(level: Level, image: Tensor, share: float, times: int) -> np.ndarray:
    """[levels, 3]: mean bits per pixel, PSNR and SSIMULACRA 2 of pictures corrected so often."""
    found, wanted = [], image.float()
    for at in LEVELS:
        level.at = at
        y = level.analyzed(image)
        for _ in range(times):
            y = level.corrected(wanted, y, share * level.first.float())
        bpp, pixels = level.coded(y, torch.round)
        pixels = pixels.clamp(0, 255)
        values = (bpp, psnr(wanted, pixels), score(wanted, pixels))
        found.append([float(value.mean()) for value in values])
    return np.array(found)


def gains(plain: np.ndarray, other: np.ndarray, metric: int) -> np.ndarray:
    """[levels]: the change of the rate at an equal metric, in percent."""
    rising = plain[np.argsort(plain[:, 0])]
    rate = PchipInterpolator(rising[:, metric], np.log(rising[:, 0]), extrapolate=True)
    return 100 * (np.exp(np.log(other[:, 0]) - rate(other[:, metric])) - 1)


@torch.no_grad()
def main() -> None:
    """Measure, print, write."""
    level, options = asked(__doc__, 8)
    source, image, rows = options.weights, photographs(options.count), list[Row]()
    plain = coded(level, image, 0, 0)
    print(f"{source.stem}, {len(image)} photographs; from the finest level to the coarsest")
    print("bits per pixel:", " ".join(f"{bpp:.2f}" for bpp in plain[:, 0]))
    for share in SHARES:
        for times in TIMES:
            found = coded(level, image, share, times)
            rates = {name: gains(plain, found, k) for k, name in ((1, "psnr"), (2, "ssimulacra2"))}
            text = "; ".join(f"{k} {' '.join(f'{x:+.1f}' for x in v)}" for k, v in rates.items())
            print(f"{times} x {share}: {text}", flush=True)
            rows += [
                {"weights": source.stem, "share": share, "times": times, "level": at,
                 "bpp": bpp, "psnr": quality, "ssimulacra2": seen,
                 "rate_psnr": rates["psnr"][i], "rate_ssimulacra2": rates["ssimulacra2"][i]}
                for i, (at, (bpp, quality, seen)) in enumerate(zip(LEVELS, found, strict=True))
            ]  # fmt: skip
    if options.output:
        write(options.output, rows)


if __name__ == "__main__":
    main()
