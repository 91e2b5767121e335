"""The networks of a model as ONNX files, each with a test that says whether a runtime is exact.

A folder for each network, in the layout of ONNX's own tests: ``model.onnx``, and below
``test_data_set_0`` inputs and the outputs of the definition (`intact.intnet.ops`). Beside them
``model.json``: which model, which network reads and gives what. Entropy coding is not in it.

The graphs are `intact.intnet.backends.onnx_graph`'s; that page says what makes them exact.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from intact import files
from intact.bottleneck.roles import Role
from intact.codec.model import Model
from intact.errors import UnsupportedError
from intact.intnet import ops
from intact.intnet.backends.forms import mixed
from intact.intnet.backends.onnx_bytes import OPSET, tensor
from intact.intnet.backends.onnx_graph import Network, network
from intact.intnet.backends.parts import tall_size, unit_of
from intact.intnet.infer import infer
from intact.intnet.program import LEVEL_MAX, Program, dtype_of

FOLDER_FILE = "model.json"
NETWORK_FILE = "model.onnx"
TEST = "test_data_set_0"
TENSOR_FILE = re.compile(r"(in|out)put_[0-9]+\.pb")
MODEL_KEY, ID_KEY, NETWORK_KEY = "intact.model", "intact.model_id", "intact.network"
"""What a graph says of itself; by the last one an export is told from other ONNX files."""


def onnx_files(model: Model) -> Iterator[tuple[str, bytes]]:
    """Every file of an export: its path below the folder, with slashes, and its content.

    Args:
        model: an exact one.

    Raises:
        UnsupportedError: parts of the model compute in floating point.
    """
    if not model.is_exact:
        raise UnsupportedError(
            f"model {model.name!r:.100} has profile {model.bottleneck.profile}, so parts of it "
            "compute in floating point; only exact models are exported"
        )
    notes = {MODEL_KEY: model.name, ID_KEY: model.id.hex()}
    networks = {}
    for role in model.roles:
        program = model.programs[role.name]
        found = network(program, {**notes, NETWORK_KEY: role.name})
        networks[role.name] = _facts(program, role, found)
        yield f"{role.name}/{NETWORK_FILE}", found.content
        for name, content in _test(program, found):
            yield f"{role.name}/{TEST}/{name}", content
    facts = {
        "model": model.name, "model_id": model.id.hex(), "opset": OPSET, "networks": networks,
    }  # fmt: skip
    yield FOLDER_FILE, (json.dumps(facts, indent=1) + "\n").encode()


def write_onnx(model: Model, folder: str | Path) -> list[Path]:
    """Write the networks of a model as ONNX; ``model.json`` last, when all else is there.

    Args:
        model: an exact one.
        folder: made if it is not there; files of the same names are replaced, and those that an
            earlier export has left beside them are removed. Nothing else there is touched.

    Returns:
        The files.

    Raises:
        UnsupportedError: parts of the model compute in floating point; nothing is written.
        OSError: a file cannot be written.
    """
    written: list[Path] = []
    before: list[Path] = []
    for name, content in onnx_files(model):
        if not written:  # from here on the model is known to be one that can be exported
            before = earlier_files(Path(folder))
            if (facts := Path(folder, FOLDER_FILE)) in before:
                facts.unlink()  # while files of two models lie here, nothing says that all are one
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content)
        written.append(path)
    for path in set(before) - set(written):
        path.unlink(missing_ok=True)
    for parent in sorted({path.parent for path in before} - {Path(folder)}, reverse=True):
        with contextlib.suppress(OSError):  # something else is in it
            parent.rmdir()
    return written


def earlier_files(folder: Path) -> list[Path]:
    """The files of an export in a folder, finished or not; none that only looks like one.

    A network is known by what its graph says of itself, ``model.json`` by its keys. Links are
    never followed.
    """
    found = []
    if folder.is_dir():
        for network_folder in filter(_is_own_folder, folder.iterdir()):
            graph = network_folder / NETWORK_FILE
            if _holds(graph, NETWORK_KEY):
                found.append(graph)
                tests = network_folder / TEST
                if _is_own_folder(tests):
                    found += [p for p in tests.iterdir() if TENSOR_FILE.fullmatch(p.name)]
    facts = folder / FOLDER_FILE
    return found + [facts] * _holds(facts, '"model_id"', '"opset"', '"networks"')


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _holds(path: Path, *words: str) -> bool:
    """Whether a regular file contains some words."""
    if path.is_symlink() or not path.is_file():
        return False
    content = path.read_bytes()
    return all(word.encode() in content for word in words)


def _facts(program: Program, role: Role, found: Network) -> dict[str, Any]:
    """What a caller must know of a network: tensors [h, w, channels], ranges, pixels on a side."""
    infos = infer(program)

    def of(tensors: dict[str, str]) -> dict[str, Any]:
        return {
            tensor_name: {
                "channels": infos[name].channels,
                "low": infos[name].low,
                "high": infos[name].high,
                "dtype": dtype_of(infos[name].low, infos[name].high).name,
            }
            for name, tensor_name in tensors.items()
        }

    return {
        "file": f"{role.name}/{NETWORK_FILE}",
        "pixels_per_position": role.px,
        "decoding": role.decoding,
        "inputs": of(found.inputs),
        "level": found.level or None,
        "outputs": of(found.outputs),
    }


def _test(program: Program, found: Network) -> Iterator[tuple[str, bytes]]:
    """Inputs that look random, and what the definition makes of them."""
    size = tall_size(program, unit_of(program))
    inputs = {
        value.name: mixed(value.low, value.high, (*size, value.channels), number).astype(
            dtype_of(value.low, value.high)
        )
        for number, value in enumerate(program.inputs)
    }
    outputs = ops.run(program, inputs, LEVEL_MAX)
    tensors = [(found.inputs[name], array) for name, array in inputs.items()]
    if found.level:
        tensors.append((found.level, np.array(LEVEL_MAX, np.int64)))
    for number, (name, array) in enumerate(tensors):
        yield f"input_{number}.pb", tensor(array, name)
    for number, name in enumerate(program.outputs):
        yield f"output_{number}.pb", tensor(outputs[name], found.outputs[name])
