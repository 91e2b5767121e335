import csv
import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PATH = Path(__file__).parents[2] / "docs/training/fetch_pictures.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fetch_pictures", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("format_", "size", "expected"),
    [
        ("PNG", (1400, 1500), (1400, 1500)),
        ("PNG", (1401, 3000), (701, 1500)),
        ("PNG", (6000, 8000), (750, 1000)),
        ("JPEG", (1400, 1500), (700, 750)),
        ("JPEG", (640, 900), (320, 450)),
        ("JPEG", (639, 900), (639, 900)),
        ("JPEG", (2800, 2800), (1400, 1400)),
    ],
)
def test_pictures_are_halved_and_jpegs_at_least_once_while_large_enough(
    script, format_, size, expected
):
    file = io.BytesIO()
    Image.new("L", size, 77).save(file, format_)
    with Image.open(file) as image:
        small = script.shrink(image, 1400)
    assert small.size == expected
    assert small.mode == "RGB"
    assert np.asarray(small).std() == 0


def test_a_picture_that_is_not_the_listed_one_is_left_out(script, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (9, 8, 7)).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    row = {"kind": "graphic", "package": "p", "version": "1", "path": "a.png"}
    good = row | {"sha256": hashlib.sha256(file.getvalue()).hexdigest()}
    assert script.convert(good, tmp_path, tmp_path / "out") == ""
    with Image.open(tmp_path / "out/graphics/p_a.png") as image:
        assert image.size == (20, 10)
    assert "not 000000000000" in script.convert(
        row | {"sha256": "0" * 64}, tmp_path, tmp_path / "o"
    )
    assert not (tmp_path / "o").exists()
    assert "version 1 had it" in script.convert(good | {"path": "b.png"}, tmp_path, tmp_path / "o")


def test_every_listed_picture_has_a_license_an_author_and_a_name_of_its_own(script):
    with script.LIST.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 79
    assert all(row["license"] and row["author"] and len(row["sha256"]) == 64 for row in rows)
    names = {(row["kind"], row["package"], script.name_of(row["path"])) for row in rows}
    assert len(names) == len(rows)
    assert {row["kind"] for row in rows} == set(script.LIMITS)
