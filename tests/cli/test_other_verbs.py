import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import intact as package
from intact.bottleneck.scalar import Levels
from intact.cli import machine
from intact.cli.errors import MEANINGS, Code
from intact.cli.info import least_quality
from intact.cli.progress import Bar
from intact.codec import store
from intact.errors import DivergedError, ModelError
from intact.intnet.backends import choose
from tiny_model import tiny_model

ROOT = Path(package.__file__).parents[2]


@pytest.fixture
def installed(monkeypatch, tiny_path):
    """The tiny model as the only one on the search path."""
    monkeypatch.setattr(store, "search_path", lambda: [tiny_path.parent])


@pytest.mark.parametrize("module", ["numpy", "PIL", "torch"])
@pytest.mark.parametrize("arguments", [["--version"], ["encode", "--help"]])
def test_version_and_help_load_nothing_heavy(module, arguments):
    code = (
        f"import sys; from intact.cli import main; code = main({arguments}); "
        f"sys.exit(code or {module!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_version(intact):
    assert intact("--version").out.decode() == f"intact {package.__version__}\n"


def test_the_lazy_package_offers_what_it_names():
    for name in package.__all__:
        assert getattr(package, name).__name__.rpartition(".")[2] == name
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_exit_codes_are_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    found = {
        int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", text, re.M)
    }
    assert found == {code.value: meaning for code, meaning in MEANINGS.items()}
    assert set(MEANINGS) == set(Code)


@pytest.mark.parametrize(
    "verb", ["encode", "decode", "info", "models", "verify", "eval", "train", "freeze"]
)
def test_every_verb_has_help_and_documentation(intact, verb):
    done = intact(verb, "--help")
    assert done.code == 0
    assert "Exit codes" in done.out.decode()
    assert f"## {verb}" in (ROOT / "docs" / "cli.md").read_text()


def test_info(intact, file, tiny, tiny_path):
    [facts] = intact("info", file, "--model", tiny_path, "--json").json["files"]
    assert (facts["width"], facts["height"], facts["mode"]) == (60, 40, "RGB")
    assert (facts["model"], facts["model_id"]) == ("tiny", tiny.id.hex())
    assert (facts["level"], facts["quality"]) == (7, 46.7)
    assert facts["bytes"] == file.stat().st_size
    assert set(facts["chunks"]) == {"exif", "iccp", "xmpd"}
    assert "tiny" in intact("info", file, "--model", tiny_path).out.decode()


def test_info_needs_no_model_and_no_pixels(intact, file, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path / "none"])
    done = intact("info", file)
    assert done.code == 0
    assert b"not known here" in done.out


def test_info_of_damaged_and_missing_files(intact, file, tmp_path):
    bad = tmp_path / "bad.intact"
    bad.write_bytes(file.read_bytes()[:-1])
    done = intact("info", bad, file)
    assert done.code == Code.DAMAGED
    assert b"60" in done.out
    assert intact("info", tmp_path / "none").code == Code.SYSTEM


def test_models(intact, installed, tiny, tiny_path):
    [facts] = intact("models", "--json").json["models"]
    assert (facts["name"], facts["id"], facts["levels"]) == ("tiny", tiny.id.hex(), 16)
    assert facts["title"] == "tiny"
    assert facts["path"] == str(tiny_path)
    assert facts["parameters"] == sum(
        getattr(op, name).size
        for program in tiny.programs.values()
        for op in program.ops
        for name in ("weight", "bias", "slope", "divisor")
        if hasattr(op, name)
    )
    # By hand: first 8>768 at 1/16, then a depthwise 3x3 of 192 channels at 1/8; the rest is small.
    synthesis = 8 * 768 / 256 + 192 * 9 / 64
    assert synthesis < facts["decoder_macs_per_pixel"] < synthesis + 10
    assert "trained: not at all" in intact("models", "tiny").out.decode()


@pytest.mark.parametrize("num_levels", range(1, 65))
def test_the_quality_that_info_prints_gives_the_level_again(num_levels):
    row = np.full(num_levels, 7)
    levels = Levels(row, 0 * row, 0 * row, 0 * row)
    for level in range(num_levels):
        quality = least_quality(level, num_levels)
        assert quality is not None
        assert levels.of_quality(quality) == level
        assert level == 0 or levels.of_quality(quality - 0.1) == level - 1
    assert least_quality(num_levels, num_levels) is None


def test_a_models_name_is_that_of_its_file(intact, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path])
    (tmp_path / "bird.intactm").write_bytes(tiny_model(name="own").to_bytes())
    assert intact("models").out.decode().startswith("bird  (own)  ")
    [facts] = intact("models", "bird", "--json").json["models"]
    assert (facts["name"], facts["title"]) == ("bird", "own")
    assert intact("verify", "--model", facts["name"], "--quiet").code == Code.OK


EVIL = "\x1b]0;owned\x07\x9b2J\u202e\nforged"


def test_names_cannot_steer_the_terminal(intact, tmp_path, monkeypatch):
    model, name = tmp_path / "bird.intactm", tmp_path / "a\x1b[2J.intact"
    model.write_bytes(tiny_model(name=EVIL).to_bytes())
    assert intact("encode", "-", "-o", name, "--model", model, stdin=ppm()).code == 0
    done = [
        intact("models", model),
        intact("models", "--certificate", model),
        intact("info", name, "--model", model),
        intact("verify", name, "--model", model),
        intact("decode", name, "--model", model),
        intact("info", tmp_path / EVIL),
        intact("models", tmp_path / EVIL),
    ]
    for result in done:
        text = result.out.decode() + result.err
        assert all(c == "\n" or c.isprintable() for c in text), text
        assert "\nforged" not in text
    assert all("x1b" in result.out.decode() + result.err for result in done)
    assert r"\u202e" in done[0].out.decode()
    found = intact("info", name, "--model", model, "--json")
    assert found.out.isascii()
    assert found.json["files"][0]["model"] == EVIL


def test_the_bar_takes_names_as_they_are(monkeypatch):
    import io

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for key, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}.items():
        monkeypatch.setenv(key, value)
    with Bar("[b]label", 3) as bar:
        assert bar.visible
        bar.note("[bold]a[/wrong].png \x1b[2J")
    assert "[b]label" in stream.getvalue()
    assert r"[bold]a[/wrong].png \x1b[2J" in stream.getvalue()


def ppm():
    return b"P6 4 4 255\n" + bytes(range(48))


def test_models_names_the_bad_one(intact, tiny_path, tmp_path):
    bad = tmp_path / "bad.intactm"
    bad.write_bytes(tiny_path.read_bytes()[:-3])
    done = intact("models", tiny_path, bad)
    assert done.code == Code.DAMAGED
    assert b"tiny" in done.out
    assert f"intact: {bad}: " in done.err
    assert intact("models", "nobody").code == Code.MODEL


def test_the_certificate(intact, tiny_path):
    text = intact("models", "--certificate", tiny_path).out.decode()
    assert "synthesis: largest intermediate" in text
    programs = intact("models", "--certificate", tiny_path, "--json").json["programs"]
    assert len(programs) == 6
    assert max(p["bound"] for p in programs) < 2**31


def test_verify(intact, file, tiny_path, monkeypatch):
    done = intact("verify", file, "--model", tiny_path, "--json")
    report = done.json
    assert [b["name"] for b in report["backends"]] == list(choose.NAMES)
    assert report["files"][0]["intact"]
    assert report["exact"] == all(b["exact"] for b in report["backends"] if b["available"])
    assert report["files"][0]["decoded_with"] == [report["used"]]
    speeds = {b["name"]: b["megapixels_per_second"] for b in report["backends"] if b["exact"]}
    assert min(speeds.values()) > 0
    assert done.code == Code.OK  # whatever backends there are
    strict = intact("verify", file, "--model", tiny_path, "--strict", "--quiet")
    assert strict.code == (Code.OK if report["exact"] else Code.NOT_EXACT)
    text = intact("verify", file, "--model", tiny_path, "--all-backends").out.decode()
    assert "intact with" in text
    assert "numpy" in text


def test_verify_and_info_know_an_embedded_model(intact, photo, tiny, tiny_path, tmp_path):
    file = tmp_path / "with.intact"
    arguments = ("encode", photo, "--model", tiny_path, "--embed-model", "-o", file)
    assert intact(*arguments).code == 0
    for options in (["--backend", "numpy"], ["--backend", "reference"], []):
        done = intact("verify", file, *options, "--json")
        assert done.json["files"][0]["intact"], done.err
    [facts] = intact("info", file, "--json").json["files"]
    assert (facts["model"], facts["quality"]) == ("tiny", 46.7)


def test_verify_says_which_backend_is_wrong(intact, tiny_path, monkeypatch):
    monkeypatch.setattr(choose, "_REFUSED", {"numpy": "it cannot count"})
    for strict, code in (([], Code.OK), (["--strict"], Code.NOT_EXACT)):
        done = intact("verify", "--model", tiny_path, "--json", *strict)
        assert (done.code, done.json["exact"]) == (code, False)
        [numpy] = [b for b in done.json["backends"] if b["name"] == "numpy"]
        assert (numpy["exact"], numpy["reason"]) == (False, "it cannot count")
        assert (numpy["available"], numpy["megapixels_per_second"]) == (True, None)
        assert "backend numpy is not exact, and not used: it cannot count" in done.err
    text = intact("verify", "--model", tiny_path).out.decode()
    assert re.search(r"numpy +NOT exact, not used: it cannot count", text)


def test_verify_finds_sums_that_are_wrong_and_files_that_decode_all_the_same(
    intact, file, tiny_path, monkeypatch
):
    """A backend that sums wrong stands in for what oneDNN did on a processor with AMX."""
    monkeypatch.setattr(choose, "_REFUSED", {})
    monkeypatch.setattr(store, "_KEPT", {})
    real = choose.backend

    def wrong(program):
        exact = real("numpy")(program)

        def run(inputs, *, level, threads=1):
            results = exact(inputs, level=level, threads=threads)
            return {name: array ^ 1 for name, array in results.items()}

        return run

    monkeypatch.setattr(choose, "available", lambda: ("native", "numpy", "reference"))
    monkeypatch.setattr(choose, "backend", lambda name: wrong if name == "numpy" else real(name))
    options = ("--model", tiny_path, "--backend", "numpy", "--json")
    done = intact("verify", file, *options)
    assert done.code == Code.OK
    assert re.search(r"backend numpy is not exact, and not used: .* are wrong", done.err)
    [found] = done.json["files"]
    assert (found["intact"], found["backends"], found["decoded_with"]) == (
        True, ["numpy"], ["reference"],
    )  # fmt: skip
    assert done.json["used"] != "numpy"
    done = intact("verify", file, *options, "--strict")
    assert (done.code, done.json["files"][0]["code"]) == (Code.NOT_EXACT, Code.NOT_EXACT)


def test_verify_of_an_unknown_instruction_set_is_a_usage_error(intact, tiny_path, monkeypatch):
    if "native" not in choose.available():
        pytest.skip("not built")
    monkeypatch.setenv("INTACT_MAX_ISA", "sse9")
    done = intact("verify", "--model", tiny_path)
    assert (done.code, "INTACT_MAX_ISA is 'sse9', legal: portable" in done.err) == (2, True)


def test_verify_of_damaged_files(intact, file, tiny_path, tmp_path):
    bad = tmp_path / "bad.intact"
    bad.write_bytes(file.read_bytes()[:-1])
    done = intact("verify", bad, file, "--model", tiny_path, "--json")
    assert done.code == Code.DAMAGED
    assert [f["intact"] for f in done.json["files"]] == [False, True]
    assert f"intact: {bad}: " in done.err
    text = intact("verify", bad, file, "--model", tiny_path).out.decode()
    assert re.search(r"^2 files: 1 intact, 1 failed  [\d.]+ s, [\d.,]+/s$", text, re.MULTILINE)


def test_verify_says_that_a_file_is_bad_before_it_tries_what_computes(
    intact, file, tiny_path, tmp_path, monkeypatch
):
    def later(*_, **__):
        raise ModelError("this comes later")

    monkeypatch.setattr(machine, "examine", later)
    cut, missing = tmp_path / "cut.intact", tmp_path / "missing.intact"
    cut.write_bytes(file.read_bytes()[:-1])
    done = intact("verify", file, cut, missing, "--model", tiny_path)
    said = [line.split(": ")[1] for line in done.err.splitlines()]
    assert (done.code, said) == (Code.MODEL, [str(cut), str(missing), "this comes later"])
    done = intact("verify", cut, missing, "--model", tiny_path, "--quiet")  # no need of it
    assert done.code == Code.SYSTEM
    assert [line.split(": ")[1] for line in done.err.splitlines()] == [str(cut), str(missing)]
    done = intact("verify", cut, "--model", tiny_path, "--quiet", "--strict")
    assert done.code == Code.MODEL  # which asks for it


def test_verify_reads_standard_input_once(intact, file, tiny_path):
    done = intact("verify", "-", "--model", tiny_path, stdin=file.read_bytes())
    assert done.out.decode().splitlines()[-1] == "-  intact"


def test_verify_times_nothing_where_nobody_hears_of_it(intact, file, tiny_path, monkeypatch):
    monkeypatch.setattr(machine, "_speed", lambda *_: pytest.fail("timed"))
    done = intact("verify", file, "--model", tiny_path, "--quiet")
    assert (done.code, done.out) == (Code.OK, b"")


def test_verify_without_any_model(intact, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path])
    assert intact("verify").code == Code.MODEL


def test_training_without_torch_says_what_to_install(tmp_path):
    (tmp_path / "c.toml").write_text("")
    code = (
        "import sys; sys.modules['torch'] = None; from intact.cli import main; "
        f"sys.exit(main({['train', str(tmp_path / 'c.toml')]!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == Code.UNSUPPORTED
    assert "pip install '.[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_freeze_needs_a_run_and_a_suffix(intact, tmp_path):
    pytest.importorskip("torch")
    assert intact("freeze", tmp_path, "-o", tmp_path / "m.bin").code == Code.USAGE
    nowhere = ("-o", tmp_path / "m.intactm", "--weights", tmp_path / "no" / "w.safetensors")
    done = intact("freeze", tmp_path, *nowhere)  # before any work
    assert (done.code, "w.safetensors: its folder does not exist" in done.err) == (Code.USAGE, True)
    done = intact("freeze", tmp_path, "-o", tmp_path / "m.intactm")
    assert (done.code, list(tmp_path.iterdir())) == (Code.SYSTEM, [])
    assert "no checkpoint" in done.err


def test_freeze_writes_a_model_or_nothing(intact, tmp_path, monkeypatch):
    run = pytest.importorskip("intact.freeze.run")
    seen = {}

    def freeze_run(folder, name, **options):
        seen.update(folder=folder, name=name, **options)
        return tiny_model(name=name)

    monkeypatch.setattr(run, "freeze_run", freeze_run)
    out = tmp_path / "bird.intactm"
    done = intact("freeze", tmp_path, "-o", out, "--images", 3, "--dead-zone", 0.3, "--json")
    assert (done.code, done.json["name"]) == (0, "bird")
    assert (seen["folder"], seen["images"], seen["dead_zone"]) == (tmp_path, 3, 0.3)

    def broken(*_, **__):
        raise package.ModelError("conv 'x': bound 3,000,000,000 of channel 4 reaches 2^31")

    monkeypatch.setattr(run, "freeze_run", broken)
    before = out.read_bytes()
    done = intact("freeze", tmp_path, "-o", out)
    assert (done.code, "files made with it need it" in done.err) == (Code.USAGE, True)
    assert intact("freeze", tmp_path, "-o", out, "--force").code == Code.MODEL
    assert out.read_bytes() == before
    done = intact("freeze", tmp_path, "-o", tmp_path / "nowhere" / "bird.intactm")
    assert (done.code, "its folder does not exist" in done.err) == (Code.USAGE, True)


def test_freeze_leaves_float_weights_beside_the_model(intact, tmp_path, monkeypatch):
    run = pytest.importorskip("intact.freeze.run")
    from intact.train import start, weights_file
    from intact.train.codecs.checkerboard import CodecNet
    from intact.train.codecs.rates import RateConfig
    from intact.train.codecs.transforms import TransformConfig

    sizes = TransformConfig(latents=16, hyper_latents=4, features=8)
    net = CodecNet(sizes, RateConfig())
    monkeypatch.setattr(run, "freeze_run", lambda folder, name, **_: tiny_model(name=name))
    monkeypatch.setattr(start, "float_codec", lambda folder, settings: net)
    arguments = ("freeze", tmp_path, "-o", tmp_path / "bird.intactm", "--weights")
    assert intact(*arguments, tmp_path / "bird.safetensors").code == 0
    assert weights_file.read(tmp_path / "bird.safetensors").own.transform == sizes
    (tmp_path / "bird.intactm").unlink()
    done = intact(*arguments, tmp_path / "bird.safetensors")
    assert (done.code, "bird.safetensors exists; replace" in done.err) == (Code.USAGE, True)
    assert not (tmp_path / "bird.intactm").exists()
    done = intact(*arguments, tmp_path / "bird.txt")
    assert (done.code, "ends in .safetensors" in done.err) == (Code.USAGE, True)
    net.make_integer()
    done = intact(*arguments, tmp_path / "other.safetensors")
    assert (done.code, "there are no float weights" in done.err) == (Code.USAGE, True)
    assert [p.name for p in tmp_path.iterdir()] == ["bird.safetensors"]


class FakeTrainer:
    """Stands in for the training loop, which has tests of its own."""

    def __init__(self, step):
        self.step = self.saved = step
        self.stopped, self.finished, self.how = False, True, "cpu, 2 threads, bfloat16"
        self.task = SimpleNamespace(notes=["1 of 9 images are left out: a.jpg: torn"])

    def stop(self):
        self.stopped = True

    def run(self, report, *, deadline):
        self.finished = deadline > time.monotonic()
        for _ in range(3 if self.finished else 0):
            self.step += 1
            report(self.step, {"loss": 1.5, "bpp": 0.25, "mse": 40.0, "seconds_per_step": 0.5})


@pytest.fixture
def training(monkeypatch, tmp_path):
    start = pytest.importorskip("intact.train.start")
    calls = []

    def trainer_for(config, device, **options):
        options.pop("progress")(1, 2)
        calls.append((config, device, options))
        return FakeTrainer(7 if options.get("resume") else 0)

    monkeypatch.setattr(start, "trainer_for", trainer_for)
    config = tmp_path / "c.toml"
    config.write_text(f"[output]\nfolder = {json.dumps(str(tmp_path / 'run'))}\n")
    return config, calls


def test_train(intact, training, tmp_path):
    config, calls = training
    done = before = intact("train", config, "--set", "optimizer.steps=9", "--device", "cpu")
    assert done.code == 0
    assert "step 3  loss 1.5000  bpp 0.250  mse 40.0  2.00 steps/s" in done.out.decode()
    assert calls[0][0].optimizer.steps == 9
    assert calls[0][2] == {"resume": False}
    assert list((tmp_path / "run").glob("events*"))
    assert f"{tmp_path / 'run'} at step 0 of 9: cpu, 2 threads, bfloat16\n" in done.out.decode()
    assert "1 of 9 images are left out: a.jpg: torn" in done.err
    done = intact("train", config, "--resume", "--json", "--device", "cpu")
    assert done.json["steps"] == 10
    assert "is trained: 3 steps. Next: intact freeze " in before.out.decode()
    intact("train", config, "--init", "m.intactm", "--quiet", "--device", "cpu")
    assert calls[2][2] == {"resume": False, "init": Path("m.intactm"), "larger": False}
    intact("train", config, "--init", "m.intactm", "--grow", "--quiet", "--device", "cpu")
    assert calls[3][2]["larger"]


def test_train_ends_a_quarter_of_an_hour_before_the_time_it_is_given(intact, training):
    config, _ = training
    options = ("train", config, "--set", "optimizer.steps=9", "--device", "cpu", "--minutes")
    done = intact(*options, "15.00001")
    assert done.code == 0
    assert "the time is over at step 0 of 9, which is saved; --resume goes on" in done.err
    assert b"is trained" not in done.out
    done = intact(*options, "30")
    assert b"is trained: 3 steps" in done.out
    done = intact(*options, "15")
    assert (done.code, "the last 15 are kept free" in done.err) == (Code.USAGE, True)


def test_train_does_not_overwrite_a_run(intact, training, tmp_path):
    config, _ = training
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    assert intact("train", config, "--device", "cpu").code == Code.USAGE
    assert intact("train", config, "--device", "cpu", "--force").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--set", "nonsense=1"),
        ("--set", "optimizer.step=1"),
        ("--set", "data.batch=0"),
        ("--set", "optimizer.steps=-1"),
        ("--set", "optimizer.learning_rate=inf"),
        ("--set", "data.folders=pictures"),
        ("--device", "abacus"),
        ("--resume", "--init", "m.intactm"),
        ("--grow",),
    ],
)
def test_train_refuses_wrong_settings(intact, training, options):
    assert intact("train", training[0], *options).code == Code.USAGE


def test_train_reports_divergence_and_interruption(intact, training, monkeypatch):
    def diverge(*_, **__):
        raise DivergedError("the loss is nan at step 4")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeTrainer, "run", diverge)
    done = intact("train", training[0], "--device", "cpu")
    assert done.code == Code.UNREACHABLE
    assert "nan at step 4" in done.err
    monkeypatch.setattr(FakeTrainer, "run", stop)
    done = intact("train", training[0], "--device", "cpu")
    assert done.code == Code.INTERRUPTED
    assert "--resume continues at step 0" in done.err


def test_a_full_disk_ends_training_with_what_is_saved(intact, training, monkeypatch):
    def run(trainer, report, *, deadline):
        trainer.step = 4
        raise OSError(errno.ENOSPC, "No space left on device", "run/checkpoint.safetensors")

    monkeypatch.setattr(FakeTrainer, "run", run)
    done = intact("train", training[0], "--device", "cpu")
    assert done.code == Code.SYSTEM
    assert "stopped at step 4; --resume continues at step 0" in done.err
    assert "run/checkpoint.safetensors: No space left on device" in done.err


def test_two_processes_do_not_train_into_one_folder(intact, training, tmp_path):
    checkpoint = pytest.importorskip("intact.train.checkpoint")
    with checkpoint.held(tmp_path / "run"):
        for more in ((), ("--resume",), ("--force",)):
            done = intact("train", training[0], "--device", "cpu", *more)
            assert (done.code, "another process trains into" in done.err) == (Code.USAGE, True)
    assert not training[1]
    assert not (tmp_path / "run").exists()  # nothing had come into it
    assert intact("train", training[0], "--device", "cpu").code == 0


def test_a_file_where_the_runs_folder_should_be_is_said_before_anything_is_read(
    intact, training, tmp_path
):
    (tmp_path / "run").write_text("mine")
    done = intact("train", training[0], "--device", "cpu", "--force")
    assert done.code == Code.USAGE
    assert "is a file, must be a folder" in done.err
    assert not training[1]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_lets_training_save_first(intact, training, monkeypatch, name):
    def run(trainer, report, *, deadline):
        signal.raise_signal(getattr(signal, name))
        trainer.step = trainer.saved = 4

    monkeypatch.setattr(FakeTrainer, "run", run)
    done = intact("train", training[0], "--device", "cpu")
    assert done.code == 128 + getattr(signal, name)
    assert "stopped at step 4, which is saved; --resume continues there" in done.err


def test_the_lines_of_training_fit_80_columns():
    from intact.cli.progress import OTHERS
    from intact.cli.train import line, short

    scalars = {"loss": 12345.678, "bpp": 24.0, "mse": 65025.0, "seconds_per_step": 0.001}
    assert len(f"step 1000000  {line(scalars)}") <= 80
    assert OTHERS + len(short(scalars)) <= 80


def test_train_starts_from_a_model_by_name_or_path(intact, training, tmp_path, monkeypatch):
    config, calls = training
    intact("train", config, "--init", "photo", "--quiet", "--device", "cpu")
    assert calls[0][2]["init"].name == "photo.intactm"
    (tmp_path / "run2").mkdir()
    (tmp_path / "run2" / "checkpoint.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo").mkdir()  # a folder of pictures must not hide the model
    intact("train", config, "--init", "photo", "--quiet", "--device", "cpu")
    assert calls.pop()[2]["init"].name == "photo.intactm"
    intact("train", config, "--init", tmp_path / "run2", "--quiet", "--device", "cpu")
    assert calls[1][2]["init"] == tmp_path / "run2"
    done = intact("train", config, "--init", "nobody", "--device", "cpu")
    assert (done.code, "no model named 'nobody'" in done.err) == (Code.MODEL, True)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "meta"])
def test_a_device_that_is_not_there_is_a_usage_error(intact, training, device):
    if device == "mps" and pytest.importorskip("torch").backends.mps.is_available():
        pytest.skip("it is there")
    done = intact("train", training[0], "--device", device)
    assert (done.code, f"device '{device}' cannot be used: " in done.err) == (Code.USAGE, True)


def test_a_configuration_that_is_no_toml_is_named(intact, training):
    training[0].write_text("[data\n")
    done = intact("train", training[0], "--device", "cpu")
    assert (done.code, f"{training[0]} is no TOML" in done.err) == (Code.USAGE, True)


def test_a_damaged_model_is_named(intact, photo, tiny_path, tmp_path):
    torn = tmp_path / "torn.intactm"
    torn.write_bytes(tiny_path.read_bytes()[:-100])
    done = intact("encode", photo, "--model", torn)
    assert (done.code, str(torn) in done.err) == (Code.DAMAGED, True)
    done = intact("encode", photo, "--model", photo)
    assert (done.code, str(photo) in done.err) == (Code.DAMAGED, True)
    done = intact("models", "nobody")
    assert (done.code, "no model named 'nobody'; found: photo" in done.err) == (Code.MODEL, True)


def test_the_bar_names_the_stages(intact, file, photo, tiny_path, tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(Bar, "note", lambda self, text: notes.append(text))
    intact("encode", photo, "--model", tiny_path, "-o", tmp_path / "again.intact")
    intact("decode", file, "--model", tiny_path, "-o", tmp_path / "again.png")
    stages = [note.partition(": ")[0] for note in notes if ": " in note]
    decoder = ["hyper synthesis", "prior a", "prior b"]
    expected = ["analysis", "hyper analysis", *decoder, "entropy coding", "synthesis"]
    assert stages == [*expected, *decoder, "synthesis"]
