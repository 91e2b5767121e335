"""BD-rates of `intact eval`: which way they point, and what they are taken over."""

import json
import math
from dataclasses import replace

import pytest

from intact.evaluate import bd, curves, report, table
from intact.evaluate.metrics import METRICS

BY_KEY = {metric.key: metric for metric in METRICS}


def rows(codec, factor, pictures=("a", "b"), settings=6, variant=""):
    """A codec whose files are ``factor`` times those of the codec with 1, at equal quality."""
    return [
        table.Row(
            codec, f"{variant}{s}", name, 8, 8, 100, factor * 0.1 * 2**s * (number + 1),
            30 + 2 * s, 1 - 0.1 / 2**s, 20 + 10 * s, 8 / 2**s, 16 / 2**s,
            f"quality={s}", "1.0", name, "all", 1 - 0.4 / 2**s, 0.5, 0.25,
        )
        for number, name in enumerate(pictures)
        for s in range(settings)
    ]  # fmt: skip


@pytest.mark.parametrize("key", BY_KEY)
def test_half_the_bytes_is_minus_fifty_percent_by_every_metric(key):
    found = curves.by_codec(rows("old", 1) + rows("new", 0.5))
    result = bd.compare(found, "new", "old", BY_KEY[key])
    assert result.mean_of_pictures == pytest.approx(-50)
    assert result.of_mean_curves == pytest.approx(-50)
    assert (result.pictures, result.all_pictures) == (2, 2)
    assert result.overlap == 1
    values = [getattr(row, key) for row in rows("old", 1)]
    assert (result.low, result.high) == pytest.approx((min(values), max(values)))


def test_the_mean_of_pictures_is_not_the_mean_curve():
    test = [*rows("new", 0.5, ["a"]), *rows("new", 2, ["a", "b"])[6:]]
    result = bd.compare(curves.by_codec(rows("old", 1) + test), "new", "old", BY_KEY["psnr"])
    assert result.mean_of_pictures == pytest.approx((100 - 50) / 2)
    # Picture b has twice the bytes of a: (0.5 + 2 * 2) / (1 + 2).
    assert result.of_mean_curves == pytest.approx(50)
    assert (result.worst, result.worst_picture) == (pytest.approx(100), "b")
    assert result.best == pytest.approx(-50)
    assert result.median == pytest.approx(25)


def test_pictures_that_only_one_codec_has_do_not_count():
    found = curves.by_codec(rows("old", 1, "abc") + rows("new", 0.5, "ab"))
    assert bd.compare(found, "new", "old", BY_KEY["psnr"]).all_pictures == 2


def test_pictures_of_one_name_and_other_pixels_are_not_compared():
    """As where one codec coded the whole picture and another its center."""
    whole, center = rows("old", 1, "ab"), [replace(r, sha256="c" + r.image) for r in rows("new", 9)]
    result = bd.compare(curves.by_codec(whole + center), "new", "old", BY_KEY["psnr"])
    assert (result.pictures, result.all_pictures) == (0, 0)
    assert math.isnan(result.of_mean_curves)
    both = curves.by_codec([*whole, *rows("new", 0.5), *center])
    result = bd.compare(both, "new", "old", BY_KEY["psnr"])
    assert (result.mean_of_pictures, result.pictures) == (pytest.approx(-50), 2)


def test_a_setting_that_is_beaten_does_not_count():
    good = {"1": (1.0, 30.0), "2": (2.0, 33.0), "3": (3.0, 35.0)}
    assert curves.curve({**good, "4": (2.5, 32.0)}) == list(good.values())


def test_a_curve_of_variants_takes_the_better_at_each_rate():
    one = {"one/1": (0.1, 20.0), "one/2": (0.5, 30.0), "one/3": (2.0, 32.0)}
    two = {"two/1": (0.2, 18.0), "two/2": (1.0, 33.0), "two/3": (2.0, 40.0)}
    assert curves.curve({**one, **two}) == [
        one["one/1"], one["one/2"], two["two/2"], two["two/3"],
    ]  # fmt: skip


def test_curves_apart_have_no_bd_rate():
    far = [r for r in rows("far", 1, settings=9) if r.psnr > 41]
    result = bd.compare(curves.by_codec(rows("old", 1) + far), "far", "old", BY_KEY["psnr"])
    assert math.isnan(result.mean_of_pictures)
    assert math.isnan(result.of_mean_curves)
    assert (result.pictures, result.overlap) == (0, 0)


def test_only_the_counted_qualities_count():
    cheap_below = [replace(r, bpp=r.bpp / 4) if r.psnr < 34 else r for r in rows("new", 1)]
    found = curves.by_codec(rows("old", 1) + cheap_below)
    result = bd.compare(found, "new", "old", BY_KEY["butteraugli_3"], (1, 0.1))
    assert result.of_mean_curves == pytest.approx(0, abs=1e-9)
    assert (result.low, result.high) == pytest.approx((0.25, 1))
    assert bd.compare(found, "new", "old", BY_KEY["butteraugli_3"]).of_mean_curves < -20


def test_a_metric_nobody_measured_is_not_compared():
    bare = [replace(r, ssimulacra2=math.nan) for r in rows("old", 1)]
    assert BY_KEY["ssimulacra2"] not in curves.measured(curves.by_codec(bare), METRICS)


def test_rows_of_an_earlier_model_of_the_same_name_do_not_count():
    earlier = [replace(r, source="0.9") for r in rows("new", 3)]
    last = curves.by_codec([*earlier, *rows("new", 0.5), *rows("old", 1)])
    assert bd.compare(last, "new", "old", BY_KEY["psnr"]).of_mean_curves == pytest.approx(-50)
    both = [*earlier, *rows("new", 0.5), *rows("old", 1)]
    asked = curves.by_codec(both, sources={"new": ("0.9", "all")})
    assert bd.compare(asked, "new", "old", BY_KEY["psnr"]).of_mean_curves == pytest.approx(200)


def test_the_report_names_both_kinds_and_the_worst(tmp_path):
    found = curves.by_codec(rows("old", 1) + rows("new", 0.5))
    comparisons = bd.compare_all(found, ["new"], METRICS)
    text = report.text(comparisons, METRICS)
    [line] = [line for line in text.splitlines() if "30 .. 40" in line]
    assert " ".join(line.split()) == "old -50.0 -50.0 -50.0 2 of 2 30 .. 40, 100 %"
    assert "mean of pictures   of mean curves    worst picture" in text
    report.write(tmp_path / "bd.csv", comparisons)
    lines = (tmp_path / "bd.csv").read_text().splitlines()
    assert lines[0].startswith("test,anchor,metric,mean_of_pictures,worst,worst_picture")
    assert len(lines) == 1 + len(METRICS)


def test_only_some_codecs_may_be_compared_with():
    found = curves.by_codec(rows("old", 1) + rows("new", 0.5) + rows("other", 2))
    comparisons = bd.compare_all(found, ["new", "other"], [BY_KEY["psnr"]], anchors=["old"])
    assert [(c.test, c.anchor) for c in comparisons] == [("new", "old"), ("other", "old")]


def test_a_picture_too_small_for_a_metric_does_not_take_it_from_the_others():
    test = [replace(r, ms_ssim=math.nan) if r.sha256 == "b" else r for r in rows("new", 0.5)]
    found = curves.by_codec(rows("old", 1) + test)
    result = bd.compare(found, "new", "old", BY_KEY["ms_ssim"])
    assert (result.of_mean_curves, result.mean_of_pictures) == pytest.approx((-50, -50))
    assert (result.pictures, result.all_pictures) == (1, 2)
    assert bd.compare(found, "new", "old", BY_KEY["psnr"]).pictures == 2


def test_rows_with_more_metrics_than_asked_for_count():
    more = [replace(row, metrics="psnr ssim") for row in rows("new", 1)]
    assert curves.by_codec(more, sources={"new": ("1.0", "psnr")})["new"].keys() == {"a", "b"}
    assert not curves.by_codec(more, sources={"new": ("1.0", "psnr ms_ssim")})


def test_a_published_curve_is_compared_by_mean_values_alone():
    found = curves.by_codec(rows("new", 0.5))
    metric = BY_KEY["ms_ssim"]
    points = [(0.15 * 2**s, 1 - 0.1 / 2**s) for s in range(6)]
    result = bd.compare_published(found, "new", "BPG, published", points, metric)
    assert result.of_mean_curves == pytest.approx(-50)
    assert math.isnan(result.mean_of_pictures)
    assert (result.overlap, result.low, result.high) == pytest.approx((1, 0.9, 1 - 0.1 / 32))
    line = report.text([result], [metric]).splitlines()[2]
    assert " ".join(line.split()) == "BPG, published - -50.0 - - 0.9 .. 0.9969, 100 %"


def test_the_mean_of_values_is_not_the_mean_of_decibels():
    pair = [replace(r, ms_ssim=0.9 if r.sha256 == "a" else 0.99) for r in rows("x", 1, settings=1)]
    pictures = curves.by_codec(pair)["x"]
    [(_, decibels)] = curves.mean_curve(pictures, BY_KEY["ms_ssim"], ["a", "b"])
    [(_, of_mean)] = curves.mean_curve(pictures, BY_KEY["ms_ssim"], ["a", "b"], of_values=True)
    assert decibels == pytest.approx(15)
    assert of_mean == pytest.approx(-10 * math.log10(0.055))


def test_means_and_the_layout_of_compressai(tmp_path):
    table_rows = rows("jpeg", 1, variant="420/") + rows("jpeg", 2, variant="444/") + rows("new", 1)
    averages = report.means(curves.by_codec(table_rows))
    first = averages[0]
    assert (first["codec"], first["setting"], first["pictures"]) == ("jpeg", "420/0", 2)
    assert (first["bpp"], first["psnr"], first["ms_ssim"]) == pytest.approx((0.15, 30, 0.9))
    assert (first["encode_s"], first["decode_s"]) == (0.5, 0.25)
    paths = report.write_compressai(tmp_path / "json", averages)
    assert [path.name for path in paths] == ["jpeg-420.json", "jpeg-444.json", "new.json"]
    document = json.loads(paths[2].read_text())
    assert document["name"] == "new"
    results = document["results"]
    assert results["bpp"] == sorted(results["bpp"])
    for key in ("psnr", "psnr-rgb", "ms-ssim", "ms-ssim-rgb", "encoding_time", "decoding_time"):
        assert len(results[key]) == len(results["bpp"]) == 6
    assert results["ms-ssim"][0] == pytest.approx(0.9)  # not decibels: the plots convert
    report.write_means(tmp_path / "mean.csv", averages)
    lines = (tmp_path / "mean.csv").read_text().splitlines()
    assert lines[0].startswith("codec,setting,pictures,bpp,ssimulacra2,psnr,ssim,ms_ssim,")
    assert len(lines) == 1 + 18


def test_a_lossless_point_is_no_json_that_nobody_can_read(tmp_path):
    lossless = [replace(r, psnr=math.inf) if r.setting == "5" else r for r in rows("new", 1)]
    [path] = report.write_compressai(tmp_path, report.means(curves.by_codec(lossless)))
    assert "Infinity" not in path.read_text()
    assert len(json.loads(path.read_text())["results"]["psnr"]) == 5
