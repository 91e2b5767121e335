"""Exported networks: what is in the folder, and that ONNX Runtime gets its tests right."""

import json

import numpy as np
import pytest

from intact.codec.model import Model
from intact.errors import UnsupportedError
from intact.export.onnx import onnx_files, write_onnx
from tiny_hyperprior import tiny_hyperprior


def test_every_network_has_a_file_and_a_test(tiny, tmp_path):
    paths = {path.relative_to(tmp_path).as_posix() for path in write_onnx(tiny, tmp_path)}
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["model_id"] == tiny.id.hex()
    assert facts["networks"].keys() == {role.name for role in tiny.roles}
    for role, network in facts["networks"].items():
        assert network["file"] == f"{role}/model.onnx"
        assert network["file"] in paths
        count = len(network["inputs"]) + (network["level"] is not None)
        tests = {name for name in paths if name.startswith(f"{role}/test_data_set_0/input_")}
        assert len(tests) == count


def test_the_same_model_is_the_same_files(tiny):
    assert dict(onnx_files(tiny)) == dict(onnx_files(Model.from_bytes(tiny.to_bytes())))


def test_onnx_runtime_passes_the_tests(tiny, tmp_path):
    """As anybody would run them, with the package onnx and default settings."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    numpy_helper = pytest.importorskip("onnx.numpy_helper")

    def tensors(paths):
        for path in paths:
            message = onnx.TensorProto.FromString(path.read_bytes())
            yield message.name, numpy_helper.to_array(message)

    write_onnx(tiny, tmp_path)
    for role in tiny.roles:
        folder = tmp_path / role.name
        onnx.checker.check_model(onnx.load(folder / "model.onnx"), full_check=True)
        session = runtime.InferenceSession(
            folder / "model.onnx", providers=["CPUExecutionProvider"]
        )
        feed = dict(tensors(sorted(folder.glob("*/input_*.pb"))))
        expected = dict(tensors(sorted(folder.glob("*/output_*.pb"))))
        for name, array in zip(expected, session.run(list(expected), feed), strict=True):
            assert array.dtype == expected[name].dtype
            assert np.array_equal(array, expected[name]), (role.name, name)


@pytest.mark.parametrize("profile", ["prior", "float"])
def test_a_model_that_computes_in_float_is_refused(profile):
    with pytest.raises(UnsupportedError, match=f"profile {profile}.*only exact models"):
        next(onnx_files(tiny_hyperprior(profile)))
