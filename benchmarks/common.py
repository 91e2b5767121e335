"""What several benchmarks share: the machine's name, a photo, a model, turns, tables."""

from __future__ import annotations

import csv
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from intact.codec.model import Model
from intact.codec.store import load_model, model_files
from intact.intnet.backends import native
from intact.native import library

if TYPE_CHECKING:
    from intact.train.codecs.checkerboard import CodecNet

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results"
Row = dict[str, Any]


def cpu() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> str:
    """Processor, its instructions that matter here, and what our kernels use of them."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    found = [name for name in ("avx2", "avx512_vnni", "amx_int8") if name in flags]
    ours = native.isa() if library() is not None else "not built"
    return f"{cpu()}; {' '.join(found)}; native kernels: {ours}; numpy {np.__version__}"


def photo(width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3]: Kodak's first picture, else a CC0 photo, enlarged if need be."""
    kodak, ours = DATA / "kodak" / "kodim01.png", ROOT / "demo" / "original.png"
    image = Image.open(kodak if kodak.exists() else ours).convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def random_codec() -> CodecNet:
    """The codec at full size with random weights, started as the transform code. Needs torch."""
    import torch

    from intact.train.codecs.checkerboard import CodecNet
    from intact.train.codecs.rates import RateConfig
    from intact.train.codecs.transforms import TransformConfig

    net = CodecNet(TransformConfig(), RateConfig())
    image = photo(768, 512)
    blocks = image.reshape(32, 16, 48, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)
    net.start_as_transform_code(torch.from_numpy(blocks.copy()))
    return net


def find_model(name: str | None) -> tuple[Model, str]:
    """A model and what to call it: the one named, else the shipped one, else random weights."""
    if name != "random" and (name or any(model_files())):
        model = load_model(name)
        return model, f"model {model.name} ({model.channels['M']} latents)"
    import torch

    from intact.freeze.checkerboard import freeze
    from intact.train.convert import convert_codec

    image = photo(768, 512)
    crops = np.stack([image[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256)])
    observed = [(torch.from_numpy(crops), torch.linspace(-1, 1, len(crops)))]
    model = freeze(convert_codec(random_codec(), observed), "random", [])
    return model, f"random weights ({model.channels['M']} latents)"


def in_turns(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of what each run returns, in turns, so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            times[name].append(run())
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def seconds(work: Callable[[], object]) -> Callable[[], float]:
    """A run that returns how long ``work`` takes."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of equal keys as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    print(f"written to {path}")
