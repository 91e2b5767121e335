"""What runs on a platform: golden vectors, or files that are compressed and decompressed.

    worker.py vectors BACKEND
    worker.py compress | decompress BACKEND JOB.json RESULTS.jsonl

Needs NumPy alone (and the backend's library), so that it runs where the test tools do not. It is
started by `run`, in the environment that makes the platform. Options: ``--mkldnn-off``, and
``--without-extension``: as where no C compiler was, coder in Python.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

if "--without-extension" in sys.argv:
    sys.modules["intact._native"] = None  # type: ignore[assignment]  # importing it fails now

from intact import Model, decode, errors
from intact.bits import fast
from intact.bits.tables import TableBank
from intact.bottleneck.grid import Layout
from intact.codec.model import Model as AnyModel
from intact.codec.pixels import to_network
from intact.codec.runtime import Runtime
from intact.codec.store import load_model
from intact.intnet.backends import choose
from intact.intnet.tree import program_from_tree
from intact.models import FOLDER
from intact.native import library
from intact.packing.file import WeightsFile

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
TILE_LOG2 = 6
LARGE = 100_000  # pixels of a file that the definition would take minutes for
Row = dict[str, Any]


def digest(*parts: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def processor() -> str:
    """Its name, as the system has it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe() -> Row:
    """What a result is a result of."""
    found: Row = {
        "machine": platform.machine(),
        "cpu": processor(),
        "order": sys.byteorder,
        "numpy": np.__version__,
        "entropy_coder": "C" if library() is not None else "Python",
    }
    for name in ("torch", "onnxruntime"):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    return found


# Golden vectors


def vectors(backend: choose.Name, kinds: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Check golden vectors of some kinds, or all: kind, name, and what is wrong ("" if nothing).

    "refused: ..." where the backend's own proof says that it is not exact here.
    """
    for kind, find in (
        ("op", operations), ("intnet", qtanh), ("bits", lambda _: messages()),
        ("file", files), ("invalid", invalid), ("model", lambda _: models()),
        ("weights", lambda _: weight_files()),
    ):  # fmt: skip
        for name, check in find(backend) if not kinds or kind in kinds else ():
            try:
                yield kind, name, check()
            except Exception as error:
                yield kind, name, f"{type(error).__name__}: {error}"


def arrays_of(item: Any) -> Any:
    """JSON with arrays in place of their shapes and values."""
    if isinstance(item, dict) and item.keys() == {"shape", "values"}:
        return np.array(item["values"], np.int64).reshape(item["shape"])
    if isinstance(item, dict):
        return {key: arrays_of(value) for key, value in item.items()}
    return [arrays_of(value) for value in item] if isinstance(item, list) else item


def same_outputs(backend: choose.Name, program: Any, case: Row) -> str:
    """Run a program and compare."""
    proof = choose.prove(backend, program)
    if not proof.ok:
        return f"refused: {proof.reason}"
    runner = choose.backend(backend)(program)
    for threads in (1, 2):
        found = runner(case["inputs"], level=case["level"], threads=threads)
        wrong = [n for n, array in case["outputs"].items() if not np.array_equal(found[n], array)]
        if wrong:
            return f"{wrong} differ with {threads} threads"
    return ""


def operations(backend: choose.Name) -> Iterator[tuple[str, Any]]:
    """vectors/op."""
    for path in sorted((VECTORS / "op").glob("*.json")):
        for number, case in enumerate(arrays_of(json.loads(path.read_text()))):
            program = program_from_tree(case["program"])
            yield f"{path.stem}/{number}", lambda p=program, c=case: same_outputs(backend, p, c)


def qtanh(backend: choose.Name) -> Iterator[tuple[str, Any]]:
    """vectors/intnet."""
    content = json.loads((VECTORS / "intnet" / "qtanh.json").read_text())
    tree = content["program"]
    for op in tree["ops"]:
        for name in ("weight", "bias", "slope", "divisor", "table"):
            kind = np.int32 if name in ("bias", "slope") else np.int16
            op[name] = np.array(op[name], kind)
    program = program_from_tree(tree)
    for number, item in enumerate(content["cases"]):
        inputs, outputs = {"u": np.array(item["u"], np.int8)}, {"w2": np.array(item["w2"])}
        case = {"inputs": inputs, "outputs": outputs, "level": 0}
        yield f"qtanh/{number}", lambda c=case: same_outputs(backend, program, c)


def messages() -> Iterator[tuple[str, Any]]:
    """vectors/bits, both ways."""

    def check(case: Row) -> str:
        bank = TableBank.build(case["minimums"], case["freqs"])
        parts = [
            (np.array(part["symbols"], np.int32), np.array(part["indexes"], np.int64), bank)
            for part in case["parts"]
        ]
        payload = bytes.fromhex(case["payload"])
        decoder = fast.Decoder(payload)
        for symbols, indexes, _ in parts:
            if decoder.decode(indexes, bank).tolist() != symbols.tolist():
                return "other symbols"
        decoder.finish()
        return "" if fast.encode(parts, case["lanes"]) == payload else "another message"

    for case in json.loads((VECTORS / "bits" / "rans.json").read_text()):
        yield case["name"], lambda c=case: check(c)


def weight_files() -> Iterator[tuple[str, Any]]:
    """vectors/weights/files: every tensor, and what `intact.weights.load` makes of it."""

    def check(name: str, wanted: Row) -> str:
        file = WeightsFile(VECTORS / "weights" / "files" / name)
        for tensor in file.index.tensors:
            if digest(file.raw(tensor).tobytes()) != wanted[tensor.name]["sha256"]:
                return f"{tensor.name} differs"
            if (
                # Parts are of either byte order; `intact unpack` writes them as is done here.
                digest(*(part.astype(tensor.dtype.raw).tobytes() for part in file.parts(tensor)))
                != wanted[tensor.name]["sha256"]
            ):
                return f"{tensor.name} differs in parts"
        return ""

    table = json.loads((VECTORS / "weights" / "files" / "tensors.json").read_text("utf-8"))
    for name, wanted in table.items():
        yield name, lambda n=name, w=wanted: check(n, w)


@cache
def model_of(path: str) -> AnyModel:
    """A model by its path below vectors, a shipped one by name, any one by its whole path."""
    if not path.endswith(".intactm"):
        return load_model(path)
    return Model.from_bytes((VECTORS / path).read_bytes())


def files(backend: choose.Name) -> Iterator[tuple[str, Any]]:
    """vectors/files.json: the pixels of every file, by this backend without another one's help."""

    def check(path: str, item: Row) -> str:
        model = model_of(item["model"]) if item["model"] else None
        if model is not None:
            networks = Runtime(backend, 1).networks(model, 1, model.decoding)
            if networks.backend.name != backend:
                return f"refused: {networks.backend.name} stands for it"
        decoded = decode((VECTORS / path).read_bytes(), model=model, backend=backend, threads=1)
        if backend in choose.refusals():
            return f"rescued: {choose.refusals()[backend]}"
        return "" if digest(decoded.pixels.tobytes()) == item["pixels_sha256"] else "other pixels"

    for path, item in json.loads((VECTORS / "files.json").read_text()).items():
        if backend != "reference" or item["width"] * item["height"] < LARGE:
            yield path, lambda p=path, i=item: check(p, i)


def models() -> Iterator[tuple[str, Any]]:
    """Models of the package: read and written again they are the same models.

    Of their bytes that cannot be asked: other processors make zlib write others.
    """

    def check(path: Path) -> str:
        data = path.read_bytes()
        model = Model.from_bytes(data)
        again = Model.from_bytes(model.to_bytes())
        return "" if again.id == model.id else "another model"

    for path in sorted(FOLDER.glob("*.intactm")):
        yield path.stem, lambda p=path: check(p)


def invalid(backend: choose.Name) -> Iterator[tuple[str, Any]]:
    """vectors/invalid: the error of every file."""

    def check(name: str, item: Row) -> str:
        data = (VECTORS / "invalid" / name).read_bytes()
        try:
            if name.endswith(".intactm"):
                Model.from_bytes(data)
            else:
                decode(data, model=model_of(item["model"]), backend=backend, threads=1)
        except errors.IntactError as error:
            right = type(error).__name__ == item["error"] and item["says"] in str(error)
            return "" if right else f"{type(error).__name__}: {error}"
        return "accepted"

    for name, item in json.loads((VECTORS / "invalid" / "index.json").read_text()).items():
        yield name, lambda n=name, i=item: check(n, i)


# Files of table 1


class Coder:
    """A model's networks on a backend, to plan, code and decode the symbols of pictures.

    Args:
        path: of the model.
        backend: a name.
        roles: networks that will run.
        precision: of float networks; files have float32.
    """

    def __init__(
        self, path: str, backend: str, roles: tuple[str, ...], precision: str = "float32"
    ) -> None:
        self.model = model_of(path)
        runtime = Runtime(backend, 1, allow_inexact=not self.model.is_exact)
        known = tuple(role for role in roles if role in self.model.programs)
        self.networks: Any = runtime.networks(self.model, 1 << 19, known)
        self.networks.precision = precision
        self.ran_as = self.networks.backend.name if known else backend

    def layout(self, latents: tuple[int, ...]) -> Layout:
        """Of a picture with so many latents."""
        return Layout((latents[0], latents[1]), TILE_LOG2)

    def compress(self, y: np.ndarray, level: int) -> tuple[tuple[bytes, ...], np.ndarray]:
        """Payloads and latents of what an analysis gave."""
        layout = self.layout(y.shape)
        plan = self.model.bottleneck.plan(self.networks, y, level, layout)
        return self.model.bottleneck.encode(plan, layout), plan.latents

    def decompress(self, payloads: list[bytes], level: int, shape: tuple[int, ...]) -> np.ndarray:
        """The latents."""
        layout = self.layout(shape)
        bottleneck = self.model.bottleneck
        return bottleneck.decode(self.networks, payloads, level, layout, layout.whole, None)[0]

    def analysis(self, image: np.ndarray, level: int) -> np.ndarray:
        """int16 [h, w, M]."""
        pixels = to_network(image, self.model.bottleneck.LATENT_PX)
        return self.networks.run("analysis", {"pixels": pixels}, level)["y"]

    def pixels(self, latents: np.ndarray, level: int) -> np.ndarray:
        """What the synthesis gives."""
        return self.networks.run("synthesis", {"y": latents}, level)["pixels"]


class EverySymbol(Coder):
    """The other float control: Eq. 14 in float32 for every symbol, no table's index in between."""

    def compress(self, y: np.ndarray, level: int) -> tuple[tuple[bytes, ...], np.ndarray]:
        """The message, the hyper-latents as they are, and the symbols."""
        from intact.inexact import every_symbol

        plan = self.model.bottleneck.plan(self.networks, y, level, self.layout(y.shape))
        theta = self._theta(plan.z, y.shape)
        library = self.networks.library
        message = every_symbol.encode(plan.symbols, theta, every_symbol.Scales(), library)
        return (message, plan.z.tobytes()), plan.symbols.astype(np.int16)

    def decompress(self, payloads: list[bytes], level: int, shape: tuple[int, ...]) -> np.ndarray:
        """The symbols."""
        from intact.inexact import every_symbol

        message, hyper = payloads
        z = np.frombuffer(hyper, np.int8).reshape(-(-shape[0] // 4), -(-shape[1] // 4), -1)
        theta, scales = self._theta(z, shape), every_symbol.Scales()
        return every_symbol.decode(message, theta, scales, self.networks.library)

    def _theta(self, z: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """float32 [h, w, M]."""
        return self.networks.real("hyper_synthesis", {"z": z})[: shape[0], : shape[1]]


CODERS = {"file": Coder, "every-symbol": EverySymbol}
"""How symbols are coded: as in a file, or as nobody should."""


def done_in(path: Path) -> set[str]:
    """Keys of results that are there already."""
    if not path.exists():
        return set()
    return {json.loads(line)["key"] for line in path.read_text().splitlines()}


def compress(backend: str, job: Row) -> Iterator[Row]:
    """Files of a job's cases; each content is stored once, by its hash.

    Of the analysis's outputs those at hand are taken, or its own ("analysis" of the job).
    """
    folder, coders = Path(job["folder"]), {}
    for case in job["cases"]:
        begin, path = time.perf_counter(), case["model"]
        if path not in coders:
            names = tuple(model_of(path).programs)
            skipped = ("synthesis",) if job["analysis"] else ("synthesis", "analysis")
            names = tuple(n for n in names if n not in skipped)
            coders[path] = CODERS[job["how"]](path, backend, names, job["precision"])
        coder = coders[path]
        if job["analysis"]:
            y = coder.analysis(np.load(folder / "images" / f"{case['image']}.npy"), case["level"])
        else:
            y = np.load(folder / "y" / f"{case['key']}.npy")
        payloads, latents = coder.compress(y, case["level"])
        name = digest(
            case["key"].encode(), *payloads, np.ascontiguousarray(latents, "<i2").tobytes()
        )
        target = folder / "files" / f"{name}.npz"
        if not target.exists():
            tiles: Row = {f"tile{i}": np.frombuffer(t, np.uint8) for i, t in enumerate(payloads)}
            np.savez(target, latents=latents, y=y, **tiles)
        yield {
            "key": case["key"], "file": name, "ran_as": coder.ran_as,
            "bytes": sum(map(len, payloads)), "seconds": time.perf_counter() - begin,
        }  # fmt: skip


def decompress(backend: str, job: Row) -> Iterator[Row]:
    """The symbols of every file of a job against those that were coded; some also to pixels."""
    folder, coders = Path(job["folder"]), {}
    skipped = () if any(case["pixels"] for case in job["cases"]) else ("synthesis",)
    for case in job["cases"]:
        begin, path = time.perf_counter(), case["model"]
        if path not in coders:
            names = tuple(n for n in model_of(path).decoding if n not in skipped)
            coders[path] = CODERS[job["how"]](path, backend, names, job["precision"])
        coder = coders[path]
        with np.load(folder / "files" / f"{case['file']}.npz") as stored:
            latents = stored["latents"]
            tiles = [stored[f"tile{i}"].tobytes() for i in range(len(stored.files) - 2)]
        row: Row = {"key": case["file"], "ran_as": coder.ran_as, "pixels": ""}
        try:
            found = coder.decompress(tiles, case["level"], latents.shape)
        except errors.CorruptDataError as error:
            row["symbols"] = f"error: {error}"
        else:
            row["symbols"] = "same" if np.array_equal(found, latents) else "differ"
            if case["pixels"]:
                row["pixels"] = digest(coder.pixels(found, case["level"]).tobytes())
        yield {**row, "seconds": time.perf_counter() - begin}


def main() -> None:
    """Do what the arguments say."""
    logging.disable(logging.WARNING)
    arguments = [item for item in sys.argv[1:] if not item.startswith("--")]
    if "--mkldnn-off" in sys.argv:
        import torch

        torch.backends.mkldnn.enabled = False
    what, backend = arguments[:2]
    if what == "vectors":
        rows = [
            {"kind": kind, "name": name, "wrong": wrong}
            for kind, name, wrong in vectors(backend, arguments[2:])  # type: ignore[arg-type]
        ]
        print(json.dumps({"about": describe(), "rows": rows}))
        return
    job, target = json.loads(Path(arguments[2]).read_text()), Path(arguments[3])
    done = done_in(target)
    key = "key" if what == "compress" else "file"
    job["cases"] = [case for case in job["cases"] if case[key] not in done]
    with target.open("a", encoding="utf-8") as file:
        for row in (compress if what == "compress" else decompress)(backend, job):
            file.write(json.dumps(row) + "\n")
            file.flush()
    print(json.dumps({"about": describe()}))


if __name__ == "__main__":
    main()
