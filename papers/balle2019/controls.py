"""Table 1's float controls between the libraries at hand; benchmarks of more platforms: table1/.

    controls.py --steps 5000 [--weights 0.01 ...] [--every 1]

Three models of the same transforms: `float-prior`, whose float scale is rounded to a table's index;
`float-every-symbol`, Eq. 14 in float32 for every symbol; `integer-prior`. Every pair of NumPy,
PyTorch and ONNX Runtime (if there): coded by one, decoded by the other; a failure is any differing
symbol. Latents and hyper-latents are computed once, by PyTorch, and sent by each. Writes
results/STEPS/controls.csv.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from arms import FLOAT, INTEGER, STEPS
from paper_b import RESULTS, RUNS, kodak, latents_of, model_of, pixels_of, write_rows

from intact.bits.fast import Decoder, encode
from intact.bottleneck.hyperprior import Hyperprior
from intact.codec.model import Model
from intact.errors import CorruptDataError
from intact.inexact import every_symbol
from intact.inexact.every_symbol import Scales
from intact.inexact.networks import FloatNetworks

LIBRARIES = ("numpy", "torch", *(["onnx"] if find_spec("onnxruntime") else []))


def message(model: Model, networks: FloatNetworks, z: np.ndarray, y: np.ndarray, how: str) -> bytes:
    """The latents' message by a library."""
    if how == "every-symbol":
        theta = networks.real("hyper_synthesis", {"z": z})[: y.shape[0], : y.shape[1]]
        return every_symbol.encode(y, theta, Scales(), networks.library)
    tables = model.bottleneck_of(Hyperprior).tables_y
    return encode([(y.ravel().astype(np.int32), index_of(networks, z, y).ravel(), tables)])


def differs(
    model: Model, networks: FloatNetworks, z: np.ndarray, y: np.ndarray, how: str, data: bytes
) -> bool:
    """Whether a library comes to other latents, or to none."""
    try:
        if how == "every-symbol":
            theta = networks.real("hyper_synthesis", {"z": z})[: y.shape[0], : y.shape[1]]
            found = every_symbol.decode(data, theta, Scales(), networks.library)
            return not np.array_equal(found, y)
        decoder = Decoder(data)
        tables = model.bottleneck_of(Hyperprior).tables_y
        found = decoder.decode(index_of(networks, z, y).ravel(), tables)
        decoder.finish()
    except CorruptDataError:
        return True
    return not np.array_equal(found.reshape(y.shape), y)


def index_of(networks: FloatNetworks, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """uint16 [h, w, M]: the table of each latent."""
    theta = networks.run("hyper_synthesis", {"z": z}, 0)["theta"][: y.shape[0], : y.shape[1]]
    tables = networks.model.bottleneck_of(Hyperprior).tables_y.num_tables
    return np.minimum(theta, tables - 1).astype(np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--weights", nargs="*", default=["0.01"], help="lambdas of the models")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for weight in args.weights:
        rows += compare(RUNS / str(args.steps), weight, args.every)
    write_rows(RESULTS / str(args.steps) / "controls.csv", rows)


def compare(folder: Path, weight: str, every: int) -> list[dict[str, object]]:
    """All controls at one lambda, all pairs."""
    paths = {"table-index": FLOAT, "every-symbol": FLOAT, "integer": INTEGER}
    rows = []
    for how, arm in paths.items():
        model = model_of(folder / f"{arm}-{weight}.intactm")
        runs = {name: FloatNetworks(model, 1 << 18, name, 1) for name in LIBRARIES}
        failures = {(a, b): 0 for a in LIBRARIES for b in LIBRARIES}
        pictures = kodak(every)
        for path in pictures.values():
            z, y = latents_of(model, runs["torch"], pixels_of(path))
            for a in LIBRARIES:
                data = message(model, runs[a], z, y, how)
                for b in LIBRARIES:
                    failures[a, b] += differs(model, runs[b], z, y, how, data)
        rows += [
            {"control": how, "arm": f"{arm}-{weight}", "compressed_on": a, "decompressed_on": b,
             "images": len(pictures), "failures": count}
            for (a, b), count in failures.items()
        ]  # fmt: skip
        print(*rows[-len(failures) :], sep="\n", flush=True)
    return rows


if __name__ == "__main__":
    main()
