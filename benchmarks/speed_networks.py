"""The decoder's networks in integers beside their float32 twins in torch.

    python benchmarks/speed_networks.py [--size 768x512] [--threads 1,2] [--rounds 9]
        [--model NAME | --model random | --run FOLDER]

Networks: hyper_synthesis, prior_a, prior_b, synthesis; "decoder" is their sum. The twin is
`intact.train.network.Network` in float32 under `torch.inference_mode`, with the same layers
(compared here) and, with ``--run``, the run's weights; random ones are as fast. It has no rounding
and no clips but ReLU. "fused" is the same in the leanest way that eager torch has: gains folded
into weights, biases added by the matrix product, ReLU and sums in place.

Everything in one process with the same number of threads, in turns; medians. NumPy's BLAS reads
OPENBLAS_NUM_THREADS once: this script sets it to 1, and the backend splits the work itself. A ratio
above 1 means faster than the twin, or than "fused". Every integer result is compared with the
first backend's. "torch" is the integer backend on oneDNN, the one way to AMX (our kernels use
AVX-512 VNNI or AVX2). Writes benchmarks/results/speed_networks.csv.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from common import RESULTS, Row, find_model, in_turns, machine, random_codec, seconds, write

from intact.bottleneck.grid import Window
from intact.bottleneck.hyper import features
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.intnet.backends import choose, native
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.cost import cost
from intact.intnet.program import Conv, Program
from intact.native import library
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import TransformConfig
from intact.train.graph import Add, Conv as GraphConv, Requantize, Scale, Shuffle
from intact.train.network import Network, shuffle, unshuffle
from intact.train.start import float_codec

NAMES = ("hyper_synthesis", "prior_a", "prior_b", "synthesis")
LABELS = {"avx512": "native avx512vnni"}
Inputs = dict[str, np.ndarray]


def twin_of(model: Model) -> CodecNet:
    """A float codec of the model's sizes with random weights."""

    def blocks(name: str) -> int:
        return sum(isinstance(op, Conv) and op.groups > 1 for op in model.programs[name].ops)

    config = TransformConfig(
        blocks_analysis=blocks("analysis"),
        blocks_synthesis=blocks("synthesis"),
        latents=model.channels["M"],
        hyper_latents=model.channels["N"],
        features=model.channels["C"],
        blocks_context=blocks("prior_b"),
    )
    return CodecNet(config, RateConfig())


def check_layers(program: Program, twin: Network) -> None:
    """Both must have the same convolutions, or the comparison means nothing."""
    ours = [op.weight.shape for op in program.ops if isinstance(op, Conv)]
    nodes = [node for node in twin.graph.nodes if isinstance(node, GraphConv)]
    theirs = [tuple(twin.get(node.target, "weight").shape) for node in nodes]
    if ours != theirs:
        raise SystemExit(f"{program.name}: the twin has other layers: {ours} and {theirs}")


class Fused:
    """A twin at one level with nothing left to fuse by hand; see the module's docstring."""

    def __init__(self, twin: Network, t: float) -> None:
        self.graph = twin.graph
        gains = {
            node.target: (node.source, twin.get(node.target, "gain"))
            for node in twin.graph.nodes
            if isinstance(node, Requantize)
        }
        self.alias = {
            target: source
            for target, (source, gain) in gains.items()
            if (gain == 1).all() or self._feeds_convolutions(target)
        }
        self.gains = {name: gain for name, (_, gain) in gains.items() if name not in self.alias}
        self.layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for node in twin.graph.nodes:
            if isinstance(node, GraphConv):
                weight, bias, slope = (
                    twin.get(node.target, what).detach() for what in ("weight", "bias", "slope")
                )
                if node.source in self.alias:
                    gain = gains[node.source][1]
                    weight = weight * (gain[:, None, None, None] if node.depthwise else
                                       gain[None, :, None, None])  # fmt: skip
                self.layers[node.target] = weight.contiguous(), bias + slope * t

    def _feeds_convolutions(self, name: str) -> bool:
        readers = [n for n in self.graph.nodes if name in (getattr(n, "source", ""),
                   getattr(n, "left", ""), getattr(n, "right", ""))]  # fmt: skip
        return name not in self.graph.outputs and all(isinstance(n, GraphConv) for n in readers)

    def __call__(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """As the twin."""
        values = dict(inputs)
        for node in self.graph.nodes:
            match node:
                case GraphConv():
                    values[node.target] = self._conv(node, values[node.source])
                case Requantize():
                    x = values[node.source]
                    values[node.target] = (
                        x if node.target in self.alias else x * self.gains[node.target]
                    )
                case Scale():
                    values[node.target] = values[node.source]
                case Add():
                    # The branch is a fresh result that only this sum reads.
                    values[node.target] = values[node.right].add_(values[node.left])
                case Shuffle():
                    rearrange = unshuffle if node.inverse else shuffle
                    values[node.target] = rearrange(values[node.source], node.factor)
        return {name: values[name] for name in self.graph.outputs}

    def _conv(self, node: GraphConv, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.layers[node.target]
        if node.kernel == 1 and node.stride == 1 and not node.depthwise:
            out = F.linear(x, weight[:, :, 0, 0], bias)
        else:
            groups, margin = node.c_in if node.depthwise else 1, node.kernel // 2
            out = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, node.stride, margin, 1, groups)
            out = out.permute(0, 2, 3, 1)
        return out.relu_() if node.activation == "relu" else out


def inputs_of(model: Model, width: int, height: int) -> dict[str, Inputs]:
    """Plausible inputs of each network: small symbols and latents, real features."""
    random = np.random.default_rng(0)
    h, w = -(-height // model.bottleneck.LATENT_PX), -(-width // model.bottleneck.LATENT_PX)
    z = random.integers(-3, 4, (-(-h // 4), -(-w // 4), model.channels["N"])).astype(np.int8)
    y = random.normal(0, 200, (h, w, model.channels["M"])).astype(np.int16)
    f = features(Networks(model, height * width, "auto", 1), z, len(model.levels) // 2,
                 Window(0, 0, h, w))  # fmt: skip
    return {
        "hyper_synthesis": {"z": z},
        "prior_a": {"f": f},
        "prior_b": {"f": f, "y": y},
        "synthesis": {"y": y},
    }


def integer_runs(program: Program, inputs: Inputs, threads: int, level: int) -> dict[
    str, Callable[[], dict[str, np.ndarray]]
]:  # fmt: skip
    """Every way to compute a program here, by name."""
    runners = {}
    if library() is not None:
        best = ISA_NAMES.index(native.isa())
        for isa in reversed(ISA_NAMES[: best + 1]):
            runners[LABELS.get(isa, f"native {isa}")] = native.prepare(program, isa=isa)
    for name in ("torch", "numpy"):
        runners[name] = choose.backend(name)(program)
    return {
        name: lambda runner=runner: runner(inputs, level=level, threads=threads)
        for name, runner in runners.items()
    }


def compare(
    program: Program, twin: Network, inputs: Inputs, threads: int, rounds: int
) -> dict[str, float]:
    """Seconds of each way, the twin's under "twin"."""
    check_layers(program, twin)
    level = 40
    tensors = {k: torch.from_numpy(v.astype(np.float32))[None] for k, v in inputs.items()}
    t = torch.tensor([level / 127])
    found = integer_runs(program, inputs, threads, level)
    results = [run() for run in found.values()]
    for result in results[1:]:
        assert all(np.array_equal(result[k], results[0][k]) for k in result)
    torch.set_num_threads(threads)
    with torch.inference_mode():
        fused = Fused(twin, level / 127)
        expected, got = twin(tensors, t), fused(tensors)
        assert all(torch.allclose(got[k], expected[k], rtol=1e-3, atol=1e-3) for k in got)
        works: dict[str, Callable[[], object]] = {
            "twin": lambda: twin(tensors, t), "fused": lambda: fused(tensors), **found
        }  # fmt: skip
        return in_turns({name: seconds(work) for name, work in works.items()}, rounds)


def main() -> None:
    """Print a table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="768x512", help="width x height of the image")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", help="name or path; default the shipped one, else random")
    parser.add_argument("--run", type=Path, help="folder of a training run: the twin's weights")
    parser.add_argument("--csv", type=Path, default=RESULTS / "speed_networks.csv")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    model, what = find_model(options.model)
    if options.run:
        net = float_codec(options.run)
    else:
        net = random_codec() if what.startswith("random") else twin_of(model)
    net = net.eval()
    print(f"{machine()}; torch {torch.__version__}\n{options.size}, {what}")
    inputs = inputs_of(model, width, height)
    rows: list[Row] = []
    for threads in map(int, options.threads.split(",")):
        total: dict[str, float] = {}
        work = 0
        for name in NAMES:
            program, twin = model.programs[name], net.networks[name]
            assert isinstance(twin, Network), "the run is integer already: leave out --run"
            times = compare(program, twin, inputs[name], threads, options.rounds)
            h, w, _ = next(iter(inputs[name].values())).shape
            macs = round(cost(program).macs * h * w)
            work += macs
            rows += report(name, macs, threads, times)
            for key, value in times.items():
                total[key] = total.get(key, 0.0) + value
        rows += report("decoder", work, threads, total)
    write(options.csv, rows)


def report(name: str, work: int, threads: int, times: dict[str, float]) -> list[Row]:
    """Print and return one row per way."""
    rows: list[Row] = []
    for key, value in times.items():
        ratio, fused = times["twin"] / value, times["fused"] / value
        speed = f"{1e3 * value:9.2f} ms{work / value / 1e9:8.1f} GMAC/s"
        ratios = f"{ratio:6.2f} x twin {fused:6.2f} x fused"
        print(f"{name:16} {threads} thread(s) {key:18} {speed} {ratios}")
        rows.append({
            "machine": machine(), "network": name, "threads": threads, "backend": key,
            "ms": 1e3 * value, "gmac_s": work / value / 1e9, "ratio": ratio, "ratio_fused": fused,
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
