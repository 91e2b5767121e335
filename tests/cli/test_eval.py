"""``intact eval``: what it writes, what it leaves out and says, what it refuses."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intact.cli.errors import Code
from intact.evaluate import published
from tiny_model import picture


@pytest.fixture
def folder(tmp_path):
    """Two pictures, the second one in a subfolder."""
    place = tmp_path / "pictures"
    (place / "more").mkdir(parents=True)
    Image.fromarray(picture(170, 180, seed=1)).save(place / "one.png")
    Image.fromarray(picture(170, 180, seed=2)).save(place / "more" / "two.png")
    return place


@pytest.fixture
def evaluate(intact, folder, tiny_path, tmp_path):
    """Run on the folder with a model and JPEG, quickly; results in tmp_path / "out"."""

    def call(*options, codecs=(f"mine={tiny_path}", "jpeg"), metrics=("psnr", "ms_ssim")):
        named = [f"--codec={name}" for name in codecs] + [f"--metric={name}" for name in metrics]
        common = ["--jobs", 1, "--points", 3, "--crops", 0]
        return intact("eval", folder, "-o", tmp_path / "out", *common, *named, *options)

    return call


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_measures_and_writes_tables_and_says_the_exact_options(evaluate, tmp_path):
    done = evaluate()
    assert done.code == Code.OK, done.err
    text = done.out.decode()
    assert "JPEG quality=5 optimize=True subsampling=4:2:0 .. " in text
    assert "JPEG quality=92 optimize=True subsampling=4:4:4" in text
    assert "metrics: psnr ms_ssim\n" in text
    assert "BD-rate of mine in percent" in text
    assert "\nMS-SSIM  " in text  # qualities in common are its values, not their decibels
    assert "\nPSNR, dB  " in text
    out = tmp_path / "out"
    results = rows(out / "results.csv")
    assert len(results) == 2 * (3 + 2 * 3)
    assert {row["image"] for row in results} == {"one.png", "more/two.png"}
    means = rows(out / "mean.csv")
    assert [row["setting"] for row in means[:3]] == ["0", "60", "100"]
    chosen = [row for row in results if (row["codec"], row["setting"]) == ("mine", "60")]
    expected = np.mean([float(row["psnr"]) for row in chosen])
    assert float(means[1]["psnr"]) == pytest.approx(expected, abs=1e-5)
    assert {row["anchor"] for row in rows(out / "bd.csv")} == {"jpeg"}
    assert (out / "compressai" / "jpeg-444.json").exists()
    for row in results:
        assert int(row["bytes"]) * 8 == pytest.approx(float(row["bpp"]) * 170 * 180, abs=0.1)


def test_a_second_run_goes_on_and_measures_nothing_twice(evaluate, tmp_path):
    assert evaluate().code == Code.OK
    table = tmp_path / "out" / "results.csv"
    before = table.read_bytes()
    assert evaluate().code == Code.OK
    assert table.read_bytes() == before
    table.write_bytes(before[:-30])
    assert evaluate().code == Code.OK
    assert len(rows(table)) == 18


@pytest.mark.parametrize("below", [".", "results"])
def test_results_among_the_pictures_are_not_measured_by_the_next_run(intact, folder, below):
    common = ["--codec=jpeg", "--metric=psnr", "--points=2", "--jobs=1", "--crops=1"]
    for _ in range(2):
        done = intact("eval", folder, "-o", folder / below, *common)
        assert done.code == Code.OK, done.err
        assert list((folder / below / "crops").glob("*.png"))
        (folder / below / "rd_psnr.png").touch()  # as a plot, where matplotlib is
    names = {row["image"] for row in rows(folder / below / "results.csv")}
    assert names == {"one.png", "more/two.png"}
    done = intact("eval", folder / below / "crops", "-o", folder / below, *common)
    assert done.code == Code.OK, done.err


def test_a_picture_that_was_renamed_is_not_measured_again_and_has_crops(evaluate, folder, tmp_path):
    (folder / "more" / "two.png").unlink()
    assert evaluate("--crops", "1", codecs=("jpeg",), metrics=("psnr",)).code == Code.OK
    measured = (tmp_path / "out" / "results.csv").read_bytes()
    (folder / "one.png").rename(folder / "uno.png")
    (folder / "bad.png").write_bytes(b"no picture")
    evaluate("--crops", "1", codecs=("jpeg",), metrics=("psnr",))
    assert (tmp_path / "out" / "results.csv").read_bytes() == measured
    assert {p.name for p in (tmp_path / "out" / "crops").iterdir()} == {"one.png", "uno.png"}


def test_json_has_means_and_bd_rates_and_nothing_infinite(evaluate, tmp_path):
    done = evaluate("--json", "--against", "jpeg", "--qualities", "mine=20,80")
    found = json.loads(done.out, parse_constant=lambda name: pytest.fail(name))
    assert (found["code"], found["dataset"], found["notes"]) == (0, None, [])
    assert [m["setting"] for m in found["means"] if m["codec"] == "mine"] == ["20", "80"]
    assert {(c["test"], c["anchor"]) for c in found["bd_rates"]} == {("mine", "jpeg")}
    assert str(tmp_path / "out" / "mean.csv") in found["written"]


def test_a_missing_codec_is_left_out_and_said_and_the_rest_measured(
    evaluate, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    done = evaluate("--against", "heic", codecs=("jpeg", "heic"))
    assert done.code == Code.UNSUPPORTED
    assert "left out: heic: pillow-heif is not installed" in done.err
    assert {row["codec"] for row in rows(tmp_path / "out" / "results.csv")} == {"jpeg"}
    done = evaluate(codecs=("heic",))
    assert done.code == Code.UNSUPPORTED
    assert "no codec is left" in done.err


def test_a_missing_metric_is_said_and_is_an_error_where_it_was_asked_for(evaluate, monkeypatch):
    from intact.evaluate import metrics

    monkeypatch.setattr(metrics, "groups", lambda: ({"psnr": ""}, {"butteraugli": "no program"}))
    done = evaluate(codecs=("jpeg",), metrics=("psnr", "butteraugli"))
    assert done.code == Code.UNSUPPORTED
    assert "left out: butteraugli: no program" in done.err
    done = evaluate(codecs=("jpeg",), metrics=("butteraugli",))
    assert (done.code, done.out) == (Code.UNSUPPORTED, b"")
    done = evaluate(codecs=("jpeg",), metrics=())
    assert done.code == Code.OK
    assert "left out: butteraugli" in done.err


def test_bad_and_small_pictures_do_not_stop_the_others(evaluate, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no picture")
    Image.fromarray(picture(40, 50)).save(folder / "small.png")
    done = evaluate(codecs=("jpeg",))
    assert done.code == Code.UNSUPPORTED
    assert "bad.png: not an image in one of the formats that are read" in done.err
    assert "small.png: 50x40 is too small for MS-SSIM (needs 161x161), left out" in done.err
    found = {row["image"]: row for row in rows(tmp_path / "out" / "results.csv")}
    assert set(found) == {"one.png", "more/two.png", "small.png"}
    assert found["small.png"]["ms_ssim"] == ""
    assert float(found["small.png"]["psnr"]) > 10
    assert float(rows(tmp_path / "out" / "mean.csv")[0]["ms_ssim"]) > 0


def test_a_folder_whose_pictures_cannot_be_read_is_an_error(intact, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = intact("eval", tmp_path, "-o", tmp_path / "out", "--codec", "jpeg")
    assert done.code == Code.USAGE
    assert "none of the pictures can be read" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--codec", "hm"], "no codec named 'hm'; there are jpeg, jpeg2000"),
        (["--metric", "vmaf"], "no metric named 'vmaf'"),
        (["--against", "webp"], "--against webp: not among mine, jpeg"),
        (["--qualities", "webp=1,2"], "--qualities webp: no such codec was asked for"),
        (["--qualities", "mine=1,200"], "mine: quality 200, expected 0 .. 100"),
        (["--qualities", "jpeg=50,200"], "jpeg: quality 200, expected 1 .. 100 of whole numbers"),
        (["--qualities", "jpeg=nan"], "jpeg: quality nan, expected 1 .. 100 of whole numbers"),
        (["--qualities", "jpeg=high"], "jpeg: a quality must be a number, not 'high'"),
        (["--qualities", "jpeg="], "--qualities 'jpeg=': expected CODEC=Q,Q,..."),
        (["--qualities", "50"], "--qualities '50': expected CODEC=Q,Q,..."),
        (["--published", "none.csv"], "none.csv"),
        (["--points", "1"], "--points"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_measured(
    evaluate, tmp_path, options, message
):
    done = evaluate(*options)
    assert done.code in (Code.USAGE, Code.SYSTEM)
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_results_should_go_is_refused_before_anything_is_measured(
    intact, folder, tmp_path
):
    (tmp_path / "out").write_text("mine")
    done = intact("eval", folder, "-o", tmp_path / "out", "--codec", "jpeg")
    assert (done.code, done.out) == (Code.SYSTEM, b"")
    assert "results go into a folder, and this is none" in done.err


def test_qualities_of_one_codec_given_twice_are_all_measured(evaluate, tmp_path):
    done = evaluate("--qualities", "jpeg=30", "--qualities", "jpeg=60,3e1", codecs=("jpeg",))
    assert done.code == Code.OK, done.err
    found = {row["setting"] for row in rows(tmp_path / "out" / "results.csv")}
    assert found == {"420/30", "420/60", "444/30", "444/60"}


def test_a_codec_of_one_rate_says_that_qualities_have_no_effect(intact, folder, tmp_path):
    model = Path(__file__).parents[2] / "papers/agustsson2017/models/vector-b1.intactm"
    done = intact("eval", folder / "one.png", "-o", tmp_path / "out", "--codec", f"one={model}",
                  "--qualities", "one=10,20", "--metric", "psnr", "--crops", 0)  # fmt: skip
    assert done.code == Code.OK, done.err
    assert "one has models of one rate alone: --qualities has no effect" in done.err
    assert "; 1 setting, model=vector-b1\n" in done.out.decode()
    assert "No BD-rates: there is nothing to compare with." in done.out.decode()


def test_a_metric_that_no_picture_has_is_said_and_is_an_error_where_it_was_asked_for(
    intact, tmp_path
):
    Image.fromarray(picture(40, 50)).save(tmp_path / "small.png")
    asked = ("eval", tmp_path / "small.png", "-o", tmp_path / "out", "--codec", "jpeg")
    asked = (*asked, "--codec", "webp", "--points", 2, "--crops", 0, "--jobs", 1)
    done = intact(*asked, "--metric", "ms_ssim")
    assert done.code == Code.UNSUPPORTED
    assert "left out: MS-SSIM, dB: no picture has a finite value of it" in done.err
    assert "No BD-rates: no metric has a value." in done.out.decode()
    done = intact(*asked, "--json")
    assert done.code == Code.OK
    assert "MS-SSIM, dB: no picture has a finite value of it" in done.json["left_out"]


def test_an_empty_folder_is_refused(intact, tmp_path):
    (tmp_path / "empty").mkdir()
    done = intact("eval", tmp_path / "empty", "-o", tmp_path / "out", "--codec", "jpeg")
    assert done.code == Code.USAGE
    assert "no file in this folder ends in .png" in done.err


def test_curves_of_a_file_are_compared_with(evaluate, tmp_path):
    curves = tmp_path / "curves.csv"
    curves.write_text(
        "codec,quality,bpp,psnr,ms_ssim,source\n"
        "bpg,1,0.5,10,,a paper\nbpg,2,2,20,,a paper\nbpg,3,8,40,,a paper\nvtm,1,1,2,,x\n"
    )
    done = evaluate("--published", f"{curves}=bpg", "--json", codecs=("jpeg",))
    assert done.code == Code.OK, done.err
    [found] = [c for c in done.json["bd_rates"] if c["anchor"] == "bpg, published"]
    assert (found["test"], found["metric"], found["mean_of_pictures"]) == ("jpeg", "psnr", None)
    assert evaluate("--published", f"{curves}=hm").code == Code.USAGE
    curves.write_text("a,b\n1,2\n")
    assert evaluate("--published", curves).code == Code.USAGE


def test_crops_and_plots_are_drawn(evaluate, tmp_path):
    pytest.importorskip("matplotlib")
    done = evaluate("--crops", "1", "--crop-bpp", "2", metrics=("psnr",))
    assert done.code == Code.OK, done.err
    with Image.open(tmp_path / "out" / "rd_psnr.png") as plot:
        assert plot.width > 500
    with Image.open(tmp_path / "out" / "crops" / "more_two.png") as sheet:
        assert sheet.size[0] > 2 * 320


def test_published_curves_are_those_of_the_whole_set_alone():
    path = published.FOLDER / "published_kodak.csv"
    assert {row["source"] for row in rows(path)} == {"CompressAI results/image"}
    names = [curve.name for curve in published.read(path)]
    assert sorted(names) == sorted(published.LABELS.values())
    curves = [repr(curve.points) for curve in published.read(path)]
    assert len(set(curves)) == len(curves)  # collections of results have copies under two names
    results = Path(__file__).parents[2] / "benchmarks/results/rd_eyes_kodak.csv"
    kodak = sorted({row["sha256"] for row in rows(results)})
    assert len(kodak) == 24
    assert published.for_pictures(kodak)[0] == "kodak"
    assert [c.name for c in published.for_pictures(reversed(kodak))[1]] == names
    assert published.for_pictures(kodak[1:]) == ("", [])
    assert published.for_pictures([*kodak, "another"]) == ("", [])
