"""What goes wrong is said once, in its place, and to machines as JSON."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import intact as package
from intact.cli import lines, signals
from intact.cli.errors import Code
from intact.cli.lines import LONGEST_LINE, printable
from intact.cli.options import Tally
from intact.cli.signals import SIGNALS
from intact.codec import image as codec


@pytest.mark.parametrize(
    "break_it",
    [
        lambda: np.zeros(3).reshape(2, 2),
        lambda: int("x"),
        lambda: "\ud800".encode(),
        lambda: np.array([1, 2]) @ np.array([1, 2, 3]),
    ],
    ids=["numpy", "int", "unicode", "matmul"],
)
def test_a_value_error_that_is_not_ours_is_a_bug_with_a_traceback(
    intact, photo, tiny_path, monkeypatch, break_it
):
    monkeypatch.setattr(codec.Encoder, "encode", lambda *_: break_it())
    done = intact("encode", photo, "--model", tiny_path)
    assert (done.code, "Traceback" in done.err) == (Code.BUG, True)


def test_a_wrong_argument_of_the_library_is_a_usage_error(intact, file, tiny_path, tmp_path):
    out = ("-o", tmp_path / "x.png", "--model", tiny_path)
    done = intact("decode", file, *out, "--region", "50,30,20,20")
    assert (done.code, done.err.count("\n")) == (Code.USAGE, 1)
    assert "region (50, 30, 20, 20) leaves the image of 60x40" in done.err
    for threads in (-1, 1025):
        assert intact("decode", file, *out, "--threads", threads).code == Code.USAGE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["encode", "--json"], Code.USAGE),
        (["encode", "--json", "--nonsense", "a"], Code.USAGE),
        (["encode", "a.png", "-q", "101", "--json"], Code.USAGE),
        (["encode", "a.png", "-q", "good", "--json"], Code.USAGE),
        (["encode", "a.png", "--model", "none", "--json"], Code.MODEL),
        (["encode", "a.png", "-o", "-", "--json"], Code.USAGE),
        (["decode", "a", "--region", "1,2", "--json"], Code.USAGE),
        (["info", "--json"], Code.USAGE),
        (["models", "--certificate", "none", "--json"], Code.MODEL),
        (["models", "install", "--json"], Code.USAGE),
        (["verify", "--model", "none", "--json"], Code.MODEL),
        (["nonsense", "--json"], Code.USAGE),
        (["--json"], Code.USAGE),
    ],
)
def test_json_is_printed_for_wrong_arguments_too(intact, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    done = intact(*arguments)
    assert (done.code, done.json["code"]) == (code, code)
    assert done.json["error"].partition(" (see")[0] in done.err


def test_json_is_one_document_where_some_inputs_fail(intact, file, tiny_path, tmp_path):
    done = intact("info", file, tmp_path / "none", "--model", tiny_path, "--json")
    assert [f.get("code", 0) for f in done.json["files"]] == [0, Code.SYSTEM]
    for verb in (["--help"], ["encode", "-h", "--json"], ["--version"]):
        assert intact(*verb).code == 0
    done = intact("encode", "--quiet", "--", "--json")  # a file of that name
    assert (done.code, done.out) == (Code.SYSTEM, b"")


def test_json_of_an_interrupted_run_holds_what_is_done(
    intact, photo, tiny_path, tmp_path, monkeypatch
):
    other, true = tmp_path / "other.png", codec.Encoder.encode
    other.write_bytes(photo.read_bytes())
    calls = []

    def encode(self, level):
        calls.append(level)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return true(self, level)

    monkeypatch.setattr(codec.Encoder, "encode", encode)
    done = intact("encode", photo, other, "--model", tiny_path, "--json")
    assert (done.code, done.json["code"]) == (Code.INTERRUPTED, Code.INTERRUPTED)
    assert [f["input"] for f in done.json["files"]] == [str(photo)]


def test_lines_end_however_long_what_they_quote_is(intact, tiny, tmp_path):
    from intact.container.model_file import pack_model

    long = "\U000e0001" * (1 << 20)
    assert len(printable(long)) < 11 * LONGEST_LINE
    for key, text in (("format", long), ("name", long), ("info", {"a" * (1 << 20): long})):
        path = tmp_path / "m.intactm"
        path.write_bytes(pack_model({**tiny.tree, key: text}))
        for verb in (["models", path], ["info", path], ["encode", path, "--model", path]):
            done = intact(*verb)
            assert max(map(len, (done.out.decode() + done.err).splitlines())) < 15_000
    done = intact("encode", "x" * 100_000, "--format" + "y" * 100_000)
    assert len(done.err) < 2000


@pytest.mark.parametrize("verb", [[], ["encode"], ["models"], ["train"]])
def test_h_is_help(intact, verb):
    assert intact(*verb, "-h").out == intact(*verb, "--help").out
    assert b"-h" in intact(*verb, "-h").out


class Terminal:
    """Stands in for a stream."""

    def isatty(self):
        return True


def test_messages_are_wrapped_on_a_terminal_only():
    line = "intact: a.png: " + " ".join(["word"] * 40)
    assert lines.wrapped(line, io.StringIO()) == line
    text = lines.wrapped(line, Terminal())  # pyright: ignore[reportArgumentType]
    assert max(map(len, text.split("\n"))) <= 80
    assert text.split() == line.split()
    indented = lines.wrapped("  key  " + "x " * 99, Terminal())  # pyright: ignore[reportArgumentType]
    assert all(part.startswith("  ") for part in indented.split("\n"))


def test_names_in_a_line_are_shortened_on_a_terminal_only(monkeypatch):
    source, target, facts = "a/" * 60 + "in.png", "b/" * 60 + "out.intact", "1 px  2 bytes"
    assert lines.pair(source, target, facts) == f"{source} -> {target}  {facts}"
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    assert lines.pair(source, target, facts) == f"in.png -> out.intact  {facts}"
    assert lines.pair("b/a.png", "a.intact", facts) == f"b/a.png -> a.intact  {facts}"
    long = "much of it " * 6
    assert lines.pair(source, target, long) == f"in.png  {long}"
    assert len(lines.pair("in" * 99, target, long)) == 80


def test_a_summary_of_what_grew_has_no_exponent():
    tally = Tally()
    tally.done, tally.read, tally.written = 2, 11_031, 455_000
    assert "(4,125 %)" in tally.line("decoding")


def test_a_summary_follows_several_files(intact, photo, tiny_path, tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.png").write_bytes(photo.read_bytes())
    (folder / "c.png").write_bytes(b"no image")
    out = tmp_path / "o"
    done = intact("encode", folder, "--model", tiny_path, "-o", out)
    last = done.out.decode().splitlines()[-1]
    read = 2 * photo.stat().st_size
    written = 2 * (out / "a.intact").stat().st_size
    assert last.startswith("3 files: 2 encoded, 1 failed; ")
    assert f"{read:,} bytes -> {written:,} bytes ({100 * written / read:.3g} %)" in last
    assert re.search(r"  [\d.]+ s, [\d.,]+/s$", last)
    assert len(last) <= 80
    summary = intact("decode", out, "--model", tiny_path, "--json", "-o", tmp_path / "d").json[
        "summary"
    ]
    assert (summary["done"], summary["failed"], summary["input_bytes"]) == (2, 0, written)
    assert b"files:" not in intact("encode", photo, "--model", tiny_path).out
    assert (
        intact("encode", folder, "--model", tiny_path, "-o", out, "--force", "--quiet").out == b""
    )


@pytest.mark.parametrize("size", [0, 999, 9999, 10_000, 123_456_789, 4_510_000_000, 10**15])
def test_sizes_have_four_digits(size):
    from intact.cli.options import _size

    text = _size(size)
    number, unit = text.split()
    value = int(number.replace(",", "")) * {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert abs(value - size) <= 0.051 * size
    assert len(text) <= 11 or unit == "GB"


def test_the_bar_moves_within_one_image(intact, photo, file, tiny_path, tmp_path, monkeypatch):
    from intact.cli.progress import Bar

    shares = []
    monkeypatch.setattr(Bar, "within", lambda self, share: shares.append(share))
    intact("encode", photo, "--model", tiny_path, "-o", tmp_path / "again.intact")
    assert shares == sorted(shares)
    assert (shares[0], len(set(shares)) >= 6, shares[-1] < 1) == (0, True, True)
    shares.clear()
    options = ("--model", tiny_path, "-o", tmp_path / "again.intact")
    intact("encode", photo, *options, "--target-size", 10**6)
    assert (shares == sorted(shares), 0.3 < shares[-1] <= 1) == (True, True)
    shares.clear()
    intact("decode", file, "--model", tiny_path, "-o", tmp_path / "again.png")
    assert (shares == sorted(shares), len(set(shares)) == 4) == (True, True)


def test_steps_and_shares_of_steps_add_up():
    from intact.cli.progress import Bar, Stages

    bar = Bar("x", 3)
    bar.advance()
    stages = Stages(bar, "a", {"one": 0.0, "two": 0.5}, runs=2)
    found = []
    for stage in ("one", "two", "unknown", "one", "two", "one"):
        stages(stage)
        found.append(bar.completed)
    assert found == [1.0, 1.25, 1.25, 1.5, 1.75, 2.0]
    bar.advance()
    assert bar.completed == 2


def test_a_stage_that_comes_in_parts_fills_the_bar_evenly():
    from intact.cli.progress import Bar, Stages

    bar = Bar("x", 1)
    stages = Stages(bar, "a", {"analysis": 0.0, "refining": 0.08})
    found = []
    for stage in ("analysis", "synthesis", "refining 1 of 3", "refining 2 of 3", "refining 3 of 3"):
        stages(stage)
        found.append(bar.completed)
    assert found == pytest.approx([0, 0, 0.08, 0.38, 0.68])


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def waiting(tmp_path, photo, tiny_path):
    """A command that has begun to write an output, and waits in the middle of it."""
    code = (
        "import os, sys, time; from intact.cli import main\n"
        "def fsync(number):\n"
        "    print('now', flush=True); time.sleep(60)\n"
        "os.fsync = fsync\n"
        f"sys.exit(main(['encode', {str(photo)!r}, '--model', {str(tiny_path)!r}, *sys.argv[1:]]))"
    )

    def deaf_to_nothing():
        # Whoever runs the tests may ignore some signals (nohup, a job in the background).
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    def start(*prefix, options=()):
        command = [*prefix, sys.executable, "-c", code, *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=deaf_to_nothing
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        return process

    return start


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_that_ends_a_command_leaves_no_temporary_file(waiting, photo, tmp_path, name):
    number = getattr(signal, name)
    with waiting(options=["--json"]) as process:
        assert any("partial" in entry for entry in os.listdir(tmp_path))
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert os.listdir(tmp_path) == [photo.name]
    assert json.loads(out)["code"] == 128 + number


@posix
def test_a_command_under_nohup_outlives_a_hangup(waiting, tmp_path):
    with waiting("nohup") as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


@posix
def test_signals_are_given_back(intact, photo, tiny_path):
    numbers = (*SIGNALS, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    assert intact("encode", photo, "--model", tiny_path).code == 0
    assert [signal.getsignal(number) for number in numbers] == before


class Dropped:
    """What is raised in a finalizer is lost."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), self.number)
            time.sleep(0.01)


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.parametrize("lost", ["dropped", "another"])
def test_a_signal_whose_exception_is_lost_ends_the_command_all_the_same(
    intact, photo, tiny_path, tmp_path, monkeypatch, request, name, lost
):
    number, true = getattr(signal, name), codec.Encoder.encode
    if signal.getsignal(number) is signal.SIG_IGN:  # under nohup, which a command respects
        before = signal.signal(number, signal.SIG_DFL)
        request.addfinalizer(lambda: signal.signal(number, before))

    def encode(self, level):
        if lost == "dropped":
            Dropped(number)
            return true(self, level)
        try:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        except BaseException:
            raise RuntimeError("Error calling __set_name__") from None
        return true(self, level)

    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    monkeypatch.setattr(codec.Encoder, "encode", encode)
    done = intact("encode", photo, other, "--model", tiny_path)
    assert (done.code, "Traceback" in done.err) == (128 + number, False)
    assert not other.with_suffix(".intact").exists()
    assert signals.came() == number
    monkeypatch.undo()
    assert intact("encode", other, "--model", tiny_path).code == 0
    assert package.__version__


def test_one_of_our_own_files_in_the_wrong_place_is_told_what_it_is(intact, tmp_path):
    for magic, what in ((b"\xc9", "image"), (b"\xcd", "model"), (b"\xd7", "packed weights")):
        path = tmp_path / "x.bin"
        path.write_bytes(magic + b"INT\r\n\x1a\n" + bytes(100))
        said = {verb: intact(verb, path).err for verb in ("encode", "decode", "verify")}
        wrong = [verb for verb in said if verb == "encode" or what != "image"]
        assert all(what in said[verb] and "intact" in said[verb] for verb in wrong), said
    picture = tmp_path / "x.safetensors"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "no safetensors file" in intact("pack", picture).err
