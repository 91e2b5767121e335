"""Float networks handed in where programs run: the same code, another arithmetic."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.bottleneck.grid import Window  # noqa: E402
from intact.codec.coding import decode_colors, encode_colors  # noqa: E402
from intact.codec.image import Encoder, Runtime  # noqa: E402
from intact.container.image_file import ImageFile, ImageHeader, Mode, unpack_image  # noqa: E402
from intact.freeze.checkerboard import freeze  # noqa: E402
from intact.train.codecs.checkerboard import CodecNet  # noqa: E402
from intact.train.codecs.rates import RateConfig  # noqa: E402
from intact.train.codecs.transforms import TransformConfig  # noqa: E402
from intact.train.convert import convert_codec  # noqa: E402
from intact.train.twin import FloatTwin  # noqa: E402
from tiny_model import picture  # noqa: E402

SMALL = TransformConfig(
    blocks_analysis=1,
    blocks_synthesis=1,
    latents=8,
    hyper_latents=4,
    features=8,
    blocks_context=1,
)
LEVEL = 30
IMAGE = picture(90, 130)


@pytest.fixture(scope="module")
def float_net():
    net = CodecNet(SMALL, RateConfig(), seed=3)
    patches = IMAGE[:80, :128].reshape(5, 16, 8, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)
    net.start_as_transform_code(torch.from_numpy(patches.copy()))
    return net.eval()


@pytest.fixture(scope="module")
def integer_net(float_net):
    crops = torch.from_numpy(IMAGE[None, :64, :128].copy())
    return convert_codec(float_net, [(crops, torch.zeros(1))])


@pytest.fixture(scope="module")
def model(integer_net):
    return freeze(integer_net, "small", [])


def twin_of(net, model):
    return FloatTwin({name: net.network(name) for name in net.networks}, model)


def coded(networks, model):
    header = ImageHeader(model.id, Mode.RGB, LEVEL, 130, 90, 0, 4)
    return encode_colors(networks, model.bottleneck, IMAGE, header)[:2]


def test_a_twin_that_computes_integers_is_the_codec_itself(integer_net, model):
    """Units, ranges and levels are right, or a byte would differ."""
    encoded = Encoder(IMAGE, model, runtime=Runtime("numpy", 1)).encode(LEVEL)
    payloads, pixels = coded(twin_of(integer_net, model), model)
    assert payloads == unpack_image(encoded.data).tiles
    assert np.array_equal(pixels, encoded.pixels)


def test_a_float_twin_is_close_to_the_codec_and_not_the_same(float_net, model):
    encoded = Encoder(IMAGE, model, runtime=Runtime("numpy", 1)).encode(LEVEL)
    payloads, pixels = coded(twin_of(float_net, model), model)
    assert payloads != unpack_image(encoded.data).tiles
    assert np.abs(pixels.astype(int) - encoded.pixels).mean() < 4
    ours, theirs = (sum(map(len, p)) for p in (unpack_image(encoded.data).tiles, payloads))
    assert theirs == pytest.approx(ours, rel=0.1)


def test_a_twin_decodes_what_it_has_encoded(float_net, model):
    """On one machine, in one process; on another its tables may differ."""
    twin = twin_of(float_net, model)
    payloads, pixels = coded(twin, model)
    header = ImageHeader(model.id, Mode.RGB, LEVEL, 130, 90, 0, 4)
    file = ImageFile(header, payloads)
    whole = Window(0, 0, 90, 130)
    assert np.array_equal(decode_colors(twin, model.bottleneck, file, whole), pixels)


def test_outputs_are_integers_in_the_ranges_of_the_roles(float_net, model):
    twin = twin_of(float_net, model)
    extreme = np.full((32, 32, 3), -128, np.int8)
    y = twin.run("analysis", {"pixels": extreme}, 0)["y"]
    assert y.dtype == np.int16
    z = twin.run("hyper_analysis", {"y": np.full((2, 2, 8), 32767, np.int16)}, 63)["z"]
    assert z.dtype == np.int8
    params = twin.run("prior_a", {"f": np.full((2, 2, 8), -32768, np.int16)}, 63)
    assert (params["mean"].dtype, params["theta"].dtype) == (np.int16, np.uint8)


def test_a_twin_looks_as_far_as_the_programs(float_net, model):
    networks = Runtime("numpy", 1).networks(model, 1)
    twin = twin_of(float_net, model)
    assert all(twin.reach(role.name) == networks.reach(role.name) for role in model.roles)
