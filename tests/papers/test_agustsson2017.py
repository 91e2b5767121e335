"""The scripts of papers/agustsson2017: every arm is a legal run, and what tables are made of."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from intact.train import config as configuration

FOLDER = Path(__file__).resolve().parents[2] / "papers" / "agustsson2017"


def script(name):
    """A script as a module; its name is that of another folder's, too."""
    spec = importlib.util.spec_from_file_location(f"agustsson2017_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_arm_is_a_legal_run_and_the_plan_has_arms_after_what_they_start_from():
    train = script("train")
    for scale in train.SCALES.values():
        for name in train.ARMS:
            config = configuration.load(None, train.settings_of(name, Path("runs"), scale))
            assert config.own.rate.stage == (1 if name.startswith("stage1") else 2)
    for number, name in enumerate(train.PLAN):
        start = train.ARMS[name].start
        assert start is None or start in train.PLAN[:number], name


def test_arms_of_one_kind_differ_in_what_they_say_alone():
    train = script("train")
    scale = train.SCALES["small"]

    def settings(name):
        found = train.settings_of(name, Path("runs"), scale)
        return {s for s in found if not s.startswith("output.folder")}

    def change(one, other):
        return {s.split("=")[0] for s in settings(one) ^ settings(other)}

    assert change("vector-b2", "vector-b3") == {"rate.beta"}
    assert change("vector-b2", "kmeans-b2") == {"codebook.start"}
    assert change("vector-b2", "gain-10-b2") == {"annealing.gain"}
    assert change("scalar-b2", "vector-b2") == {
        "codebook.values", "codebook.size", "annealing.gain", "annealing.halving",
    }  # fmt: skip
    assert change("vector-b2", "own-codebooks-b2") == {"codebook.shared"}
    assert change("vector-b2", "form-pq-b2") == {"rate.form"}
    assert change("vector-b2", "fast-b2") == {"transform.form", "transform.channels"}
    assert change("vector-b2", "vector-no-entropy") == {"rate.entropy", "rate.beta"}
    assert change("scalar-b2", "scalar-no-entropy") == {"rate.entropy", "rate.beta"}
    assert change("vector-no-entropy", "vector-no-entropy-16") == {"codebook.size"}
    # With the identity's gradient the soft error is the hard one: the gap, and K_G, say nothing.
    assert change("scalar-b2", "identity-b2") == {"rate.forward", "annealing.gain"}
    # What they start from is what differs.
    assert change("vector-b2", "all-at-once-b2") == set()
    assert change("stage1", "stage1-all-at-once") == {"rate.unfreeze"}
    starts = {train.ARMS[name].start for name in ("vector-b2", "all-at-once-b2")}
    assert starts == {"stage1", "stage1-all-at-once"}


def test_an_arm_does_not_fork_from_a_first_stage_that_is_half_trained(tmp_path, monkeypatch):
    from intact.train import checkpoint

    train = script("train")
    monkeypatch.setattr(train, "train", lambda name, *_: started.append(name) or True)
    monkeypatch.setattr(sys, "argv", ["train.py", "vector-b2", "--runs", str(tmp_path)])
    started = []
    for step in (None, 3):
        if step:
            state = {"step": step, "config": {"optimizer": {"steps": 4}}}
            checkpoint.write(tmp_path / "stage1", {}, state)
        with pytest.raises(SystemExit, match="starts from stage1, which is not trained to its end"):
            train.main()
    assert not started
    checkpoint.write(tmp_path / "stage1", {}, {"step": 4, "config": {"optimizer": {"steps": 4}}})
    train.main()
    assert started == ["vector-b2"]


def test_a_log_goes_on_where_the_checkpoint_is(tmp_path, monkeypatch):
    train = script("train")

    class Trainer:
        finished, step = False, 20

        def run(self, report, deadline):
            del deadline
            report(30, {"loss": 0.125})
            assert not list((tmp_path / "stage1").glob("*partial*"))

    monkeypatch.setattr(train, "trainer_for", lambda *_, **__: Trainer())
    log = tmp_path / "stage1" / "log.csv"
    log.parent.mkdir()
    log.write_text("step,loss\n10,1\n20,0.5\n30,9\n")
    train.train("stage1", tmp_path, train.SCALES["tiny"], 1e9)
    assert log.read_text() == "step,loss\n10,1\n20,0.5\n30,0.125\n"


def test_curves_and_tables_come_from_names_and_files(tmp_path, monkeypatch):
    curves = script("curves")
    names = ("vector-b1", "vector-b2", "gain-10-b2", "vector-no-entropy", "vector-no-entropy-16")
    for name in names:
        (tmp_path / f"{name}.intactm").touch()
    found = curves.curves_of(tmp_path)
    assert {k: [p.stem for p in v] for k, v in found.items()} == {
        "shvq": ["vector-b1", "vector-b2"],
        "gain-10": ["gain-10-b2"],
        "vector-no-entropy": ["vector-no-entropy-16", "vector-no-entropy"],
    }

    class Known:
        def __init__(self, path):
            beta = {"1": "0.008", "2": "0.004"}.get(path.stem[-1:])
            named = beta and "no-entropy" not in path.stem
            self.id = path.stem.encode()
            self.info = {"rate": f"beta {beta}, 16 channels" if named else "no entropy term, 16"}

    monkeypatch.setattr(curves, "load_model", Known)

    def row(name, bpp, psnr, sha256, of=""):
        source = f"intact 1 model 00 {(of or name).encode().hex()}"
        return {"setting": name, "bpp": bpp, "psnr": psnr, "sha256": sha256, "source": source}

    rows = [
        row("vector-b2", "9", "9", "one", "an earlier one"),
        row("vector-b2", "0.2", "20", "one"),
        row("vector-b2", "0.4", "30", "two"),
        row("vector-b2", "7", "7", "three, which others did not code"),
        row("gain-10-b2", "0.2", "20", "one"),
        row("gain-10-b2", "0.3", "20", "two"),
        row("vector-b1", "0.1", "20", "one"),
        row("vector-b1", "0.1", "20", "two"),
    ]
    curves.write(tmp_path / "results.csv", rows)
    table = {row["model"]: row for row in curves.objectives(tmp_path, found)}
    assert set(table) == {"vector-b1", "vector-b2", "gain-10-b2"}
    expected = 0.3 + (0.01 + 0.001) / 2 / 0.004
    assert float(table["vector-b2"]["objective"]) == pytest.approx(expected, abs=1e-4)
    other = 0.25 + 0.01 / 0.004
    assert float(table["gain-10-b2"]["percent"]) == pytest.approx(
        100 * (other / expected - 1), abs=0.01
    )
    assert table["gain-10-b2"]["anchor"] == "vector-b2"

    means = [("shvq", 20, 0.1), ("shvq", 30, 0.4), ("scalar", 22, 0.2), ("scalar", 28, 0.6)]
    mean = [{"codec": c, "psnr": p, "bpp": b, "pictures": 24} for c, p, b in means]
    mean.append({"codec": "scalar", "psnr": 35, "bpp": 1, "pictures": 23})  # one was refused
    curves.write(tmp_path / "mean.csv", mean)
    pairs = curves.equal_error(tmp_path, {"shvq": [], "scalar": []})
    assert [float(row["psnr"]) for row in pairs] == [22, 25, 28]
    middle = np.exp((np.log(0.1) + np.log(0.4)) / 2)
    assert float(pairs[1]["bpp_second"]) == pytest.approx(middle, abs=1e-4)
    with (tmp_path / "mean.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{here}"], "sets are NAME=FOLDER"),
        (["kodak="], "sets are NAME=FOLDER"),
        (["={here}"], "sets are NAME=FOLDER"),
        (["a={here}", "a={here}"], "a name of its own"),
        (["a={here}/none"], "none is no folder"),
        (["a={here}"], "--models {here}: no"),
    ],
)
@pytest.mark.parametrize("name", ["curves", "visual"])
def test_wrong_sets_and_models_are_refused_before_anything_is_measured(
    tmp_path, monkeypatch, capsys, name, arguments, message
):
    monkeypatch.syspath_prepend(FOLDER)
    here = [text.format(here=tmp_path) for text in arguments]
    where = ["--models", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [name, *where, *here])
    with pytest.raises(SystemExit) as ended:
        script(name).main()
    assert ended.value.code == 2
    assert message.format(here=tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    sys.modules.pop("curves", None)


def test_pages_to_look_at_have_a_sheet_for_each_picture(tmp_path, monkeypatch):
    from PIL import Image

    from intact.evaluate.find import find_codec
    from tiny_model import picture

    monkeypatch.syspath_prepend(FOLDER)
    visual = script("visual")
    for number in range(6):
        Image.fromarray(picture(190, 180, seed=number)).save(tmp_path / f"{number}.png")
    (tmp_path / "00.txt").touch()  # no picture
    chosen = visual.chosen(tmp_path)
    assert [path.stem for path in chosen] == ["2", "4"]
    ours = find_codec("webp").at(("30", "60"))  # of few rates: in the place of our models
    one = visual.page(chosen[:1], ours, [find_codec("jpeg")])
    two = visual.page(chosen, ours, [find_codec("jpeg")])
    assert two.size == (one.width, 2 * one.height)
    sys.modules.pop("curves", None)
