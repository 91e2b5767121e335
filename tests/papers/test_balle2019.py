"""The scripts of papers/balle2019: what the arms have in common, and that they run to a model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intact.bottleneck.hyperprior import Hyperprior
from intact.codec.model import Model
from tiny_model import picture

pytest.importorskip("torch")

FOLDER = Path(__file__).resolve().parents[2] / "papers" / "balle2019"
ARMS = "float-prior-0.01", "integer-prior-0.01"


def run(*command, folder):
    """Run Python there, with its runs and results below a folder."""
    environment = {
        **os.environ, "BALLE_RUNS": str(folder / "runs"), "BALLE_RESULTS": str(folder / "results"),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=FOLDER, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balle2019")
    (folder / "data").mkdir()
    for number in range(2):
        pixels = np.roll(picture(320, 320), 31 * number, 1)
        Image.fromarray(pixels).save(folder / "data" / f"{number}.png")
    run("train.py", "--steps", "2", "--data", str(folder / "data"), *ARMS, folder=folder)
    return folder


@pytest.mark.parametrize(
    "script",
    ["train", "evaluate", "controls", "posthoc", "scales", "damage", "functions", "figures"],
)
def test_a_script_has_the_options_that_it_and_the_readme_name(script):
    if script == "figures":
        pytest.importorskip("matplotlib")
    usage, _, text = run(f"{script}.py", "--help", folder=Path("/nowhere")).partition("\n\n")
    lines = (FOLDER / "README.md").read_text("utf-8").splitlines()
    named = [line.partition("#")[0] for line in lines if f"python {script}.py" in line]
    assert named
    parts = [part for line in named for part in line.split(";") if f"{script}.py" in part]
    options = set(re.findall(r"--[a-z][a-z-]*", " ".join([*parts, text.partition("options:")[0]])))
    assert options <= set(re.findall(r"--[a-z][a-z-]*", usage))
    assert usage.startswith("usage:")


def test_arms_that_are_compared_differ_in_what_they_name():
    script = """
import arms, dataclasses, json, pathlib
def settings(name):
    config = arms.ARMS[name].config(5000, pathlib.Path("x"), pathlib.Path("y"))
    common = {k: dataclasses.asdict(getattr(config, k)) for k in ("data", "optimizer")}
    return common | dataclasses.asdict(config.own)
print(json.dumps({name: settings(name) for name in arms.ARMS}))
"""
    found = json.loads(run("-c", script, folder=Path("/nowhere")))
    assert len(found) > 30
    first = found[ARMS[0]]
    for name, settings in found.items():
        alone = name.startswith(("float-prior-0", "integer-prior-0"))
        own = {"steps": 15000 if alone else 5000, "seed": int(name.endswith("seed1"))}
        crops = {} if settings["transform"]["hyperprior"] else {"crop": 128, "batch": 8}
        assert settings["data"] == {**first["data"], **crops}
        assert settings["optimizer"] == {**first["optimizer"], **own}
    a, b = (found[name] for name in ARMS)
    assert {k for k in a["transform"] if a["transform"][k] != b["transform"][k]} == {"profile"}
    assert a["rate"] == b["rate"]


def test_two_models_differ_in_the_prior_alone(models):
    one, other = (
        Model.from_bytes((models / "runs" / "2" / f"{arm}.intactm").read_bytes()) for arm in ARMS
    )
    a, b = one.bottleneck_of(Hyperprior), other.bottleneck_of(Hyperprior)
    assert (a.profile, b.profile) == ("float", "prior")
    shared = set(a.networks) & set(b.networks)
    assert shared == {"analysis", "hyper_analysis", "synthesis"}
    assert all(a.networks[n].to_tree()[k].keys() == b.networks[n].to_tree()[k].keys()
               for n in shared for k in range(len(a.networks[n].layers)))  # fmt: skip
    for name in shared:
        for x, y in zip(a.networks[name].layers, b.networks[name].layers, strict=True):
            assert all(np.array_equal(x.arrays[k], y.arrays[k]) for k in x.arrays)
    assert a.tables_z is not None
    assert b.tables_z is not None
    assert np.array_equal(a.tables_z.freqs, b.tables_z.freqs)
    assert np.array_equal(a.tables_y.freqs, b.tables_y.freqs)
    assert set(other.programs) == {"hyper_synthesis"}


def test_what_is_done_is_not_trained_again(models):
    logs = models / "results" / "2" / "training"
    assert sorted(path.stem for path in logs.iterdir()) == sorted(["float-joint-0.01", *ARMS])
    data = ["--data", "/nowhere/to/be/found"]
    assert run("train.py", "--steps", "2", *data, "float-joint-0.01", *ARMS, folder=models) == ""


def test_reading_on_past_the_checksum_shows_a_picture_of_a_damaged_file(tmp_path):
    script = f"""
import sys, dataclasses, pathlib, numpy as np
sys.path.insert(0, {str(FOLDER.parents[1] / "tests")!r})
from tiny_model import picture
from tiny_hyperprior import tiny_hyperprior
import damage
from intact.codec.image import Encoder
from intact.container.image_file import unpack_image, pack_image
for name in ("float", "prior"):
    model = tiny_hyperprior(name)
    data = Encoder(picture(70, 90), model, runtime=damage.runtime("numpy")).encode(0).data
    pixels, latents = damage.decode_anyway(model, data, "numpy")
    assert pixels.shape == (70, 90, 3)
    assert not damage.fails(model, data, "numpy")
    file = unpack_image(data)
    (payload,) = file.tiles
    changed = bytearray(payload)
    changed[len(payload) // 2] ^= 255
    forged = pack_image(dataclasses.replace(file, tiles=(bytes(changed),)))
    wrong, others = damage.decode_anyway(model, forged, "numpy")
    assert wrong.shape == pixels.shape and not np.array_equal(latents, others)
    # A symbol of 32 bits, which a lost decoder may read, ends where a decoder's own does.
    class Lost(damage.Decoder):
        def decode(self, index, bank):
            found = super().decode(index, bank)
            return np.full_like(found, 2**31 - 1) if bank is y_tables else found
    y_tables, damage.Decoder, kept = model.bottleneck.tables_y, Lost, damage.Decoder
    networks = damage.runtime("numpy").networks(model, 70 * 90)
    assert (damage.latents_anyway(model, file, networks) == 32767).all()
    damage.Decoder = kept
print("read")
"""
    assert run("-c", script, folder=tmp_path).strip() == "read"
