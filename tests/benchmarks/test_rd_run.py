"""Runs of benchmarks/rd.py: exact settings, what is measured again, what is read."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rd_eyes import bd, crops, measure, metrics, pictures, plot, table
from rd_eyes.codecs import OTHERS, MissingError, find_codec

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
    return {"jpeg": find_codec("jpeg", ("40", "80"))}


OPTIONS = {
    "jpeg": "JPEG quality=38 optimize=True subsampling=4:2:0",
    "jpeg2000": "JPEG2000 quality_layers=[43] irreversible=True mct=1 quality_mode=rates",
    "webp": "WEBP quality=42 method=6",
    "avif": "AVIF quality=46 subsampling=4:4:4 speed=4 max_threads=1",
    "jxl": "JXL quality=39 effort=7 num_threads=1 (lossy, XYB)",
    "heic": "HEIF quality=38 chroma=444 (x265 intra, preset and tune as in libheif)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_codec_keeps_its_exact_options_and_returns_the_shape(name):
    codec = codec_or_skip(name)
    middle = codec.settings[4]
    assert codec.options(middle) == OPTIONS[name]
    assert "Pillow" in codec.source
    pixels = picture(70, 90)
    small, large = (codec.encode(pixels, codec.settings[i]) for i in (0, -1))
    assert len(small) < len(large)
    decoded = codec.decode(large)
    assert (decoded.shape, decoded.dtype) == (pixels.shape, np.uint8)
    assert np.abs(decoded.astype(int) - pixels).mean() < 20


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


def test_an_unknown_codec_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="no codec named 'bpg'; there are jpeg, "):
        find_codec("bpg")


def test_a_run_measures_what_is_missing_and_nothing_else(folder, jpeg):
    chosen = pictures.choose([folder])
    out = folder / "out.csv"
    tasks, digests = measure.plan(chosen, jpeg, table.read(out))
    assert [t.settings for t in tasks] == [("420/40", "420/80", "444/40", "444/80")] * 2
    measure.run(tasks[:1], out)
    tasks, _ = measure.plan(chosen, jpeg, table.read(out))
    assert [t.picture.name for t in tasks] == ["2.png"]
    measure.run(tasks, out)
    rows = table.read(out)
    assert measure.plan(chosen, jpeg, rows) == ([], digests)
    assert len(rows) == 8
    assert all(math.isfinite(row.psnr) and row.bpp > 0 for row in rows)
    assert rows[0].bytes == len(jpeg["jpeg"].encode(chosen[0].pixels(), "420/40"))

    other = {"jpeg": replace(jpeg["jpeg"], source="another version")}
    assert len(measure.plan(chosen, other, rows)[0]) == 2
    assert len(measure.plan(chosen, jpeg, rows, ["jpeg"])[0]) == 2
    changed = [replace(row, metrics="fewer") for row in rows]
    assert len(measure.plan(chosen, jpeg, changed)[0]) == 2
    Image.fromarray(picture(170, 180, seed=7)).save(folder / "1.png")
    assert [t.picture.name for t in measure.plan(chosen, jpeg, rows)[0]] == ["1.png"]


def test_two_processes_measure_the_same(folder, jpeg):
    chosen = pictures.choose([folder])
    tasks, _ = measure.plan(chosen, jpeg, [])
    measure.run(tasks, folder / "one.csv")
    measure.run(tasks, folder / "two.csv", jobs=2)
    one, two = (sorted(table.read(folder / f"{n}.csv"), key=str) for n in ("one", "two"))
    assert one == two


def test_a_plot_is_drawn(folder, jpeg):
    pytest.importorskip("matplotlib")
    measure.run(measure.plan(pictures.choose([folder]), jpeg, [])[0], folder / "out.csv")
    found = bd.by_codec(table.read(folder / "out.csv"))
    plot.draw(folder / "out.png", found, bd.measured(found, metrics.METRICS), "two pictures")
    with Image.open(folder / "out.png") as image:
        assert image.width > 500


def test_a_row_that_was_cut_off_is_measured_again(folder, jpeg):
    chosen = pictures.choose([folder])
    out = folder / "out.csv"
    measure.run(measure.plan(chosen, jpeg, [])[0], out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    tasks, _ = measure.plan(chosen, jpeg, table.read(out))
    assert [t.settings for t in tasks] == [("444/80",)]
    measure.run(tasks, out)
    assert out.read_bytes() == whole


def test_a_table_of_other_columns_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("codec,quality\njpeg,1\n")
    with pytest.raises(ValueError, match=r"other\.csv: columns"):
        table.read(tmp_path / "other.csv")


def test_lists_have_comments_and_centers_are_cut(folder):
    names = folder / "list.txt"
    names.write_text("# two\n2.png  # the second\n\n")
    (one,) = pictures.choose([], (names, folder), center=(40, 30))
    assert one.name == "2.png"
    expected = picture(170, 180, seed=2)[70:100, 70:110]
    assert (one.pixels() == expected).all()
    assert one.too_small() == ""


def test_a_picture_smaller_than_the_crop_says_what_is_measured(folder):
    one = pictures.Picture("1.png", folder / "1.png", (400, 30))
    assert (one.pixels() == picture(170, 180, seed=1)[70:100]).all()
    assert one.too_small() == ("1.png is 180x170, smaller than the crop 400x30: 180x30 measured")


def test_a_missing_picture_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"3\.png"):
        pictures.choose([folder / "3.png"])


def test_crops_come_nearest_to_the_bytes_without_exceeding_them_much(folder, jpeg):
    pixels = picture(170, 180)
    codec = jpeg["jpeg"]
    grid = codec.grids[0]
    sizes = {s: len(codec.encode(pixels, s)) for s in grid}
    for target in (sizes["420/30"], sizes["420/77"] + 5):
        setting, data = crops.nearest(codec, grid, pixels, target)
        allowed = [size for size in sizes.values() if size <= 1.02 * target]
        assert len(data) == sizes[setting]
        assert abs(len(data) - target) == min(abs(size - target) for size in allowed)
    assert crops.nearest(codec, grid, pixels, 1)[0] == grid[0]


def test_a_sheet_shows_original_and_codecs_in_a_row(folder, jpeg):
    (one, _) = pictures.choose([folder])
    window = crops.Window(side=64, zoom=2)
    codec = jpeg["jpeg"]
    image = crops.sheet(one, [codec], codec, "420/40", window)
    assert image.width == 2 * 128 + 4
    assert (np.asarray(image)[:128:2, :128:2] == one.pixels()[53:117, 58:122]).all()
    path = crops.write(folder / "crops", one, image)
    assert path == folder / "crops" / "1.png"


def test_metric_sets_name_versions():
    assert metrics.metric_set().startswith("psnr ms_ssim")
