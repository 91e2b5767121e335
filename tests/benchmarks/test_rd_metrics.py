"""Metrics of benchmarks/rd.py: the cached ones equal their packages, the parsed ones say so."""

import math

import numpy as np
import pytest
from PIL import Image
from rd_eyes import metrics

from tiny_model import picture

ORIGINAL = picture(203, 170)
DECODED = np.clip(ORIGINAL.astype(int) + picture(203, 170, seed=9) // 8 - 16, 0, 255).astype("u1")


def test_ssimulacra2_equals_the_package_exactly(tmp_path):
    package = pytest.importorskip("ssimulacra2")
    if package.__version__ != metrics.SSIMULACRA2_VERSION:
        pytest.skip(f"ssimulacra2 {package.__version__}")
    paths = [str(tmp_path / name) for name in ("original.png", "decoded.png")]
    for path, pixels in zip(paths, (ORIGINAL, DECODED), strict=True):
        Image.fromarray(pixels).save(path)
    expected = package.compute_ssimulacra2(*paths)
    meter = metrics.Ssimulacra2(ORIGINAL)
    assert meter(DECODED) == expected
    assert meter(ORIGINAL) == 100
    assert meter(DECODED) == expected  # nothing of a measurement stays for the next


def test_butteraugli_is_zero_for_equal_pictures_and_grows():
    if "butteraugli" not in metrics.groups()[0]:
        pytest.skip("no butteraugli_main")
    assert metrics.butteraugli(ORIGINAL, ORIGINAL) == (0, 0)
    three, most = metrics.butteraugli(ORIGINAL, DECODED)
    assert 0 < three < most


def test_butteraugli_prints_the_maximum_first():
    assert metrics.parse_butteraugli("5.1251730919\n3-norm: 1.830269\n") == (1.830269, 5.1251730919)


@pytest.mark.parametrize("output", ["", "1.5\n", "1.5\n2-norm: 1\n", "1.5\n3-norm: 1\n2\n"])
def test_other_output_of_butteraugli_is_refused(output):
    with pytest.raises(RuntimeError, match="butteraugli_main"):
        metrics.parse_butteraugli(output)


def test_a_failed_butteraugli_is_refused():
    with pytest.raises(RuntimeError, match="status 1"):
        metrics.parse_butteraugli("5\n3-norm: 1\n", status=1)


def test_every_metric_has_a_column_and_a_way_back():
    for metric in metrics.METRICS:
        for value in (0.25, 0.5, 0.9):
            assert metric.raw(metric.quality(value)) == pytest.approx(value)
        worse, better = (0.9, 0.25) if metric.lower_is_better else (0.25, 0.9)
        assert metric.quality(worse) < metric.quality(better)


def test_a_meter_fills_the_columns_it_promises():
    values = metrics.Meter(ORIGINAL)(DECODED)
    assert set(values) == {metric.key for metric in metrics.measured()}
    assert all(math.isfinite(value) for value in values.values())


def test_ms_ssim_of_a_small_picture_is_left_out():
    small = picture(64, 64)
    assert math.isnan(metrics.Meter(small)(small)["ms_ssim"])
