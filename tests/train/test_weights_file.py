"""Float weights in a file: what comes back, and what is refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from intact.errors import CorruptDataError  # noqa: E402
from intact.train import weights_file  # noqa: E402
from intact.train.codecs.checkerboard import CodecNet  # noqa: E402
from intact.train.codecs.rates import RateConfig  # noqa: E402
from intact.train.codecs.transforms import TransformConfig  # noqa: E402

SIZES = TransformConfig(latents=16, hyper_latents=4, features=8, blocks_analysis=1,
                        blocks_synthesis=1, blocks_context=1)  # fmt: skip


@pytest.fixture
def written(tmp_path):
    net = CodecNet(SIZES, RateConfig(step_min=0.3), seed=4)
    path = tmp_path / "net.safetensors"
    weights_file.write(path, net, {"model": "00"})
    return net, path


def test_weights_come_back_rounded_to_bfloat16(written):
    net, path = written
    back = weights_file.read(path)
    assert back.own == net.own
    for name, tensor in net.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor.to(torch.bfloat16).to(tensor.dtype))


def test_nothing_is_left_beside_the_file(written):
    _, path = written
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        weights_file.read(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("size", [0, 7, 200, -1])
def test_a_cut_file_is_damaged(written, size):
    _, path = written
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptDataError, match="damaged"):
        weights_file.read(path)


def test_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(CorruptDataError, match="does not say"):
        weights_file.read(path)


def test_weights_of_other_sizes_are_refused(written):
    net, path = written
    state = {k: v for k, v in net.state_dict().items() if "synthesis" not in k}
    metadata = {"format": weights_file.FORMAT, "codec": '{"transform": {}, "rate": {}}'}
    save_file(state, path, metadata)
    with pytest.raises(CorruptDataError, match="no weights of a codec"):
        weights_file.read(path)


def test_a_run_starts_from_them(written, tmp_path):
    from PIL import Image

    from intact.train import config, start

    net, path = written
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (10, 12, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    settings = [f'data.folders=["{tmp_path / "images"}"]', "data.crop=64",
                "optimizer.precision=float32", f'output.folder="{tmp_path / "run"}"']  # fmt: skip
    trainer = start.trainer_for(config.load(None, settings), torch.device("cpu"), init=path)
    assert trainer.task.codec.own.transform == net.own.transform
    name = next(iter(net.state_dict()))
    assert torch.equal(trainer.net.state_dict()[name], weights_file.read(path).state_dict()[name])
