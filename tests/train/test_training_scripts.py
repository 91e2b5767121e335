"""docs/training: what is packed for a machine that is lent for minutes, and the run there."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

SCRIPTS = Path(__file__).parents[2] / "docs/training"


def script(name, *arguments):
    command = [sys.executable, "-W", "ignore", str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(1)
    for folder, count, height in (("train/shard0", 4, 330), ("debian/graphics", 1, 200)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (height // 10, 40, 3), np.uint8).repeat(10, 0)
            Image.fromarray(pixels.repeat(10, 1)).save(tmp_path / folder / f"{i}.jpg")
    Image.new("RGB", (319, 900)).save(tmp_path / "train/shard0/small.jpg")
    (tmp_path / "held_out.txt").write_text("shard0/2.jpg  # for choices\n")
    return tmp_path


def pack(folder, *more):
    return script(
        "pack_pictures.py", folder / "packed", "--train", folder / "train", "--exclude",
        folder / "held_out.txt", "--debian", folder / "debian", "--synthetic", 2, *more,
    )  # fmt: skip


def test_what_is_packed_is_large_enough_not_held_out_and_listed(pictures):
    done = pack(pictures)
    assert done.returncode == 0, done.stderr
    with (pictures / "packed/LIST.csv").open(newline="") as file:
        listed = {row["file"]: row["source"] for row in csv.DictReader(file)}
    there = [p for p in (pictures / "packed").rglob("*") if p.suffix in (".jpg", ".png")]
    assert {p.relative_to(pictures / "packed").as_posix() for p in there} == set(listed)
    assert sorted(s for s in listed.values() if s.startswith("train")) == [
        "train/shard0/0.jpg", "train/shard0/1.jpg", "train/shard0/3.jpg",
    ]  # fmt: skip
    assert listed["graphics/0.jpg"] == "docs/training/debian_pictures.csv"
    original = (pictures / "train/shard0/1.jpg").read_bytes()
    assert (pictures / "packed/photographs/shard0_1.jpg").read_bytes() == original
    with Image.open(pictures / "packed/synthetic/0001.png") as image:
        assert (image.size, image.mode) == ((320, 320), "RGB")


def test_what_does_not_fit_is_not_packed(pictures):
    size = (pictures / "train/shard0/0.jpg").stat().st_size
    limit = (2.4 * size + 100_000) / 1e6
    done = pack(pictures, "--megabytes", limit, "--synthetic", 0)
    assert done.returncode == 0, done.stderr
    packed = [p for p in (pictures / "packed").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in packed) <= limit * 1e6
    assert any(p.parent.name == "photographs" for p in packed)


def test_a_misspelled_name_of_a_held_out_picture_is_an_error(pictures):
    (pictures / "held_out.txt").write_text("shard0/22.jpg\n")
    done = pack(pictures)
    assert done.returncode == 1
    assert "1 excluded pictures are not in" in done.stderr


@pytest.mark.slow
def test_a_run_by_the_clock_leaves_weights_that_can_be_read(pictures):
    from intact.train import weights_file

    assert pack(pictures).returncode == 0
    (pictures / "c.toml").write_text(
        "[transform]\nblocks_analysis=1\nblocks_synthesis=1\nblocks_context=1\nlatents=16\n"
        "hyper_latents=4\nfeatures=8\n[data]\nbatch=2\ncrop=64\nsynthetic=0.2\n"
        "[optimizer]\nprecision='float32'\nwarmup=2\n"
    )
    done = script(
        "on_gpu.py", pictures / "c.toml", pictures / "packed", pictures / "out",
        "--device", "cpu", "--seconds", 60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    log = (pictures / "out/log.txt").read_text()
    assert "6 pictures" not in log  # synthetic ones are no photographs
    assert "Gpx; weights in" in log
    whole = pictures / "w.safetensors"
    parts = sorted((pictures / "out").glob("weights.part*"))
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert weights_file.read(whole).own.transform.latents == 16
