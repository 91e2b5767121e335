"""What is not exact is refused unless it is allowed, and never passes for exact."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import intact.pillow  # noqa: F401 - registers
from intact import CorruptDataError, InexactError, NotExactError, UnsupportedError, decode, encode
from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.bottleneck.hyperprior import Hyperprior
from intact.codec.image import Encoder, Runtime
from intact.codec.store import SUFFIX
from intact.container.chunks import MODEL, Chunk
from intact.container.image_file import Profile, pack_image, unpack_image
from intact.inexact.networks import FloatNetworks
from tiny_hyperprior import tiny_hyperprior
from tiny_model import picture

FLOATS = ("prior", "float")


@pytest.fixture(scope="module")
def models():
    return {name: tiny_hyperprior(name) for name in (*FLOATS, "exact")}


@pytest.fixture(scope="module")
def files(models):
    image = picture(40, 50)
    return {n: encode(image, model=models[n], allow_inexact=True) for n in (*FLOATS, "exact")}


@pytest.mark.parametrize("name", FLOATS)
def test_neither_side_computes_in_float_unasked(models, files, name):
    with pytest.raises(InexactError, match=f"not exact .profile {name}.*allow_inexact=True"):
        encode(picture(40, 50), model=models[name])
    with pytest.raises(InexactError, match=f"this file is not exact .profile {name}"):
        decode(files[name], model=models[name])
    assert issubclass(InexactError, UnsupportedError)


@pytest.mark.parametrize("name", FLOATS)
def test_it_is_refused_before_its_model_is_looked_for(files, name):
    with pytest.raises(InexactError):
        decode(files[name])


@pytest.mark.parametrize("name", FLOATS)
def test_the_header_says_so(files, name):
    assert unpack_image(files[name]).header.profile is Profile[name.upper()]


def test_an_exact_model_stays_exact_where_floats_are_allowed(models, files):
    assert files["exact"] == encode(picture(40, 50), model=models["exact"])
    assert unpack_image(files["exact"]).header.profile is Profile.EXACT


@pytest.mark.parametrize("name", FLOATS)
def test_the_pillow_plugin_refuses_it(models, files, name, tmp_path, monkeypatch):
    (tmp_path / f"m{SUFFIX}").write_bytes(models[name].to_bytes())
    monkeypatch.setattr("intact.codec.store.search_path", lambda: [tmp_path])
    with Image.open(io.BytesIO(files[name])) as image, pytest.raises(OSError, match="not exact"):
        image.load()
    with pytest.raises(OSError, match="not exact"):
        Image.fromarray(picture(20, 20)).save(tmp_path / "a.intact", model="m")


@pytest.mark.parametrize("name", FLOATS)
def test_such_a_model_does_not_travel_in_files(models, files, name):
    with pytest.raises(InexactError, match="does not travel"):
        encode(picture(20, 20), model=models[name], embed_model=True, allow_inexact=True)
    file = unpack_image(files[name])
    forged = pack_image(replace(file, chunks=(Chunk(MODEL, models[name].to_bytes()),)))
    with pytest.raises(InexactError, match="must be named"):
        decode(forged, allow_inexact=True)


def with_header(data, **changes):
    file = unpack_image(data)
    return pack_image(replace(file, header=replace(file.header, **changes)))


def test_wrong_latents_of_an_integer_prior_are_damage(models, files):
    crc = unpack_image(files["prior"]).header.pixel_crc ^ 1
    with pytest.raises(CorruptDataError, match="latents do not match"):
        decode(with_header(files["prior"], pixel_crc=crc), model=models["prior"],
               allow_inexact=True)  # fmt: skip


def test_a_region_is_held_to_the_checksum_too(models, files):
    crc = unpack_image(files["prior"]).header.pixel_crc ^ 1
    with pytest.raises(CorruptDataError, match="latents do not match"):
        decode(with_header(files["prior"], pixel_crc=crc), model=models["prior"],
               region=(3, 3, 5, 5), allow_inexact=True)  # fmt: skip


def test_a_float_prior_that_comes_out_differently_is_noticed(models, files, monkeypatch):
    """The paper's failure: one scale in a hundred is another on another machine."""
    true_run = FloatNetworks.run

    def elsewhere(self, role, inputs, level):
        outputs = true_run(self, role, inputs, level)
        if role == "hyper_synthesis":
            outputs["theta"].reshape(-1)[::100] += 1
        return outputs

    monkeypatch.setattr(FloatNetworks, "run", elsewhere)
    with pytest.raises(NotExactError, match="float prior came out differently"):
        decode(files["float"], model=models["float"], allow_inexact=True)


def test_float_transforms_that_come_out_differently_change_no_symbol(models, files, monkeypatch):
    """What an integer prior is for: another picture, a little, and no failure."""
    true_run = FloatNetworks.run
    here = decode(files["prior"], model=models["prior"], allow_inexact=True).pixels

    def elsewhere(self, role, inputs, level):
        outputs = true_run(self, role, inputs, level)
        if role == "synthesis":
            outputs["pixels"][0, 0] ^= 1
        return outputs

    monkeypatch.setattr(FloatNetworks, "run", elsewhere)
    there = decode(files["prior"], model=models["prior"], allow_inexact=True).pixels
    assert 0 < np.abs(there.astype(int) - here).max() <= 1


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("name", ["prior", "float", "exact"])
def test_a_file_that_says_another_profile_than_its_model_is_refused(models, files, name, profile):
    if name == profile.name.lower():
        return
    with pytest.raises(CorruptDataError, match=f"profile {profile.name.lower()}; its model"):
        decode(with_header(files[name], profile=profile), model=models[name], allow_inexact=True)


def test_alpha_is_held_to_the_checksum(models):
    data = encode(picture(20, 30, 4), model=models["prior"], allow_inexact=True)
    image = decode(data, model=models["prior"], allow_inexact=True)
    np.testing.assert_array_equal(image.pixels[:, :, 3], picture(20, 30, 4)[:, :, 3])
    with pytest.raises(CorruptDataError, match="latents do not match"):
        decode(with_header(data, pixel_crc=0), model=models["prior"], allow_inexact=True)


@pytest.mark.parametrize("name", FLOATS)
def test_nobody_checks_what_one_program_alone_computes(models, name):
    encoder = Encoder(picture(30, 40), models[name], runtime=Runtime("numpy", 1, None, True))
    with pytest.raises(UnsupportedError, match="no second backend"):
        encoder.check(encoder.encode(1))


def test_the_room_of_floats_is_loaded_only_when_it_is_allowed():
    code = (
        "import sys, numpy as np, intact\n"
        "data = intact.encode(np.zeros((8, 8, 3), np.uint8), allow_inexact=True)\n"
        "intact.decode(data, allow_inexact=True)\n"
        "assert 'intact.inexact' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_latents_beyond_what_a_model_can_send_are_spoken_of(caplog):
    """A step of 64 leaves 512 symbols: a file of what is cut off there would be silently worse."""
    model = tiny_hyperprior("prior")
    bottleneck = model.bottleneck_of(Hyperprior)
    large = FloatLayer("scale", {"factor": np.array([1e6], np.float32)})
    analysis = FloatNetwork((*bottleneck.networks["analysis"].layers, large))
    networks = {**bottleneck.networks, "analysis": analysis}
    beyond = replace(model, bottleneck=replace(bottleneck, networks=networks))
    for chosen, wanted in ((model, 0), (beyond, 1)):
        caplog.clear()
        data = encode(picture(40, 50), model=chosen, allow_inexact=True)
        decode(data, model=chosen, allow_inexact=True)
        said = [text for text in caplog.messages if "of y are cut off at -32768..32767" in text]
        assert len(said) == wanted
