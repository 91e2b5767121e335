"""The float weights behind a frozen model, in bfloat16: to train on from them, and to compare.

A frozen model holds what its integers are; how it came to them (the float weights before rounding)
is lost in it. One safetensors file beside it, half the size of a checkpoint's weights and without
an optimizer's state, keeps that.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from intact import files
from intact.errors import CorruptDataError
from intact.train.codecs.codec import Codec
from intact.train.codecs.kinds import DEFAULT
from intact.train.config import from_dict

SUFFIX = ".safetensors"
FORMAT = "intact float weights 1"


def write(path: Path, net: Codec, info: dict[str, str] | None = None) -> None:
    """Write the weights of a float codec; inverse of `read` but for the rounding to bfloat16.

    Args:
        path: of the file, which appears whole or not at all.
        net: a float codec.
        info: plain text to keep: the model's id, its steps.
    """
    tensors = {
        name: tensor.to(torch.bfloat16).contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }
    codec = {"kind": net.KIND, **dataclasses.asdict(net.own)}
    metadata = {"format": FORMAT, "codec": json.dumps(codec), "info": json.dumps(info or {})}
    files.replace(path, save(tensors, metadata))


def info(path: Path) -> dict[str, str]:
    """The plain text that a file of weights keeps; empty where it has none.

    Raises:
        CorruptDataError: the file is damaged.
        OSError: it cannot be read.
    """
    path.open("rb").close()  # a missing file is an OSError that names it
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {}).get("info", "{}"))
    except (ValueError, SafetensorError) as error:
        raise CorruptDataError(f"{path} is damaged: {error}") from error
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def read(path: Path) -> Codec:
    """Read a float codec; inverse of `write`.

    Raises:
        CorruptDataError: the file is none of ours, or damaged.
        OSError: it cannot be read.
    """
    path.open("rb").close()  # a missing file is an OSError that names it
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CorruptDataError(f"{path} does not say that it is {FORMAT!r}")
            sections = json.loads(metadata["codec"])
            kind = sections.pop("kind", DEFAULT)
            config = from_dict({"codec": {"kind": kind}, **sections})
            net = config.kind.build(config.own, 0)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = net.state_dict()
        net.load_state_dict({name: tensors[name].to(state[name].dtype) for name in state})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CorruptDataError(f"{path} holds no weights of a codec: {error}") from error
    except SafetensorError as error:
        raise CorruptDataError(f"{path} is damaged: {error}") from error
    return net
