"""Tensors of every kind, and safetensors files of them, for the tests of packing."""

import json

import numpy as np

from intact.packing.dtypes import BY_NAME, of_array, to_raw
from intact.packing.safetensors import format_header


def bell(shape, seed=0, scale=0.05):
    """float32 as weights are: around 0, most of them small."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * scale).astype(np.float32)


def parts_of(tensor):
    """Type, shape and raw elements: of an array, or of a triple that says so itself."""
    if isinstance(tensor, tuple):
        return BY_NAME[tensor[0]], tensor[1], np.asarray(tensor[2])
    dtype = of_array(tensor)
    assert dtype is not None
    return dtype, tensor.shape, to_raw(tensor)


def safetensors_bytes(tensors, metadata=None):
    """A file, as its writers write it."""
    parts = {name: parts_of(tensor) for name, tensor in tensors.items()}
    header = format_header([(n, d, s) for n, (d, s, _) in parts.items()], metadata or {})
    return header + b"".join(raw.tobytes() for _, _, raw in parts.values())


def raw_file(header, data=b""):
    """A file with any header at all: a text, or what JSON makes of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def menagerie():
    """One of everything that there is."""
    nan = bell((40, 40), 5)
    nan[3, 4] = np.nan
    return {
        "conv.weight": bell((24, 16, 3, 3)),
        "fc.weight": bell((50, 40), 1),
        "tied.weight": bell((50, 40), 1),
        "half.weight": bell((32, 40), 2).astype(np.float16),
        "brain.weight": ("BF16", (32, 40), (bell((32, 40), 3).view(np.uint32) >> 16).astype("<u2")),
        "double.weight": bell((30, 40), 4).astype(np.float64),
        "norm.weight": np.ones(40, np.float32),
        "norm.bias": bell((40,), 6),
        "tiny.weight": bell((4, 4), 7),
        "not_finite.weight": nan,
        "mask": np.where(np.tri(40) > 0, 0, -np.inf).astype(np.float32),
        "float_mask": np.tri(40).astype(np.float32),
        "constant.weight": np.full((40, 40), 0.5, np.float32),
        "empty": np.zeros((0, 7), np.float32),
        "scalar": np.float32(3.5).reshape(()),
        "steps": np.int64(7).reshape(()),
        "tokens": np.arange(2000, dtype=np.int64).reshape(40, 50),
        "int8": np.random.default_rng(8).integers(-20, 20, (64, 64)).astype(np.int8),
        "flags": np.tri(20) > 0,
        "float8": ("F8_E4M3", (16, 100), np.random.default_rng(9).integers(0, 256, 1600, np.uint8)),
        "complex": np.full((3, 3), 1 + 2j, np.complex64),
        "a name, with \n ümläuts": bell((10,), 10),
    }
