"""Metrics of `intact eval`: the cached ones equal their packages, the parsed ones say so."""

import math

import numpy as np
import pytest
from PIL import Image

from intact.errors import ArgumentError
from intact.evaluate import butteraugli, metrics, ssimulacra2
from intact.evaluate.meter import Meter, too_small
from intact.measure import ms_ssim, ssim
from tiny_model import picture

ORIGINAL = picture(203, 170)
DECODED = np.clip(ORIGINAL.astype(int) + picture(203, 170, seed=9) // 8 - 16, 0, 255).astype("u1")


def test_ssimulacra2_equals_the_package_exactly(tmp_path):
    package = pytest.importorskip("ssimulacra2")
    if package.__version__ != ssimulacra2.VERSION:
        pytest.skip(f"ssimulacra2 {package.__version__}")
    paths = [str(tmp_path / name) for name in ("original.png", "decoded.png")]
    for path, pixels in zip(paths, (ORIGINAL, DECODED), strict=True):
        Image.fromarray(pixels).save(path)
    expected = package.compute_ssimulacra2(*paths)
    meter = ssimulacra2.Ssimulacra2(ORIGINAL)
    assert meter(DECODED) == expected
    assert meter(ORIGINAL) == 100
    assert meter(DECODED) == expected  # nothing of a measurement stays for the next


def test_butteraugli_is_zero_for_equal_pictures_and_grows():
    if "butteraugli" not in metrics.groups()[0]:
        pytest.skip("no butteraugli_main")
    assert butteraugli.butteraugli(ORIGINAL, ORIGINAL) == (0, 0)
    three, most = butteraugli.butteraugli(ORIGINAL, DECODED)
    assert 0 < three < most


def test_butteraugli_prints_the_maximum_first():
    assert butteraugli.parse_butteraugli("5.1251730919\n3-norm: 1.830269\n") == (
        1.830269,
        5.1251730919,
    )


@pytest.mark.parametrize("output", ["", "1.5\n", "1.5\n2-norm: 1\n", "1.5\n3-norm: 1\n2\n"])
def test_other_output_of_butteraugli_is_refused(output):
    with pytest.raises(RuntimeError, match="butteraugli_main"):
        butteraugli.parse_butteraugli(output)


def test_a_failed_butteraugli_is_refused():
    with pytest.raises(RuntimeError, match="status 1"):
        butteraugli.parse_butteraugli("5\n3-norm: 1\n", status=1)


def test_every_metric_has_a_way_back():
    for metric in metrics.METRICS:
        for value in (0.25, 0.5, 0.9):
            assert metric.raw(metric.quality(value)) == pytest.approx(value)
        worse, better = (0.9, 0.25) if metric.lower_is_better else (0.25, 0.9)
        assert metric.quality(worse) < metric.quality(better)


def test_a_meter_fills_the_columns_it_promises():
    everything = metrics.metric_set()
    values = Meter(ORIGINAL, everything)(DECODED)
    promised = {metric.key for metric in metrics.measured(everything)}
    assert {key for key, value in values.items() if math.isfinite(value)} == promised
    assert set(values) == {metric.key for metric in metrics.METRICS}
    few = Meter(ORIGINAL, "psnr ms_ssim")(DECODED)
    assert {key for key, value in few.items() if math.isfinite(value)} == {"psnr", "ms_ssim"}
    assert few["ms_ssim"] == values["ms_ssim"] == ms_ssim(ORIGINAL, DECODED)
    assert values["ssim"] == Meter(ORIGINAL, "ssim")(DECODED)["ssim"] == ssim(ORIGINAL, DECODED)


def test_what_a_small_picture_is_too_small_for_is_left_out_and_said():
    small = picture(160, 200)
    values = Meter(small, metrics.metric_set())(small)
    assert math.isnan(values["ms_ssim"])
    assert values["ssim"] == 1
    assert too_small(200, 160, ["psnr", "ssim", "ms_ssim"]) == ["MS-SSIM (needs 161x161)"]
    assert too_small(161, 161, ["psnr", "ssim", "ms_ssim"]) == []
    tiny = Meter(small[:7, :9], metrics.metric_set())(small[:7, :9])
    assert {key for key, value in tiny.items() if not math.isnan(value)} == {"psnr"}


def test_metrics_agree_with_pytorch_msssim():
    package = pytest.importorskip("pytorch_msssim")
    torch = pytest.importorskip("torch")
    one, two = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float()
                for p in (ORIGINAL, DECODED))  # fmt: skip
    values = Meter(ORIGINAL, "psnr ssim ms_ssim")(DECODED)
    assert values["ssim"] == pytest.approx(package.ssim(one, two, data_range=255).item(), abs=1e-5)
    expected = package.ms_ssim(one, two, data_range=255).item()
    assert values["ms_ssim"] == pytest.approx(expected, abs=1e-5)


def test_metrics_are_asked_for_by_name():
    assert metrics.check([]) == metrics.GROUPS
    assert metrics.check(["ssim", "psnr"]) == ("psnr", "ssim")
    with pytest.raises(ArgumentError, match="no metric named 'vmaf'; there are psnr, ssim"):
        metrics.check(["vmaf"])
    assert metrics.covers("psnr ms_ssim ssimulacra2=0.3.0", "psnr ssimulacra2=0.3.0")
    assert not metrics.covers("psnr ssimulacra2=0.2.0", "ssimulacra2=0.3.0")


def test_metric_sets_name_versions():
    assert metrics.metric_set().startswith("psnr ssim ms_ssim")
    assert metrics.metric_set(("psnr", "ms_ssim")) == "psnr ms_ssim"
