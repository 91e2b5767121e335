"""The codec of Agustsson 2017: two stages, frozen exact, and files that cost what p says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact import decode, encode  # noqa: E402
from intact.bits.apportion import apportion  # noqa: E402
from intact.bits.fast import encode as code  # noqa: E402
from intact.bottleneck.grid import Layout  # noqa: E402
from intact.bottleneck.vector import Vector  # noqa: E402
from intact.codec.model import Model  # noqa: E402
from intact.codec.networks import Networks  # noqa: E402
from intact.codec.pixels import to_network  # noqa: E402
from intact.errors import DivergedError  # noqa: E402
from intact.freeze.run import freeze_run  # noqa: E402
from intact.freeze.tables import PRECISION  # noqa: E402
from intact.freeze.vector import cheapest, probabilities, ranked, rounded  # noqa: E402
from intact.quantize import Patches, Quantizer  # noqa: E402
from intact.train import checkpoint, config as configuration, start, weights_file  # noqa: E402
from intact.train.balance import balance  # noqa: E402
from intact.train.codecs.kinds import kind_of  # noqa: E402
from intact.train.codecs.vector import VectorNet  # noqa: E402
from intact.train.codecs.vector_layout import Slots  # noqa: E402
from intact.train.task import Share  # noqa: E402
from tiny_model import picture  # noqa: E402

SIZES = ["codec.kind=vector", "transform.filters=8", "transform.channels=3", "transform.blocks=1",
         "codebook.size=12", "codebook.fit_steps=20", "codebook.fit_batches=2", "codebook.window=4",
         "codebook.every=1", "optimizer.method=adam", "optimizer.learning_rate=1e-3",
         "optimizer.warmup=0", "data.batch=2", "data.flat=0"]  # fmt: skip
FORMS = {
    "vector": [],
    "scalar": ["codebook.values=1", "codebook.size=5"],
    "rows, own codebooks": ["codebook.values=2", "codebook.shared=false"],
    "p,q": ["rate.form='p,q'", "rate.l2=1e-9", "annealing.every=2"],
    "k-means": ["codebook.start=k-means"],
    "rounding": ["rate.forward='hard, identity gradient'", "annealing.method=fixed",
                 "codebook.start=grid", "codebook.values=1", "codebook.size=31",
                 "rate.form=density"],
    "identity": ["rate.forward='hard, identity gradient'", "annealing.method=fixed"],
}  # fmt: skip
GUMBEL = ["transform.decision=largest", "transform.logits=10", "rate.stage=2",
          "annealing.method=exponential"]  # fmt: skip


@pytest.fixture
def settings(small_run):
    """Those of a first stage of four steps, into a folder by name."""
    torch.set_num_threads(1)
    common = [s for s in small_run(64) if not s.startswith(("transform", "output.folder"))]

    def named(name, *more):
        return [*common, *SIZES, "optimizer.steps=4", f'output.folder="{name}"', *more]

    return named


def trainer(settings, **options):
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"), **options)


def net_of(one):
    net = one.task.codec
    assert isinstance(net, VectorNet)
    return net


def quantizer_of(net):
    assert net.quantizer is not None
    return net.quantizer


def run(settings, **options):
    one = trainer(settings, **options)
    one.run(lambda step, scalars: None)
    return net_of(one)


@pytest.fixture
def first(settings, tmp_path):
    """The folder of a trained first stage."""
    run(settings(tmp_path / "first", "rate.unfreeze=3"))
    return tmp_path / "first"


@pytest.mark.parametrize("form", FORMS)
def test_it_trains_resumes_freezes_encodes_and_decodes(settings, first, tmp_path, form):
    stage = ["rate.stage=2", *FORMS[form]]
    codec = run(settings(tmp_path / "whole", *stage), init=first)
    assert all(torch.isfinite(v).all() for v in codec.state_dict().values())
    assert codec.histogram is not None
    assert codec.histogram.total.sum() > 0

    parts = settings(tmp_path / "parts", *stage)
    trainer(parts, init=first).run(lambda step, scalars: None, until=2)
    trainer(parts, resume=True).run(lambda step, scalars: None)
    (wanted, _), (got, _) = (checkpoint.read(tmp_path / n) for n in ("whole", "parts"))
    assert all(torch.equal(wanted[k], got[k]) for k in wanted)

    model = freeze_run(tmp_path / "whole", "ours", images=2)
    model = Model.from_bytes(model.to_bytes())
    assert model.is_exact
    image = picture(70, 90)
    data = encode(image, model=model)
    pixels = decode(data, model=model).pixels
    np.testing.assert_array_equal(decode(data, model=model, backend="reference").pixels, pixels)


def test_the_shipped_transforms_are_a_form_of_it(settings, tmp_path):
    form = ["transform.form=fast"]
    run(settings(tmp_path / "one", *form))
    codec = run(settings(tmp_path / "two", *form, "rate.stage=2"), init=tmp_path / "one")
    assert codec.config.form == "fast"
    model = freeze_run(tmp_path / "two", "ours", images=2)
    image = picture(70, 90)
    assert decode(encode(image, model=model), model=model).pixels.shape == image.shape


def test_the_fast_form_starts_with_the_transforms_of_image_codec_1(settings, tmp_path):
    kind = kind_of("image codec 1")
    theirs = kind.build(kind.config(), 1)
    weights_file.write(tmp_path / "photo.safetensors", theirs)
    mine = settings(tmp_path / "run", "transform.form=fast")
    one = trainer(mine, init=tmp_path / "photo.safetensors", larger=True)
    source = start.float_codec(tmp_path / "photo.safetensors")
    for name in source.networks:  # as every start does
        balance(source.network(name))
    ours, wanted = net_of(one).state_dict(), source.state_dict()
    for name in ("analysis.b0_g__weight", "synthesis.b0_h__weight", "synthesis.ends__weight"):
        assert torch.equal(ours[f"networks.{name}"], wanted[f"networks.{name}"]), name
    for refused in ("transform.form=strided", "rate.stage=2", "transform.blocks=9"):
        with pytest.raises(ValueError, match=r"rate\.stage|transform\.(form|blocks)"):
            trainer([*mine, refused], init=tmp_path / "photo.safetensors", larger=True)


def test_gumbel_softmax_is_a_form_of_the_same_kind(settings, tmp_path):
    codec = run(settings(tmp_path / "run", *GUMBEL))
    assert float(quantizer_of(codec).sigma) == pytest.approx(1.001**4)
    model = freeze_run(tmp_path / "run", "ours", images=2)
    assert model.bottleneck_of(Vector).decision == "largest"
    assert model.bottleneck_of(Vector).codebook.shape == (1, 10, 4)
    image = picture(70, 90)
    assert decode(encode(image, model=model), model=model).pixels.shape == image.shape


@pytest.mark.parametrize("form", ["strided", "fast"])
def test_logits_start_as_what_distances_have_in_their_place(settings, tmp_path, form):
    sizes = [f"transform.form={form}"]
    run(settings(tmp_path / "first", *sizes))
    grown = settings(tmp_path / "run", *sizes, *GUMBEL)
    one = trainer(grown, init=tmp_path / "first", larger=True)
    codec, before = net_of(one), start.float_codec(tmp_path / "first")
    assert isinstance(before, VectorNet)
    for name in before.networks:
        balance(before.network(name))
    for key, tensor in before.state_dict().items():
        if key.startswith("networks."):
            assert torch.equal(codec.state_dict()[key], tensor), key

    one.task.before(0)
    crops = torch.from_numpy(np.stack([picture(64, 64, seed=s) for s in (1, 2)]))
    with torch.no_grad():
        features = before._analysis(crops).permute(0, 3, 1, 2)
        logits = codec._analysis(crops).permute(0, 3, 1, 2)
    quantizer = quantizer_of(codec)
    patches = Slots(4).split(features)[..., 0, :]  # [b, c, h, w, 4]
    squares = (patches[..., None, :] - quantizer.centers.detach()[0]).square().sum(-1)
    nearest = squares.argmin(-1)
    assert (quantizer.encode(logits) == nearest).float().mean() > 0.99
    assert len(nearest.unique()) > 1
    by_symbol = logits.unflatten(1, (3, 10)).movedim(2, -1)
    ratio = (by_symbol - by_symbol.mean(-1, True)) / (squares.mean(-1, True) - squares)
    sigma = float(ratio.median())
    assert sigma > 0
    soft = torch.softmax(-sigma * squares, -1)
    torch.testing.assert_close(torch.softmax(by_symbol, -1), soft, atol=1e-3, rtol=0)

    one.run(lambda step, scalars: None)
    model = freeze_run(tmp_path / "run", "ours", images=2)
    image = picture(70, 90)
    pixels = decode(encode(image, model=model), model=model).pixels
    again = decode(encode(image, model=model), model=model, backend="reference").pixels
    np.testing.assert_array_equal(pixels, again)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("transform.decision=nearest", r"rate\.stage|grows by logits alone"),
        ("transform.filters=9", "grows by logits alone"),
    ],
)
def test_a_vector_codec_grows_by_logits_alone(settings, first, tmp_path, refused, message):
    wanted = settings(tmp_path / "run", *GUMBEL, refused)
    with pytest.raises(ValueError, match=message):
        trainer(wanted, init=first, larger=True)


def test_channels_come_in_one_by_one(settings, tmp_path):
    one = trainer(settings(tmp_path / "run", "rate.unfreeze=3", "optimizer.steps=6"))
    seen = []
    for step in range(6):
        one.task.before(step)
        seen.append(int(net_of(one).active))
    assert seen == [1, 2, 3, 3, 3, 3]
    codec = net_of(one)
    codec.active.fill_(1)
    image = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    loss = codec(image, torch.zeros(1), None).mse.sum()
    loss.backward()
    grads = codec.network("analysis").get("a2", "weight").grad
    assert grads is not None
    grads = grads.flatten(1).abs().sum(1)
    assert grads[0] > 0
    assert (grads[1:] == 0).all()


def test_the_second_stage_starts_from_the_first_with_fitted_centers(settings, first, tmp_path):
    before = start.float_codec(first).state_dict()
    one = trainer(settings(tmp_path / "second", "rate.stage=2"), init=first)
    codec = net_of(one)
    key = "networks.synthesis.s0__weight"
    assert torch.equal(codec.state_dict()[key], before[key])
    assert not codec.fitted
    random = quantizer_of(codec).centers.detach().clone()
    one.task.before(0)
    fitted, sigma = quantizer_of(codec).centers.detach().clone(), float(quantizer_of(codec).sigma)
    assert not torch.equal(fitted, random)
    assert float(codec.fitted) == pytest.approx(sigma)
    one.task.before(1)
    assert torch.equal(quantizer_of(codec).centers, fitted)


def test_a_run_keeps_its_codebook_and_its_stage(settings, first, tmp_path):
    parts = settings(tmp_path / "second", "rate.stage=2")
    trainer(parts, init=first)
    with pytest.raises(ValueError, match=r"codebook\.size was 12 in this run, not 13"):
        trainer([*parts, "codebook.size=13"], resume=True)
    with pytest.raises(ValueError, match=r"rate\.stage was 1 in this run, not 2"):
        trainer(settings(first, "rate.stage=2"), resume=True)
    again = trainer(settings(tmp_path / "third", "rate.stage=2", "codebook.size=13"), init=first)
    assert quantizer_of(net_of(again)).centers.shape == (1, 13, 4)


def test_float_weights_of_it_are_a_start(settings, first, tmp_path):
    codec = run(settings(tmp_path / "second", "rate.stage=2"), init=first)
    weights_file.write(tmp_path / "it.safetensors", codec)
    again = weights_file.read(tmp_path / "it.safetensors")
    assert isinstance(again, VectorNet)
    centers = quantizer_of(again).centers
    torch.testing.assert_close(centers, quantizer_of(codec).centers, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("every", [1, 2])
def test_the_gap_moves_sigma(settings, first, tmp_path, every):
    """sigma(t + 1) = sigma(t) + K_G e_G(t), K_G in units of sigma_0; or of two steps at once."""
    stage = ["rate.stage=2", "annealing.gain=7", "annealing.halving=3", "optimizer.steps=9",
             f"annealing.every={every}"]  # fmt: skip
    one = trainer(settings(tmp_path / "second", *stage), init=first)
    rows = []
    one.output = type(one.output)(**{**vars(one.output), "log_every": 1})
    one.run(lambda step, scalars: rows.append(scalars))
    sigma0 = float(net_of(one).fitted)
    gaps = [row["error_hard"] - row["error_soft"] for row in rows]
    wanted = sigma0
    for t, (row, gap) in enumerate(zip(rows, gaps, strict=True)):
        assert row["sigma"] == pytest.approx(wanted, rel=1e-5)
        if t % every == 0:
            wanted = max(1e-3, wanted + 7 * every * sigma0 * (gap - 3 / (3 + t) * gaps[0]))
        else:  # what is logged between is the last one, not NaN: figure 3 is drawn from it
            assert row["error_hard"] == rows[t - 1]["error_hard"]


def test_the_grid_stands_still_and_the_density_learns(settings, first, tmp_path):
    config = configuration.load(
        None, settings(tmp_path / "run", "rate.stage=2", "rate.beta=1e-3", *FORMS["rounding"])
    )
    one = start.trainer_for(config, torch.device("cpu"), init=first)
    codec = net_of(one)
    one.task.before(0)
    centers = quantizer_of(codec).centers
    before, density = centers.detach().clone(), codec.density
    assert density is not None
    spacing = before[0, 1:] - before[0, :-1]
    torch.testing.assert_close(spacing, spacing[:1].expand_as(spacing))
    assert float(before[0, 15, 0]) == 0
    begun = {name: p.detach().clone() for name, p in density.named_parameters()}
    one.run(lambda step, scalars: None)
    assert torch.equal(centers, before)
    for name, p in density.named_parameters():
        assert not torch.equal(p, begun[name]), name
    again = trainer(settings(tmp_path / "other", "rate.stage=2"), init=tmp_path / "run")
    assert net_of(again).density is None


def test_k_means_is_another_start_with_the_same_sigma(settings, first, tmp_path):
    found = {}
    for way in ("energy", "k-means"):
        one = trainer(settings(tmp_path / way, "rate.stage=2", f"codebook.start={way}"), init=first)
        one.task.before(0)
        quantizer = quantizer_of(net_of(one))
        found[way] = quantizer.centers.detach().clone(), float(quantizer.sigma)
    assert found["energy"][1] == found["k-means"][1]
    assert not torch.equal(found["energy"][0], found["k-means"][0])


def test_slots_are_patches_of_the_map_before_its_unshuffle():
    """For 2x2 the layout is `Patches(2, 2)` of the features at 1/8."""
    features = torch.randn(2, 3, 8, 10)
    y = torch.nn.functional.pixel_unshuffle(features, 2)
    parts = Slots(4).split(y)
    wanted = Patches(2, 2).split(features)
    torch.testing.assert_close(parts.squeeze(4), wanted, rtol=0, atol=0)
    for size in (1, 2, 4):
        assert torch.equal(Slots(size).join(Slots(size).split(y)), y)


def test_the_frozen_codec_decides_as_the_trained_one(settings, first, tmp_path):
    """Integer networks are not the float ones to the bit: most symbols are the same."""
    run(settings(tmp_path / "run", "rate.stage=2", "optimizer.steps=30"), init=first)
    codec = start.codec_of(*checkpoint.read(tmp_path / "run"))
    assert isinstance(codec, VectorNet)
    assert isinstance(codec.quantizer, Quantizer)
    model = freeze_run(tmp_path / "run", "ours", images=2)
    bottleneck = model.bottleneck_of(Vector)
    image = picture(128, 160)
    networks = Networks(model, 1 << 16, "reference", 1)
    y = networks.run("analysis", {"pixels": to_network(image, 16)}, 0)["y"]
    with torch.no_grad():
        z = codec._analysis(torch.from_numpy(image)[None])
        symbols = codec.quantizer.encode(z.permute(0, 3, 1, 2))[0, :, :, :, 0]
    wanted = symbols.permute(1, 2, 0).numpy()
    plan = bottleneck.plan(networks, y, 0, Layout(y.shape[:2], 6))
    found = bottleneck.order[np.arange(3), plan.symbols]
    assert (found == wanted).mean() > 0.8


def test_a_file_costs_what_the_frozen_p_says():
    """Within 0.5 % and 64 bytes of the sum of -log2 p, p unrounded, and L = 1000."""
    random = np.random.default_rng(4)
    channels, size, n = 3, 1000, 40000
    p = 1 / (np.arange(1, size + 1) + 3.0) ** np.array([[1.1], [1.6], [2.5]])
    p = p[:, random.permutation(size)]
    p /= p.sum(1, keepdims=True)
    counts = np.stack([random.multinomial(200_000, row) for row in p])
    order, tables = ranked(counts, 1)
    frozen = probabilities(counts)
    symbols = np.stack([random.choice(size, n, p=row) for row in p], 1)
    ranks = np.argsort(order, axis=1)[np.arange(channels), symbols].astype(np.int32)
    index = np.tile(np.arange(channels, dtype=np.uint16), n)
    data = code([(ranks.ravel(), index, tables)])
    ideal = -np.log2(frozen[np.arange(channels), symbols]).sum() / 8
    assert len(data) <= 1.005 * ideal + 64, len(data) / ideal


def test_centers_that_rounding_changes_for_the_worse_are_told(caplog):
    centers = np.array([[[1.0, 2], [1.001, 2], [-3, 0]], [[1, 2], [3, 4], [5, 6]]])
    assert rounded(centers).tolist()[0] == [[128, 256], [128, 256], [-384, 0]]
    [record] = caplog.records
    assert "codebook 0: 1 of 3 centers equal earlier ones" in record.getMessage()
    caplog.clear()
    assert rounded(np.array([[[300.0], [-256], [255.99]]])).tolist() == [
        [[32767], [-32768], [32767]]
    ]
    assert "codebook 0: 1 of 3 centers reach beyond -256 .. 255.992" in caplog.text
    caplog.clear()
    rounded(np.array([[[255.992], [-256.003]]]))
    assert not caplog.records
    with pytest.raises(DivergedError, match="1 of 2 centers are not finite"):
        rounded(np.array([[[1.0, 2], [np.nan, 2]]]))


def test_a_channel_that_no_image_uses_has_a_table():
    """A histogram of zeros: log p is finite, and every symbol can be sent."""
    order, tables = ranked(np.zeros((1, 7), int), 4)
    assert order.tolist() == [list(range(7))] * 4
    assert tables.num_tables == 4
    assert probabilities(np.zeros((1, 7), int)) == pytest.approx(1 / 7)


def test_the_cheapest_table_is_no_dearer_than_one_with_all_symbols():
    pmf = np.sort(np.random.default_rng(1).dirichlet(np.full(1000, 0.05)))[::-1]

    def bits(freqs):
        """Of a symbol; one that has no entry is an escape and, 64 and more behind, 2 bytes."""
        costs, entries = -np.log2(freqs / (1 << 14)), len(freqs) - 1
        lengths = np.where(np.arange(1000 - entries) < 64, 8, 16)
        return pmf[:entries] @ costs[:-1] + pmf[entries:] @ (costs[-1] + lengths)

    freqs = cheapest(pmf)
    assert freqs.sum() == 1 << 14
    for entries in (20, len(freqs) // 2, 3 * len(freqs) // 2, 1000):
        rest = max(pmf[entries:].sum(), 1e-7)
        weights = np.append(pmf[:entries], rest) * PRECISION
        other = apportion(np.maximum(np.rint(weights), 1).astype(np.int64))
        assert bits(freqs) < bits(other), entries


def test_a_first_stage_has_nothing_to_freeze(first):
    with pytest.raises(ValueError, match=r"rate\.stage = 1 has no codebook"):
        freeze_run(first, "ours", images=1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("transform.decision=best", r"transform\.decision = 'best'; legal: nearest, largest"),
        ("codebook.values=3", r"codebook\.values = 3; legal: 1, 2, 4"),
        ("codebook.size=1", r"codebook\.size = 1, must be in 2\.\.4096"),
        ("codebook.size=4097", r"codebook\.size = 4097, must be in 2\.\.4096"),
        ("rate.stage=3", r"rate\.stage = 3; legal: 1, 2"),
        ("rate.form=q", r"rate\.form = 'q'; legal: q,p, p,q"),
        ("rate.form=density", r"rate\.form = 'density'; legal: q,p, p,q"),
        ("codebook.start=grid", r"codebook\.values = 4; legal: 1"),
        ("codebook.start=here", r"codebook\.start = 'here'; legal: energy, k-means, grid"),
        ("codebook.spacing=0", r"codebook\.spacing = 0\.0, must be > 0"),
        ("rate.forward=wish", r"rate\.forward = 'wish'; legal: soft, hard"),
        ("rate.beta=0", r"rate\.beta = 0.0, must be > 0"),
        ("annealing.method=slow", r"annealing\.method = 'slow'; legal: gap"),
        ("transform.form=slow", r"transform\.form = 'slow'; legal: strided, fast"),
        ("transform.latents=4", r"unknown key transform\.latents; legal: form, filters"),
    ],
)
def test_settings_of_the_kind_are_its_own(setting, message):
    with pytest.raises(ValueError, match=message):
        configuration.load(None, [*SIZES, setting])


def test_logits_have_one_stage_and_patches_alone():
    for setting in ("rate.stage=1", "codebook.values=1"):
        with pytest.raises(ValueError, match="legal"):
            configuration.load(None, [*SIZES, *GUMBEL, setting])


def test_the_rate_term_can_be_left_out(settings, first, tmp_path):
    def loss(*more):
        one = trainer(settings(tmp_path / "run", "rate.stage=2", *more), init=first)
        one.task.before(0)
        return {name: x.detach() for name, x in one.task(0, Share()).items()}

    with_term, without = loss(), loss("rate.entropy=false")
    difference = float(with_term["loss"] - without["loss"])
    assert difference == pytest.approx(float(with_term["bpp"]), rel=1e-2)
