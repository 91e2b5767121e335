"""Runs of `intact eval`: exact settings, what is measured again, what is read."""

import csv
import ctypes
import math
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import intact
from intact.codec.store import DEFAULT
from intact.errors import ArgumentError, ModelError, UnsupportedError
from intact.evaluate import crops, curves, metrics, pictures, plot, run, table
from intact.evaluate.codec import Codec, MissingError, printing_to_stderr
from intact.evaluate.find import find_codec
from intact.evaluate.others import OTHERS, PillowCodec
from intact.evaluate.ours import Member, make
from round_trip import check_round_trip
from tiny_model import picture


def codec_or_skip(name):
    try:
        return find_codec(name)
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2):
        Image.fromarray(picture(170, 180, seed=number)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def jpeg():
    return [find_codec("jpeg").at(("40", "80"))]


METRICS = "psnr ssim ms_ssim"
ENCODE = PillowCodec.encode


OPTIONS = {
    "jpeg": "JPEG quality=38 optimize=True subsampling=4:2:0",
    "jpeg2000": "JPEG2000 quality_layers=[43] irreversible=True mct=1 quality_mode=rates",
    "webp": "WEBP quality=42 method=6",
    "avif": "AVIF quality=46 subsampling=4:4:4 speed=4 max_threads=1",
    "jxl": "JXL quality=39 effort=7 num_threads=1 (lossy, XYB)",
    "jpegxr": "JPEG XR level=0.4 (of 0 to 1; color format and overlap as in imagecodecs)",
    "heic": "HEIF quality=38 chroma=444 (x265 intra, preset and tune as in libheif)",
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_codec_keeps_its_exact_options_and_returns_the_shape(name):
    codec = codec_or_skip(name)
    middle = codec.settings[4]
    assert set(OTHERS) == {*OPTIONS, "bpg"}  # which has tests of its own
    assert codec.options(middle) == OPTIONS[name]
    assert ("imagecodecs" if name == "jpegxr" else "Pillow") in codec.source
    check_round_trip(codec)


@pytest.mark.parametrize("name", OTHERS)
def test_a_codec_takes_the_ends_of_its_range_and_refuses_what_lies_beyond(name):
    codec = codec_or_skip(name)
    pixels = picture(40, 50)
    low, high = (f"{end:g}" for end in (codec.legal.low, codec.legal.high))
    sizes = []
    for setting in codec.at((low, high)).settings:
        data = codec.encode(pixels, setting)
        assert codec.decode(data).shape == pixels.shape
        sizes.append(len(data))
    assert sizes[0] != sizes[1]
    beyond = (f"{codec.legal.low - 1:g}", f"{codec.legal.high + 1:g}", "nan", "inf", "-inf", "1e9")
    for wrong in (*beyond, "", "best"):
        with pytest.raises(ArgumentError, match=f"{name}: .*quality"):
            codec.at((wrong,))
    assert all(codec.at((s.rpartition("/")[2],)).settings for g in codec.grids for s in g)
    if codec.legal.whole:
        with pytest.raises(ArgumentError, match="whole numbers"):
            codec.at(("30.5",))


def test_heic_and_avif_keep_colors_at_full_resolution():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200
    for name in ("avif", "heic"):
        codec = codec_or_skip(name)
        decoded = codec.decode(codec.encode(stripes, codec.settings[-1]))
        assert np.abs(decoded.astype(int) - stripes).mean() < 20, name


def test_our_model_is_found_by_path_and_may_be_renamed(tiny, tiny_path):
    codec = find_codec(str(tiny_path))
    assert codec.name == "tiny"
    assert tiny.id.hex() in codec.source
    assert find_codec(f"other={tiny_path}").name == "other"
    pixels = picture(70, 90)
    assert codec.decode(codec.encode(pixels, "50")).shape == pixels.shape


def test_intact_is_the_default_model():
    codec = find_codec("intact")
    assert codec.name == "intact"
    assert codec.options("50") == f"quality=50 model={DEFAULT}"


def test_a_model_is_measured_with_an_effort(tiny_path):
    plain, codec = find_codec(str(tiny_path)), find_codec(f"{tiny_path}@1")
    assert (codec.name, codec.options("70")) == ("tiny@1", "quality=70 model=tiny effort=1")
    assert codec.source != plain.source  # rows of the other are not taken for its own
    pixels = picture(70, 90)
    assert codec.encode(pixels, "90") == intact.encode(
        pixels, quality=90, model=tiny_path, effort=1, threads=1
    )
    assert find_codec("intact@1").name == "intact@1"
    assert find_codec(f"other={tiny_path}@0,{tiny_path}@1").name == "other"
    for wrong in ("4", "-1", "10", "", "high"):
        with pytest.raises(ArgumentError, match=rf"the effort is '{wrong}', must be in 0\.\.3"):
            find_codec(f"intact@{wrong}")
    with pytest.raises(ArgumentError, match="no codec named 'nothing@1'"):
        find_codec("nothing@1")
    with pytest.raises(UnsupportedError):  # its latents cannot be refined, or PyTorch is missing
        find_codec(f"{tiny_path}@2")


def test_a_name_may_have_an_at(tiny_path, tmp_path):
    path = tmp_path / "tiny@1.intactm"
    path.write_bytes(tiny_path.read_bytes())
    assert find_codec(str(path)).options("50").endswith("model=tiny")


def test_several_models_are_one_codec(tiny_path, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.intactm").write_bytes(tiny_path.read_bytes())
    codec = find_codec(f"both={tmp_path}/a.intactm,{tmp_path}/b.intactm").at(("10", "90"))
    assert codec.name == "both"
    assert codec.settings == ("a/10", "a/90", "b/10", "b/90")
    pixels = picture(40, 50)
    assert codec.encode(pixels, "a/90") == codec.encode(pixels, "b/90")
    assert codec.decode(codec.encode(pixels, "b/10")).shape == pixels.shape
    with pytest.raises(ArgumentError, match="need a name"):
        find_codec(f"{tmp_path}/a.intactm,{tmp_path}/b.intactm")
    with pytest.raises(ArgumentError, match="two models are named 'a'"):
        find_codec(f"x={tmp_path}/a.intactm,{tmp_path}/a.intactm")
    with pytest.raises(ArgumentError, match="the name of another codec"):
        find_codec(f"jpeg={tmp_path}/a.intactm")


def test_models_of_one_rate_are_points_of_one_curve():
    members = [Member(name, f"{name}.intactm", "00", 1) for name in ("low", "high")]
    codec = make("shvq", members)
    assert codec.settings == ("low", "high")
    assert codec.grids == (["low", "high"],)
    assert codec.at(("10", "20")).settings == ("low", "high")
    mixed = make("mixed", [*members, Member("many", "many.intactm", "01", 5)])
    assert mixed.settings[:3] == ("low", "high", "many/0")
    assert mixed.at(("50",)).settings == ("low", "high", "many/50")
    many = make("shvq", [Member(f"b{n}", f"b{n}.intactm", "00", 1) for n in range(12)])
    assert many.thinned(3).settings == many.settings  # who names a model wants it
    assert mixed.thinned(2).settings == ("low", "high", "many/0", "many/100")


def test_a_model_that_has_changed_meanwhile_is_noticed(tiny_path):
    with pytest.raises(ModelError, match="was model 00"):
        Member("tiny", str(tiny_path), "00", 2).load()


def test_fewer_points_keep_the_ends():
    codec = find_codec("jpeg").thinned(2)
    assert codec.settings == ("420/5", "420/92", "444/5", "444/92")
    assert codec.thinned(9).settings == codec.settings
    with pytest.raises(ArgumentError, match="a quality must be a number, not 'high'"):
        codec.at(("high",))


def test_a_quality_can_be_written_in_any_way():
    for setting, number in (("1e1", "10"), ("5e-1", "0.5"), ("7.0", "7")):
        codec = find_codec("webp").at((setting,))
        assert codec.options(codec.settings[0]) == f"WEBP quality={number} method=6"


def test_an_unknown_codec_is_refused_with_what_there_is():
    with pytest.raises(ArgumentError, match="no codec named 'hm'; there are jpeg, "):
        find_codec("hm")


def test_a_codec_whose_package_is_missing_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingError, match="pillow-heif is not installed"):
        find_codec("heic")


def planned(chosen, codecs, rows=(), again=()):
    return run.plan(chosen, codecs, rows, METRICS, again).tasks


def test_a_run_measures_what_is_missing_and_nothing_else(folder, jpeg):
    chosen = pictures.choose([folder])
    out = folder / "out.csv"
    tasks = planned(chosen, jpeg, table.read(out))
    assert [t.settings for t in tasks] == [("420/40", "420/80", "444/40", "444/80")] * 2
    assert run.run(tasks[:1], out) == []
    tasks = planned(chosen, jpeg, table.read(out))
    assert [t.picture.name for t in tasks] == ["2.png"]
    run.run(tasks, out)
    rows = table.read(out)
    assert planned(chosen, jpeg, rows) == []
    assert len(rows) == 8
    assert all(math.isfinite(row.psnr) and row.bpp > 0 for row in rows)
    assert all(math.isfinite(row.ssim) and row.encode_s >= 0 <= row.decode_s for row in rows)
    assert all(math.isnan(row.ssimulacra2) for row in rows)
    assert rows[0].bytes == len(jpeg[0].encode(chosen[0].pixels(), "420/40"))

    assert len(planned(chosen, [replace(jpeg[0], source="another version")], rows)) == 2
    assert len(planned(chosen, jpeg, rows, ["jpeg"])) == 2
    assert len(planned(chosen, jpeg, [replace(row, metrics="psnr ssim") for row in rows])) == 2
    assert planned(chosen, jpeg, [replace(row, metrics=f"{METRICS} more=1") for row in rows]) == []
    Image.fromarray(picture(170, 180, seed=7)).save(folder / "1.png")
    assert [t.picture.name for t in planned(chosen, jpeg, rows)] == ["1.png"]


def timeless(path):
    return sorted((replace(row, encode_s=0, decode_s=0) for row in table.read(path)), key=repr)


def test_two_processes_measure_the_same(folder, jpeg):
    tasks = planned(pictures.choose([folder]), jpeg)
    told = []
    run.run(tasks, folder / "one.csv")
    run.run(tasks, folder / "two.csv", 2, told.append)
    assert repr(timeless(folder / "one.csv")) == repr(timeless(folder / "two.csv"))
    assert [(p.done, p.total) for p in told] == [(1, 2), (2, 2)]
    assert (told[-1].share, told[-1].seconds_left) == (1, 0)


def test_a_plot_is_drawn(folder, jpeg):
    pytest.importorskip("matplotlib")
    run.run(planned(pictures.choose([folder]), jpeg), folder / "out.csv")
    found = curves.by_codec(table.read(folder / "out.csv"))
    plot.draw(folder / "out.png", found, curves.measured(found, metrics.METRICS), "two pictures")
    with Image.open(folder / "out.png") as image:
        assert image.width > 500


def test_a_row_that_was_cut_off_is_measured_again(folder, jpeg):
    chosen = pictures.choose([folder])
    out = folder / "out.csv"
    run.run(planned(chosen, jpeg), out)
    whole = timeless(out)
    out.write_bytes(out.read_bytes()[:-20])
    tasks = planned(chosen, jpeg, table.read(out))
    assert [t.settings for t in tasks] == [("444/80",)]
    run.run(tasks, out)
    assert repr(timeless(out)) == repr(whole)


def test_a_table_of_earlier_columns_is_read_and_gone_on_with(folder, jpeg):
    """As those in benchmarks/results."""
    chosen, out = pictures.choose([folder]), folder / "out.csv"
    run.run(run.plan(chosen[:1], jpeg, [], "psnr ms_ssim").tasks, out)
    rows = table.read(out)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, table.EARLIER, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    before = table.read(out)
    assert [row.key for row in before] == [row.key for row in rows]
    assert all(math.isnan(row.ssim) for row in before)
    tasks = run.plan(chosen, jpeg, before, "psnr ms_ssim").tasks
    assert [t.picture.name for t in tasks] == ["2.png"]
    untouched = out.read_bytes()
    run.run([], out)
    assert out.read_bytes() == untouched
    run.run(tasks, out)
    assert len(table.read(out)) == 8
    assert out.read_text().splitlines()[0] == ",".join(table.COLUMNS)


@pytest.mark.parametrize("name", ["cc0", "held_out", "kodak"])
def test_the_tables_that_are_shipped_can_be_read(name):
    path = Path(__file__).parents[2] / "benchmarks" / "results" / f"rd_eyes_{name}.csv"
    rows = table.read(path)
    assert len(rows) == len(path.read_text().splitlines()) - 1
    assert all(metrics.covers(row.metrics, "psnr ms_ssim ssimulacra2=0.3.0") for row in rows)


def test_a_picture_that_a_codec_refuses_is_left_out_and_told(folder, jpeg):
    Image.fromarray(np.zeros((8, 70000, 3), np.uint8)).save(folder / "wide.png")
    tasks = planned(pictures.choose([folder]), jpeg)
    [failure] = run.run(tasks, folder / "out.csv")
    assert failure.startswith("wide.png by jpeg at 420/40: ")
    assert {row.image for row in table.read(folder / "out.csv")} == {"1.png", "2.png"}


def test_pictures_that_cannot_be_read_are_left_out(folder, jpeg):
    (folder / "bad.png").write_bytes(b"no picture")
    whole = (folder / "1.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "same.png").write_bytes(whole)
    plan = run.plan(pictures.choose([folder]), jpeg, [], METRICS)
    assert [picture.name for picture, _ in plan.unreadable] == ["bad.png", "cut.png"]
    assert isinstance(plan.unreadable[0][1], UnsupportedError)
    assert len(plan.digests) == 2
    assert plan.notes == ["same.png: has the pixels of another picture, left out"]


def test_gray_and_transparent_pictures_are_measured_as_rgb(tmp_path):
    pixels = picture(40, 30)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "gray.png")
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(tmp_path / "alpha.png")
    alpha, gray = pictures.choose([tmp_path])
    assert (gray.pixels() == pixels[..., :1]).all()
    assert gray.pixels().shape == (40, 30, 3)
    assert (alpha.pixels() == pixels).all()
    assert alpha.look()[1] == ["its transparency is left out"]


def test_a_table_of_other_columns_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("codec,quality\njpeg,1\n")
    with pytest.raises(ArgumentError, match=r"other\.csv: columns"):
        table.read(tmp_path / "other.csv")
    (tmp_path / "bad.csv").write_text(",".join(table.COLUMNS) + "\njpeg,1\n")
    with pytest.raises(ArgumentError, match=r"bad\.csv: line 2"):
        table.read(tmp_path / "bad.csv")


def test_lists_have_comments_and_centers_are_cut(folder):
    names = folder / "list.txt"
    names.write_text("# two\n2.png  # the second\n\n")
    (one,) = pictures.choose([], (names, folder), center=(40, 30))
    assert one.name == "2.png"
    expected = picture(170, 180, seed=2)[70:100, 70:110]
    assert (one.pixels() == expected).all()
    assert one.look()[1] == []


def test_a_picture_smaller_than_the_crop_says_what_is_measured(folder):
    one = pictures.Picture("1.png", folder / "1.png", (400, 30))
    assert (one.pixels() == picture(170, 180, seed=1)[70:100]).all()
    assert one.look()[1] == ["is 180x170, smaller than the crop 400x30: 180x30 measured"]


def test_a_missing_picture_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"3\.png"):
        pictures.choose([folder / "3.png"])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"no file in this folder ends in \.png, \.jpg"):
        pictures.choose([tmp_path])


def test_crops_come_nearest_to_the_bytes_without_exceeding_them_much(folder, jpeg):
    pixels = picture(170, 180)
    codec = jpeg[0]
    grid = codec.grids[0]
    sizes = {s: len(codec.encode(pixels, s)) for s in grid}
    for target in (sizes["420/30"], sizes["420/77"] + 5):
        setting, data = crops.nearest(codec, grid, pixels, target)
        allowed = [size for size in sizes.values() if size <= 1.02 * target]
        assert len(data) == sizes[setting]
        assert abs(len(data) - target) == min(abs(size - target) for size in allowed)
    assert crops.nearest(codec, grid, pixels, 1)[0] == grid[0]


def test_models_of_one_rate_are_all_tried():
    class Fixed(Codec):
        def options(self, setting):
            return setting

        def encode(self, pixels, setting):
            return bytes(int(setting))

        def decode(self, data):
            return picture(8, 8)

    grid = ("300", "100", "200")
    codec = Fixed("fixed", grid, (grid,), "here")
    assert crops.nearest(codec, grid, picture(8, 8), 250)[0] == "200"
    assert crops.nearest(codec, grid, picture(8, 8), 50)[0] == "100"
    assert crops.size_of(codec, picture(80, 80), None) == 200
    assert crops.size_of(codec, picture(80, 80), 0.4) == 320


def test_a_codec_that_refuses_a_picture_is_left_out_of_its_sheet_alone(folder, jpeg, monkeypatch):
    webp = find_codec("webp")

    def refuse(*_):
        raise TypeError("not  this\none")

    monkeypatch.setattr(type(webp), "encode", lambda self, *how: (
        refuse() if self.name == "webp" else ENCODE(self, *how)))  # fmt: skip
    [picture, *_], left_out = pictures.choose([folder]), []
    window = crops.Window()
    image = crops.sheet(picture, [*jpeg, webp], 4000, METRICS, window, left_out)
    assert image.size == crops.sheet(picture, jpeg, 4000, METRICS, window).size
    assert left_out == ["crops of 1.png by webp: TypeError: not this one"]
    with pytest.raises(TypeError):
        crops.sheet(picture, [*jpeg, webp], 4000, METRICS, window)


def test_what_a_library_prints_does_not_come_among_the_results(capfd):
    sys.stdout.write("ours\n")
    with printing_to_stderr():
        os.write(1, b"written by a library\n")
        ctypes.CDLL(None).puts(b"held back by C")
    sys.stdout.write("ours again\n")
    sys.stdout.flush()
    said = capfd.readouterr()
    assert said.out == "ours\nours again\n"
    assert "written by a library" in said.err
    assert "held back by C" in said.err


def test_a_sheet_shows_original_and_codecs_in_a_row(folder, jpeg):
    (one, _) = pictures.choose([folder])
    window = crops.Window(side=64, zoom=6)
    codec = jpeg[0]
    target = len(codec.encode(one.pixels(), "420/40"))
    image = crops.sheet(one, [codec], target, "psnr", window)
    assert image.width == 2 * 384 + 4
    assert (np.asarray(image)[:384:6, :384:6] == one.pixels()[53:117, 58:122]).all()
    five = crops.sheet(one, [codec] * 4, target, "psnr", window)  # three and two, not four and one
    assert (five.width, five.height) == (3 * 384 + 8, 2 * image.height)
    values = {m.key: 0.5 for m in metrics.METRICS}
    assert "MS-SSIM 0.5000  SSIM 0.5000  PSNR 0.50 dB" in crops.figures(values)
    path = crops.write(folder / "crops", one, image)
    assert path == folder / "crops" / "1.png"
