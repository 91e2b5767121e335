"""A whole encode and a whole decode beside CompressAI's bmshj2018-hyperprior, in turns.

    python benchmarks/against_compressai.py [--threads 1] [--rounds 7] [--size 768x512]
        [--model NAME | --model random] [--peer /work/venv-compressai/bin/python]

CompressAI needs numpy < 2 and lives in an environment of its own:

    python -m venv /work/venv-compressai
    /work/venv-compressai/bin/pip install torch==2.13.0 "numpy<2" "scipy<1.16"
    /work/venv-compressai/bin/pip install --no-deps compressai==1.2.8 einops tqdm pillow

Four worker processes, driven over pipes one at a time, so that both sides see the same machine:

- native: intact as installed with a compiler;
- base: intact with NumPy alone: no native library, no torch (their imports fail in that
  worker);
- compressai: ``compress`` and ``decompress`` of ScaleHyperprior(N=128, M=192) in float32, eager,
  as its own eval script times them: tensors in and out, no file, no 8-bit conversion (ours include
  files, checksums and uint8 pixels, and our encode includes a decode);
- compressai networks: only its four transforms, no entropy coding at all.

CompressAI's weights are RANDOM here (pretrained ones cannot be downloaded); its time does not
depend on them, but its stream does: the last layers are scaled so that its latents have a standard
deviation of about ``--spread``, predicted by its scales, which gives a stream of a usual size; the
number of symbols and bytes is printed. It codes all 294,912 latents of a 768x512 image.
Its package imports libraries that no image model uses; where they are missing the worker puts empty
modules in their place: torchvision, torch_geometric, pytorch_msssim, pandas, requests, pyntcloud.

Medians; a ratio above 1 means that intact is faster. Writes
benchmarks/results/against_compressai.csv.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("native", "base", "compressai", "compressai networks")
MISSING = {
    "torchvision", "torch_geometric", "pytorch_msssim", "pandas", "requests", "pyntcloud",
}  # fmt: skip
Works = dict[str, Callable[[], object]]


class Empty(types.ModuleType):
    """A module in which every name is a class that does nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        body = {"__init__": lambda self, *_, **__: None, "__call__": lambda self, x: x}
        return type(name, (), body)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds empty modules for libraries that are missing and not needed."""

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A specification for the names in `MISSING`."""
        if fullname.split(".")[0] not in MISSING:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """An empty module."""
        return Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def intact_works(folder: Path, options: dict[str, Any], *, base: bool) -> tuple[Works, str]:
    """Encode and decode by intact."""
    import numpy as np

    if base:
        for name in ("torch", "intact._native"):
            # None is how Python itself marks a module that cannot be imported.
            sys.modules[name] = None  # pyright: ignore[reportArgumentType]
    import intact
    from intact.codec.model import Model
    from intact.intnet.backends import choose

    model = Model.from_bytes((folder / "model").read_bytes())
    image = np.load(folder / "image.npy")
    how = {
        "model": model,
        "threads": options["threads"],
        "backend": "numpy" if base else "native",
    }
    data = intact.encode(image, quality=options["quality"], **how)
    works: Works = {
        "encode": lambda: intact.encode(image, quality=options["quality"], **how),
        "decode": lambda: intact.decode(data, **how),
    }
    assert not base or choose.available() == ("numpy", "reference")
    size = f"{len(data)} bytes, {8 * len(data) / (image.shape[0] * image.shape[1]):.2f} bpp"
    return works, f"quality {options['quality']:g}: {size}"


def compressai_works(folder: Path, options: dict[str, Any], *, coder: bool) -> tuple[Works, str]:
    """The same by CompressAI, or only its networks."""
    import numpy as np

    torch = importlib.import_module("torch")
    sys.meta_path.append(Finder())
    # By name: it is not in the environment in which this file is checked.
    hyperprior = importlib.import_module("compressai.models").ScaleHyperprior
    torch.set_num_threads(options["threads"])
    torch.set_grad_enabled(False)
    net = hyperprior(128, 192).eval()
    image = np.load(folder / "image.npy")
    x = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()
    sides = -(-x.shape[2] // 64) * 64 - x.shape[2], -(-x.shape[3] // 64) * 64 - x.shape[3]
    x = torch.nn.functional.pad(x, (0, sides[1], 0, sides[0]), mode="replicate")
    y = net.g_a(x)
    last = net.g_a[-1]
    last.weight *= options["spread"] / y.std()
    last.bias *= 0
    y = net.g_a(x)
    net.h_s[-2].bias += y.std() - net.h_s(net.h_a(y.abs())).mean()
    net.update(force=True)
    out = net.compress(x)
    strings, shape = out["strings"], out["shape"]
    z = net.h_a(y.abs())

    def encode() -> None:
        y = net.g_a(x)
        net.h_s(net.h_a(y.abs()))

    def decode() -> None:
        net.h_s(z)
        net.g_s(y)

    works: Works = {
        "encode": (lambda: net.compress(x)) if coder else encode,
        "decode": (lambda: net.decompress(strings, shape)) if coder else decode,
    }
    size = sum(len(s[0]) for s in strings)
    version = importlib.import_module("compressai").__version__
    text = f"compressai {version}, torch {torch.__version__}, numpy {np.__version__}; RANDOM"
    text += f" weights; {y.numel()} + {z.numel()} symbols, {size} bytes"
    return works, f"{text}, {8 * size / (image.shape[0] * image.shape[1]):.2f} bpp"


def worker(kind: str, folder: Path) -> None:
    """Answer each line, the name of a work, with its seconds."""
    options = json.loads((folder / "options.json").read_text())
    if kind in ("native", "base"):
        works, text = intact_works(folder, options, base=kind == "base")
    else:
        works, text = compressai_works(folder, options, coder=kind == "compressai")
    for work in works.values():
        work()
    print(json.dumps(text), flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        works[line.strip()]()
        print(time.perf_counter() - begin, flush=True)


class Side:
    """A worker process and what it said."""

    def __init__(self, kind: str, python: str, folder: Path, threads: int) -> None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads))
        # NumPy's backend splits the work itself; a pool of the BLAS on top would fight with it.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        self.process = subprocess.Popen(
            [python, __file__, "--worker", kind, "--folder", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.text = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a worker ended; its message is above")
        return line

    def run(self, work: str) -> float:
        """Seconds of one run."""
        assert self.process.stdin is not None
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    """Print a table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="768x512", help="width x height of the image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--model", help="name or path; default the shipped one, else random")
    parser.add_argument("--peer", default="/work/venv-compressai/bin/python")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.folder)
        return
    import numpy as np
    from common import RESULTS, Row, find_model, in_turns, machine, photo, write

    width, height = (int(side) for side in options.size.split("x"))
    model, what = find_model(options.model)
    print(f"{machine()}\n{options.size}, {options.threads} thread(s), {what}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").write_bytes(model.to_bytes())
        np.save(folder / "image.npy", photo(width, height))
        chosen = {key: getattr(options, key) for key in ("threads", "quality", "spread")}
        (folder / "options.json").write_text(json.dumps(chosen))
        sides: dict[str, Side] = {}
        try:
            for kind in KINDS:
                python = sys.executable if kind in ("native", "base") else options.peer
                sides[kind] = Side(kind, python, folder, options.threads)
                print(f"  {kind}: {sides[kind].text}")
            rows: list[Row] = []
            for work in ("encode", "decode"):
                runs = {kind: lambda s=side, w=work: s.run(w) for kind, side in sides.items()}
                times = in_turns(runs, options.rounds)
                for kind, value in times.items():
                    whole = times["compressai"] / value
                    networks = times["compressai networks"] / value
                    print(f"{work} {kind:20} {1e3 * value:9.1f} ms  compressai takes {whole:6.2f}"
                          f" times as long, its networks alone {networks:6.2f}")  # fmt: skip
                    rows.append({
                        "machine": machine(), "size": options.size, "threads": options.threads,
                        "work": work, "side": kind, "ms": 1e3 * value,
                        "ratio_to_compressai": whole, "ratio_to_its_networks": networks,
                        "note": sides[kind].text,
                    })  # fmt: skip
        finally:
            for side in sides.values():
                side.close()
    write(options.csv or RESULTS / "against_compressai.csv", rows)


if __name__ == "__main__":
    main()
