"""`tests/platforms/run`: what it says is wrong, and that what is here passes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intact.intnet.backends import choose
from platforms import table, worker
from platforms.matrix import PLATFORMS, absent
from tiny_hyperprior import tiny_hyperprior

HERE = Path(__file__).parent


def test_golden_vectors_pass_with_numpy():
    found = list(worker.vectors("numpy"))
    kinds = {"op", "intnet", "bits", "file", "invalid", "model", "weights"}
    assert {kind for kind, *_ in found} == kinds
    assert [item for item in found if item[2]] == []


def test_a_wrong_backend_is_seen(monkeypatch):
    """The vectors must be able to fail: sums of the NumPy backend that are one too large."""
    right = choose.backend("numpy")

    def wrong(program):
        runner = right(program)

        def run(inputs, *, level, threads=1):
            found = runner(inputs, level=level, threads=threads)
            return {name: np.where(array < 100, array + 1, array) for name, array in found.items()}

        return run

    proven = choose.Proof("numpy", ok=True, reason="")
    monkeypatch.setattr(choose, "backend", lambda name: wrong)
    monkeypatch.setattr(choose, "prove", lambda name, program: proven)
    found = [check() for _, check in worker.operations("numpy")]
    assert sum(text != "" for text in found) > len(found) // 2


def test_names_and_files_of_platforms_are_their_own():
    assert len({platform.name for platform in PLATFORMS}) == len(PLATFORMS)
    assert len({platform.key for platform in PLATFORMS}) == len(PLATFORMS)
    assert sum(platform.emulated for platform in PLATFORMS) >= 5


def test_what_is_not_here_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    for platform in PLATFORMS:
        if platform.emulated:
            assert "not installed" in absent(platform, (), tmp_path)


def result(folder, what, name, rows):
    path = folder / what / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_symbols_errors_and_pixels_that_differ_are_failures(tmp_path):
    result(tmp_path, "compress", "a", [{"key": k, "file": k + "0"} for k in "pqr"])
    result(tmp_path, "compress", "b", [{"key": k, "file": k + "0"} for k in "p"])
    home = [{"key": k + "0", "symbols": "same", "pixels": "1"} for k in "pqr"]
    away = [
        {"key": "p0", "symbols": "same", "pixels": "2"},
        {"key": "q0", "symbols": "error: end", "pixels": ""},
        {"key": "r0", "symbols": "same", "pixels": ""},
    ]
    result(tmp_path, "decompress", "a", home)
    result(tmp_path, "decompress", "b", away)
    rows = table.pairs("m", ["a", "b"], tmp_path, {"a": "a.jsonl", "b": "b.jsonl"})
    found = {(r["compressed_on"], r["decompressed_on"]): (r["images"], r["failures"]) for r in rows}
    # A file that both made counts for both; b's own pixels are its own.
    assert found == {("a", "a"): (3, 0), ("a", "b"): (3, 2), ("b", "a"): (1, 1), ("b", "b"): (1, 0)}


def test_platforms_with_the_same_files_are_one_group(tmp_path):
    for name, files in (("a", "12"), ("b", "12"), ("c", "13"), ("d", "1")):
        rows = [{"key": str(number), "file": file} for number, file in enumerate(files)]
        result(tmp_path, "compress", name, rows)
    keys = {name: f"{name}.jsonl" for name in "abcde"}
    assert table.kinds("abcde", tmp_path, keys) == [["a", "b", "d"], ["c"]]


def test_a_table_keeps_other_models_rows(tmp_path):
    for label, failures in (("exact", 0), ("float-prior", 3), ("exact", 1)):
        cells = (label, "a", "b", 9, failures)
        table.write(tmp_path / "t.csv", [dict(zip(table.COLUMNS, cells, strict=True))])
    with (tmp_path / "t.csv").open(newline="") as file:
        found = [(row["model"], row["failures"]) for row in csv.DictReader(file)]
    assert found == [("exact", "1"), ("float-prior", "3")]


@pytest.mark.slow
def test_every_platform_here_passes(tmp_path):  # writes benchmarks/results/platforms.csv
    command = [sys.executable, HERE / "run", "vectors", "--work", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_coded_and_decoded_on_two_backends(tmp_path, tiny_path):
    """The whole way of the table, with a small model and picture."""
    (tmp_path / "images").mkdir()
    (tmp_path / "files").mkdir()
    np.save(
        tmp_path / "images" / "a.npy", np.arange(40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
    )
    case = {"model": str(tiny_path), "key": "a-3", "image": "a", "level": 3, "pixels": True}
    job = {"folder": str(tmp_path), "analysis": True, "cases": [case], "how": "file"}
    job["precision"] = "float32"
    made = {name: next(worker.compress(name, job))["file"] for name in ("numpy", "reference")}
    assert made["numpy"] == made["reference"]
    job["cases"][0]["file"] = made["numpy"]
    rows = [next(worker.decompress(name, job)) for name in ("numpy", "reference")]
    assert [row["symbols"] for row in rows] == ["same", "same"]
    assert rows[0]["pixels"] == rows[1]["pixels"] != ""
    stored = dict(np.load(tmp_path / "files" / f"{made['numpy']}.npz"))
    stored["latents"][0, 0, 0] += 1
    np.savez(tmp_path / "files" / f"{made['numpy']}.npz", **stored)
    assert next(worker.decompress("numpy", job))["symbols"] == "differ"


def tables_of(tmp_path, *options):
    """Run the table with no platform: what it prepares, and what it says."""
    command = [sys.executable, HERE / "run", "table", "--only", "none", "--work", "work", *options]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    """One picture, whose name ends in capitals, and two models of one name."""
    for name, picture in (("one", "a.PNG"), ("two", "a.JPEG")):
        (tmp_path / name / "pictures").mkdir(parents=True)
        pixels = np.arange(40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
        kind = "png" if picture.endswith("PNG") else "jpeg"
        Image.fromarray(pixels).save(tmp_path / name / "pictures" / picture, kind)
        model = tiny_hyperprior("float" if name == "one" else "exact")
        (tmp_path / name / "m.intactm").write_bytes(model.to_bytes())
    return tmp_path


def test_pictures_of_any_folder_and_ending(folder):
    given = ["--model", "m=one/m.intactm", "--result", "r.csv", "--pictures"]
    for path in ("one/pictures/", str(folder / "one" / "pictures")):  # the same: it goes on
        done = tables_of(folder, *given, path)
        assert done.returncode == 0, done.stderr
    done = tables_of(folder, *given, "../" + folder.name + "/one/pictures")
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "work" / "table").iterdir()
    assert [path.name for path in (made / "images").iterdir()] == ["a.npy"]
    done = tables_of(folder, *given, "one")
    assert "one has no .png, .jpg, .jpeg" in done.stderr
    (folder / "one" / "pictures" / "a.jpg").write_bytes(b"")
    done = tables_of(folder, *given, "one/pictures")
    assert "has 2 pictures a: their names must differ" in done.stderr


def test_what_was_kept_of_another_model_or_folder_is_not_used(folder):
    """Latents of one model given to another one of its name would be a silent mistake."""
    common = ["--result", "r.csv", "--pictures"]
    assert tables_of(folder, "--model", "m=one/m.intactm", *common, "one/pictures").returncode == 0
    for model, pictures in (("two", "one"), ("one", "two")):
        given = ["--model", f"m={model}/m.intactm", *common, f"{pictures}/pictures"]
        done = tables_of(folder, *given)
        assert done.returncode != 0
        assert "has results of something else (of.json): remove it" in done.stderr


def test_options_of_the_table_that_mean_nothing_are_refused(folder):
    done = tables_of(folder, "--model", "m=one/m.intactm", "--pictures", "one/pictures")
    assert "--pictures needs --result" in done.stderr
    common = ["--result", "r.csv", "--pictures", "two/pictures", "--precision", "bfloat16"]
    done = tables_of(folder, "--model", "m=two/m.intactm", *common)
    assert "m: --precision is of float networks, this model has none" in done.stderr
    options = ["--model", "m=one/m.intactm", *common, "--only", "NumPy"]
    assert "left out, numpy has no bfloat16" in tables_of(folder, *options).stdout
