"""The benchmarks that call `intact.evaluate`: their result files are as before."""

import pytest
import rd_baselines
import rd_kodak
from PIL import Image

from intact.evaluate.find import find_codec
from intact.measure import ms_ssim, psnr
from tiny_model import picture


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in (1, 2)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(170, 180, seed=number)).save(path)
    return paths


def test_baselines_are_means_of_a_setting_with_exact_options(images, tmp_path):
    first = rd_baselines.codecs()[0].at(("30", "80"))
    points = rd_baselines.measure([first], images)["jpeg-420"]
    assert [point.quality for point in points] == ["30", "80"]
    assert points[0].settings == "JPEG quality=30 optimize=True subsampling=4:2:0"
    coded = [first.encode(picture(170, 180, seed=number), "30") for number in (0, 1)]
    assert points[0].bpp == pytest.approx(8 * sum(map(len, coded)) / 2 / 170 / 180)
    values = [psnr(picture(170, 180, seed=n), first.decode(data)) for n, data in enumerate(coded)]
    assert points[0].psnr == pytest.approx(sum(values) / 2)
    rd_baselines.write_points(tmp_path / "points.csv", points)
    again = rd_baselines.read_points(tmp_path / "points.csv")["jpeg-420"]
    assert [p.bpp for p in again] == pytest.approx([p.bpp for p in points], abs=1e-5)


def test_every_baseline_keeps_the_settings_of_the_result_file():
    shipped = rd_baselines.read_points(rd_baselines.RESULTS)
    for codec in rd_baselines.codecs():
        assert [point.quality for point in shipped[codec.name]] == list(codec.settings)


def test_kodak_has_a_row_a_quality_and_a_row_a_picture(images, tiny_path):
    codec = find_codec(f"intact={tiny_path}").at(("10", "90"))
    means, singles = rd_kodak.measure([codec], images)
    assert [row[:2] for row in means] == [("intact", 10.0), ("intact", 90.0)]
    by_place = {row[1:3]: row for row in singles}
    assert set(by_place) == {(q, name) for q in (10.0, 90.0) for name in ("1", "2")}
    original = picture(170, 180, seed=0)
    data = codec.encode(original, "90")
    decoded = codec.decode(data)
    expected = (8 * len(data) / 170 / 180, psnr(original, decoded), ms_ssim(original, decoded))
    assert by_place[90.0, "1"][3:6] == pytest.approx(expected)
    assert len(means[0]) == 2 + len(rd_kodak.COLUMNS)
