"""Mutated weight files and safetensors files: refused by a typed error, or read as they say.

    python tests/fuzz/fuzz_weights.py --runs 100000 --seed 1

Mutations of a weight file go into its index, which is deflated again, and into its blobs, and all
checksums are made right again, so that they reach what stands behind them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

if __name__ == "__main__":
    HERE = Path(__file__).resolve().parent
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

import numpy as np

from fuzz import mutate
from intact.errors import IntactError
from intact.packing.file import HEADER_BYTES, WeightsFile
from intact.packing.index import encode_index
from intact.packing.index_reader import decode_index
from intact.packing.safetensors import SafetensorsFile
from intact.packing.save import save
from intact.packing.state import Raw, Symbols, array_of
from tiny_tensors import bell, menagerie, safetensors_bytes

MUTATIONS = (
    mutate.flip_bits, mutate.set_bytes, mutate.insert_bytes, mutate.delete_bytes, mutate.truncate,
    mutate.edit_varint,
)  # fmt: skip
MAX_BYTES = 1 << 24
"""Unpacked, of a mutated file that is read to its end."""


def seeds(folder: Path) -> list[bytes]:
    """Weight files with everything that there is."""
    found = []
    symbols = np.random.default_rng(1).binomial(8, 0.5, (20, 90)) - 4
    tensors = {
        name: Raw(t[2], t[0], t[1]) if isinstance(t, tuple) else t
        for name, t in menagerie().items()
    }
    tensors["step"] = Symbols(symbols, step=0.1, scales=np.linspace(1, 2, 20))
    tensors["centers"] = Symbols(symbols + 4, centers=bell(9), scales=0.5, dtype="BF16")
    tensors["vectors"] = Symbols(symbols.reshape(-1)[:700] + 4, centers=bell((9, 3)), shape=(2099,))
    for method in ("rows", "static"):
        save(tensors, folder / "seed", metadata={"a": "b"}, method=method)
        found.append((folder / "seed").read_bytes())
    few = {"a": tensors["step"], "b": tensors["centers"], "n": np.arange(5)}
    save(few, folder / "seed", joint=True)
    return [*found, (folder / "seed").read_bytes()]


def parts(data: bytes) -> tuple[list[bytes], bytes]:
    """The blobs of a weight file, and its index, unpacked."""
    start = int.from_bytes(data[9:17], "little")
    plain = zlib.decompress(data[start:])
    index = decode_index(plain, "seed")
    first = [HEADER_BYTES + blob.start for blob in index.blobs]
    return [data[a : a + b.length] for a, b in zip(first, index.blobs, strict=True)], plain


def assembled(blobs: list[bytes], plain: bytes) -> bytes:
    """A weight file of any blobs and any index, its checksums right."""
    try:
        index = decode_index(plain, "mutated")
        index.blobs = [
            replace(blob, length=len(data), crc=zlib.crc32(data))
            for blob, data in zip(index.blobs, blobs, strict=True)
        ]
        plain = encode_index(index)
    except (IntactError, ValueError):
        pass  # its own lengths and checksums, then
    body, packed = b"".join(blobs), zlib.compress(plain)
    head = b"\xd7INT\r\n\x1a\n\x10" + (HEADER_BYTES + len(body)).to_bytes(8, "little")
    head += len(packed).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    return head + zlib.crc32(packed, zlib.crc32(head)).to_bytes(4, "little") + body + packed


def mutated(r: Random, data: bytes) -> bytes:
    """A weight file with a fault or two."""
    if r.random() < 0.15:
        return r.choice(MUTATIONS)(r, data)
    blobs, plain = parts(data)
    for _ in range(r.choice((1, 1, 2))):
        if r.random() < 0.5:
            plain = r.choice(MUTATIONS)(r, plain)
        else:
            at = r.randrange(len(blobs))
            blobs[at] = r.choice(MUTATIONS)(r, blobs[at]) or b"\0"
    return assembled(blobs, plain)


def read_weights(path: Path) -> None:
    """Read all of a file, and hold it to what it says.

    Raises:
        IntactError: it is refused.
        AssertionError: it is not what it says.
    """
    file = WeightsFile(path)
    left = MAX_BYTES
    for tensor in file.index.tensors:
        left -= tensor.dtype.num_bytes(tensor.shape)
        if left < 0:
            break
        raw = file.raw(tensor)
        assert raw.dtype == np.dtype(tensor.dtype.raw)
        assert raw.size == tensor.num_items
        array_of(file, tensor.name)
    assert encode_index(file.index) == parts(path.read_bytes())[1]


def mutated_safetensors(r: Random) -> bytes:
    """A safetensors file with a fault in its header, of bytes or of JSON."""
    data = safetensors_bytes(menagerie(), {"format": "pt"})
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    match r.randrange(3):
        case 0:
            return r.choice(MUTATIONS)(r, data)
        case 1:
            header = r.choice(MUTATIONS)(r, header)
        case _:
            tree = json.loads(header)
            entry = tree[r.choice(list(tree))]
            key = r.choice(list(entry))
            odd = [None, -1, 1 << 64, 0.5, "F32", [], [0], [1 << 62] * 9, {}, True, [0, 8]]
            entry[key] = r.choice(odd)
            header = json.dumps(tree).encode()
    return len(header).to_bytes(8, "little") + header + rest


def read_safetensors(path: Path) -> None:
    """Read all of a safetensors file.

    Raises:
        IntactError: it is refused.
    """
    file = SafetensorsFile(path)
    total = sum(file.raw(entry).nbytes for entry in file.entries)
    assert total == file.size - file.header.num_bytes


def run(runs: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Outcomes, and what went wrong."""
    outcomes: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        files = seeds(Path(folder))
        for index in range(runs):
            r = Random(f"{seed} {index}")
            weights = r.random() < 0.8
            data = mutated(r, r.choice(files)) if weights else mutated_safetensors(r)
            path.unlink(missing_ok=True)  # an old one may still be mapped
            path.write_bytes(data)
            try:
                (read_weights if weights else read_safetensors)(path)
                outcome = "accepted"
            except IntactError as error:
                outcome = type(error).__name__
            except Exception:
                outcome = "failure"
                failures.append(f"seed {seed}, run {index}: {traceback.format_exc()}")
            outcomes[f"{'weights' if weights else 'safetensors'} {outcome}"] += 1
    return outcomes, failures


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="See the top of this file.")
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    found, wrong = run(given.runs, given.seed)
    sys.stdout.write("\n".join([str(dict(found)), *wrong[:5]]) + "\n")
    sys.exit(bool(wrong))
