"""Ballé 2019's codec: trains, freezes, encodes and decodes through the machinery of the first."""

import copy
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact import decode, encode  # noqa: E402
from intact.bottleneck.floats import FloatNetwork  # noqa: E402
from intact.bottleneck.hyperprior import Hyperprior  # noqa: E402
from intact.codec.model import Model  # noqa: E402
from intact.codec.networks import Networks  # noqa: E402
from intact.codec.pixels import to_network  # noqa: E402
from intact.freeze.floats import to_layers  # noqa: E402
from intact.freeze.hyperprior import freeze  # noqa: E402
from intact.freeze.run import freeze_run  # noqa: E402
from intact.freeze.tables import gaussian_pmf  # noqa: E402
from intact.inexact.networks import FloatNetworks  # noqa: E402
from intact.train import checkpoint, config as configuration, start, weights_file  # noqa: E402
from intact.train.codecs.hyperprior import HyperpriorConfig, HyperpriorNet  # noqa: E402
from intact.train.codecs.hyperprior_graphs import CODED, HyperpriorTransform  # noqa: E402
from intact.train.codecs.hyperprior_thaw import thaw_codec  # noqa: E402
from intact.train.graph import Conv  # noqa: E402
from intact.train.integer import IntegerNetwork  # noqa: E402
from intact.train.task import Share  # noqa: E402
from tiny_hyperprior import tiny_hyperprior  # noqa: E402
from tiny_model import picture  # noqa: E402

SIZES = ["codec.kind=hyperprior", "transform.filters=24", "transform.latents=8",
         "optimizer.method=adam", "optimizer.learning_rate=1e-3", "optimizer.warmup=0"]  # fmt: skip
FORMS = {
    "exact": ["transform.profile=exact"],
    "exact, without": ["transform.profile=exact", "transform.hyperprior=false",
                       "transform.kernels=sadam"],
    "prior": ["transform.profile=prior"],
    "prior, without": ["transform.profile=prior", "transform.hyperprior=false",
                       "transform.activation=relu"],
    "float": ["transform.profile=float"],
}  # fmt: skip


@pytest.fixture(params=FORMS)
def settings(small_run, request):
    common = [s for s in small_run(64, "data.batch=2", "optimizer.steps=4") if "transform" not in s]
    return [*common, *SIZES, *FORMS[request.param]]


def trainer(settings, **options):
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"), **options)


def test_it_trains_resumes_freezes_encodes_and_decodes(settings, tmp_path):
    torch.set_num_threads(1)
    one = trainer(settings)
    before = {k: v.clone() for k, v in one.task.codec.state_dict().items()}
    one.run(lambda step, scalars: None)
    after = one.task.codec.state_dict()
    named = one.task.codec.named_parameters()
    silent = [k for k, p in named if torch.equal(p, before[k]) and not k.endswith("slope")]
    assert silent == []
    assert all(torch.isfinite(v).all() for v in after.values())

    other = [s.replace("/run", "/other") for s in settings]
    trainer(other).run(lambda step, scalars: None, until=2)
    trainer(other, resume=True).run(lambda step, scalars: None)
    (wanted, _), (got, _) = (checkpoint.read(tmp_path / n) for n in ("run", "other"))
    assert all(torch.equal(wanted[k], got[k]) for k in wanted)

    model = freeze_run(tmp_path / "run", "ours", images=1)
    model = Model.from_bytes(model.to_bytes())
    image = picture(70, 90)
    inexact = not model.is_exact
    data = encode(image, model=model, allow_inexact=inexact)
    assert decode(data, model=model, allow_inexact=inexact).pixels.shape == image.shape
    assert model.is_exact == ("exact" in model.bottleneck_of(Hyperprior).profile)


def test_networks_of_a_model_are_those_that_were_trained(settings, tmp_path):
    """Integer ones bit for bit, float ones but for the order of sums."""
    one = trainer(settings)
    codec = one.task.codec
    one.run(lambda step, scalars: None, until=1)
    codec = start.codec_of(*checkpoint.read(tmp_path / "run"))
    assert isinstance(codec, HyperpriorNet)
    model = freeze_run(tmp_path / "run", "ours", images=1)
    runs = Networks if model.is_exact else FloatNetworks
    networks = runs(model, 1 << 16, "reference", 1)
    image = picture(128, 192)
    pixels = to_network(image, 16)
    y = networks.run("analysis", {"pixels": pixels}, 0)["y"]
    unit = codec.network("analysis").graph.inputs[0].unit
    x = torch.from_numpy(pixels.astype(np.float32))[None] * unit
    level, step = torch.zeros(1), int(model.bottleneck_of(Hyperprior).levels.steps[0])

    def trained(role, **inputs):
        real = {"real": True} if isinstance(codec.networks[role], IntegerNetwork) else {}
        with torch.no_grad():
            return next(iter(codec.networks[role](inputs, level, **real).values()))[0]

    offsets = codec.center()
    real = trained("analysis", pixels=x)
    center = torch.zeros(()) if codec.config.hyperprior else offsets
    wanted = torch.round(step * real - center).numpy()
    assert np.abs(y - wanted).max() <= 1
    assert (y != wanted).mean() < 0.02
    if codec.config.hyperprior:
        # A float hyper-analysis is trained on y as it is, not on symbols.
        seen = torch.round(real) if model.is_exact else real
        z = networks.run("hyper_analysis", {"y": y}, 0)["z"]
        wanted = torch.round(trained("hyper_analysis", y=seen[None]) - offsets).numpy()
        assert (z != wanted).mean() < 0.05
        theta = networks.run("hyper_synthesis", {"z": z}, 0)["theta"].astype(np.float32)
        read = torch.from_numpy(z.astype(np.float32))[None] + offsets
        found = trained("hyper_synthesis", z=read)
        wanted = torch.round(found).clamp(0, 255).numpy()
        assert (theta != wanted).mean() < (0.02 if codec.config.profile == "float" else 1e-9)


@pytest.fixture(params=FORMS)
def off_integers(request):
    """A codec whose densities have their modes anywhere, and whose biases do something."""
    torch.set_num_threads(1)
    own = configuration.load(None, [*SIZES, *FORMS[request.param]]).own
    net, generator = HyperpriorNet(own, 3), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bias in net.prior.biases:
            bias += 0.7 * torch.randn(len(bias), 1, 1, generator=generator)
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    assert net.prior.offsets().abs().max() > 0.25
    return net


def test_a_reader_is_trained_as_it_is_frozen_at_edges_too(off_integers):
    """Of any sides: h_s where there is a hyperprior, else the synthesis."""
    net, hyper = off_integers, off_integers.config.hyperprior
    model = Model.from_bytes(freeze(copy.deepcopy(net), "x", []).to_bytes())
    networks = (Networks if model.is_exact else FloatNetworks)(model, 1 << 16, "reference", 1)
    _, latent, reader = CODED[hyper]
    network, offsets = net.networks[reader], net.center()
    dtype = np.int8 if hyper else np.int16
    sent = np.random.default_rng(0).integers(-20, 21, (5, 7, len(offsets))).astype(dtype)
    (found,) = networks.run(reader, {latent: sent}, 0).values()
    read = {latent: torch.from_numpy(sent.astype(np.float32))[None] + offsets}
    (unit,) = net.network(reader).graph.outputs.values()

    def trained():
        real = {"real": True} if isinstance(network, IntegerNetwork) else {}
        with torch.no_grad():
            (out,) = network(read, torch.zeros(1), **real).values()
        return torch.round(out[0] / unit).clamp(*((0, 255) if hyper else (-128, 127))).numpy()

    assert len(np.unique(found)) > 20 or net.config.profile != "exact"
    if isinstance(network, IntegerNetwork):
        np.testing.assert_array_equal(found, trained())
        network.moved = None  # o around the picture, as it is not frozen
        assert not np.array_equal(found, trained())
    else:
        assert (found != trained()).mean() < 0.02


def test_a_copy_of_a_codec_is_as_independent_as_one_that_was_built(off_integers):
    """`moved` is no weight: it follows from the density, anew in each pass."""
    crops = torch.from_numpy(np.stack([picture(64, 128)]))
    level = torch.zeros(1)

    def loss(net):
        with torch.no_grad():
            return net(crops, level, None, hard=True)

    one = loss(off_integers)
    names = set(off_integers.state_dict())
    copied = copy.deepcopy(off_integers)
    with torch.no_grad():
        for parameter in copied.prior.parameters():
            parameter.zero_()
    other = loss(copied)
    assert not torch.equal(one.bpp, other.bpp)
    assert torch.equal(loss(off_integers).pixels, one.pixels)
    copied.load_state_dict(off_integers.state_dict())
    again = loss(copied)
    assert torch.equal(again.bpp, one.bpp)
    assert torch.equal(again.pixels, one.pixels)
    assert set(off_integers.state_dict()) == names


@pytest.mark.parametrize("off_integers", ["prior", "float"], indirect=True)
def test_a_model_whose_latents_were_whole_is_a_start(off_integers, monkeypatch):
    """Models frozen before decision 0030 have step 1; frozen again, they have 64."""
    with monkeypatch.context() as patch:
        patch.setattr("intact.freeze.hyperprior.FINE", 1)
        old = freeze(copy.deepcopy(off_integers), "old", [])
    assert list(old.bottleneck_of(Hyperprior).levels.steps) == [1]
    net = thaw_codec(Model.from_bytes(old.to_bytes()), off_integers.own)
    new = freeze(net, "new", [])
    levels = new.bottleneck_of(Hyperprior).levels
    assert (list(levels.steps), list(levels.offsets)) == ([64], [32])
    runs = [FloatNetworks(model, 1 << 16, "reference", 1) for model in (old, new)]
    pixels = to_network(picture(64, 128), 16)
    coarse, fine = (run.run("analysis", {"pixels": pixels}, 0)["y"] for run in runs)
    assert np.abs(fine / 64 - coarse).max() <= 0.51


def test_tables_are_all_values_of_the_density(small_run, tmp_path):
    """Eq. 14 at the scales of Eq. 15: nothing is counted."""
    common = [s for s in small_run(64, "optimizer.steps=1") if "transform" not in s]
    trainer([*common, *SIZES]).run(lambda step, scalars: None)
    tables = freeze_run(tmp_path / "run", "ours", images=1).bottleneck_of(Hyperprior).tables_y
    sizes = HyperpriorTransform()
    assert tables.num_tables == sizes.scales == 64
    sigma = sizes.sigma(torch.arange(64.0, dtype=torch.float64))
    assert float(sigma[0]) == pytest.approx(0.11)
    assert float(sigma[63]) == pytest.approx(256)
    assert np.allclose(np.diff(np.log(sigma.numpy())), np.log(256 / 0.11) / 63)
    pmf = gaussian_pmf(float(sigma[30]), 200)
    first, size = int(tables.starts[30]), int(tables.sizes[30]) - 1
    found = tables.freqs[first : first + size] / 2**14
    low = 200 + int(tables.minimums[30])
    assert np.allclose(found, pmf[low : low + size], atol=2e-4)


def test_float_weights_of_it_are_a_start(small_run, tmp_path):
    common = [s for s in small_run(64, "optimizer.steps=1") if "transform" not in s]
    one = trainer([*common, *SIZES, "transform.profile=float"])
    weights_file.write(tmp_path / "it.safetensors", one.task.codec)
    again = trainer([*common, *SIZES], init=tmp_path / "it.safetensors")
    assert again.task.codec.own.transform == one.task.codec.own.transform
    with pytest.raises(ValueError, match=r"is of kind 'hyperprior', codec.kind = 'image codec 1'"):
        trainer(common, init=tmp_path / "it.safetensors")


def test_a_frozen_model_is_a_start(settings, tmp_path):
    """The same networks: integer ones bit for bit, float ones to the last digits of GDN's roots."""
    torch.set_num_threads(1)
    trainer(settings).run(lambda step, scalars: None, until=2)
    model = freeze_run(tmp_path / "run", "ours", images=1)
    (tmp_path / "it.intactm").write_bytes(model.to_bytes())
    other = [s.replace("/run", "/other") for s in settings if "transform" not in s]
    again = trainer(other, init=tmp_path / "it.intactm").task.codec
    before = start.codec_of(*checkpoint.read(tmp_path / "run"))
    assert isinstance(again, HyperpriorNet)
    assert isinstance(before, HyperpriorNet)
    kernels = before.config.kernels
    assert dataclasses.replace(again.config, kernels=kernels) == before.config
    giver, _, reader = CODED[before.config.hyperprior]
    for role in again.networks:
        new, old = again.networks[role], before.networks[role]
        if isinstance(new, IntegerNetwork):
            assert isinstance(old, IntegerNetwork)
            for node in new.graph.nodes:
                if isinstance(node, Conv):
                    a, b = new.parameters_of(node), old.parameters_of(node)
                    assert torch.equal(a.weight, b.weight)
                    assert torch.equal(a.divisor, b.divisor)
                    # Of an integer giver, o is in both biases, and the new density has none.
                    if before.config.profile == "prior" or role not in (giver, reader):
                        assert (a.bias - b.bias).abs().max() <= (role == reader)
        else:
            layers = [to_layers(codec.network(role)).layers for codec in (again, before)]
            for a, b in zip(*layers, strict=True):
                assert (a.op, a.arrays.keys()) == (b.op, b.arrays.keys())
                for name, values in a.arrays.items():
                    np.testing.assert_allclose(values, b.arrays[name], rtol=1e-4, atol=1e-7)
    symbols = torch.arange(-3.0, 4).expand(len(before.prior.matrices[0]), -1)
    masses = [codec.prior.probability(symbols).sum(1) for codec in (again, before)]
    assert (masses[0] - masses[1]).abs().max() < 0.1


def test_a_model_of_several_rates_is_no_start(tmp_path):
    with pytest.raises(ValueError, match="has not one rate of step 1 or 64: no start"):
        thaw_codec(tiny_hyperprior("float"), HyperpriorConfig())


def test_a_model_whose_analysis_has_another_unit_is_no_start():
    sizes = HyperpriorTransform(profile="prior", filters=8, latents=8)
    model = freeze(HyperpriorNet(HyperpriorConfig(transform=sizes)), "x", [])
    bottleneck = model.bottleneck_of(Hyperprior)
    *layers, last = bottleneck.networks["analysis"].layers
    assert float(last.arrays["factor"][0]) == 64
    last = dataclasses.replace(last, arrays={"factor": np.array([64.25], np.float32)})
    networks = {**bottleneck.networks, "analysis": FloatNetwork((*layers, last))}
    other = dataclasses.replace(bottleneck, networks=networks)
    with pytest.raises(ValueError, match="has not one rate of step 1 or 64: no start"):
        thaw_codec(dataclasses.replace(model, bottleneck=other), HyperpriorConfig())


def test_no_sum_of_the_papers_widths_can_overflow():
    """Filters as they begin: 192 of 5x5, K = 8."""
    sizes = HyperpriorTransform(profile="exact", filters=192, latents=192)
    net = HyperpriorNet(HyperpriorConfig(transform=sizes))
    for role in net.networks:
        network = net.networks[role]
        assert isinstance(network, IntegerNetwork)
        for node in network.graph.nodes:
            if isinstance(node, Conv):
                largest = network.graph.largest(node.source)
                assert network.parameters_of(node).bound(largest) < 2**31, (role, node.target)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("transform.profile=fast", r"transform\.profile = 'fast'; legal: exact, prior, float"),
        ("transform.scales=65", r"transform\.scales = 65, a power of two"),
        ("transform.filters=257", r"transform\.filters = 257, at most 256"),
        ("transform.blocks_analysis=4", r"unknown key transform\.blocks_analysis; legal: profile"),
        ("rate.proxy=wish", r"rate\.proxy = 'wish'; legal: noise, rounded noise, rounded"),
        ("rate.rd_weight=0", r"rate\.rd_weight = 0.0, must be > 0"),
    ],
)
def test_settings_of_the_kind_are_its_own(setting, message):
    with pytest.raises(ValueError, match=message):
        configuration.load(None, [*SIZES, setting])


@pytest.mark.parametrize("proxy", ["noise", "rounded noise", "rounded"])
def test_what_stands_for_a_rounded_latent(small_run, proxy):
    """Eq. 17 and 18; Eq. 16; and plain rounding: each has its own rates."""
    common = [s for s in small_run(64, "optimizer.steps=1") if "transform" not in s]
    task = trainer([*common, *SIZES, f"rate.proxy={proxy}"]).task
    again = trainer([*common, *SIZES, "rate.proxy=noise"]).task
    loss, plain = (float(t(0, Share())["bpp"]) for t in (task, again))
    assert (loss == plain) == (proxy == "noise")
