"""Folders are coded by several processes: the same outputs, in order, and nobody stays behind."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from intact.cli import options, parallel
from intact.cli.errors import Code
from intact.cli.parallel import Pool
from tiny_model import picture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")
COUNT = 7


@pytest.fixture(autouse=True)
def forks(monkeypatch):
    """Whatever other tests of the session have loaded; what is forked here uses none of it."""
    monkeypatch.setattr(options, "can_fork", lambda: True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        side = 20 + number
        Image.fromarray(picture(side, side, seed=number)).save(folder / f"p{number}.png")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_processes_write_what_one_writes(intact, folder, tiny_path, tmp_path):
    outputs = []
    for threads in (1, 3):
        out, png = tmp_path / f"out{threads}", tmp_path / f"png{threads}"
        how = ("--model", tiny_path, "--threads", threads, "--json")
        coded = intact("encode", folder, "-o", out, *how)
        decoded = intact("decode", out, "-o", png, *how)
        assert (coded.code, decoded.code) == (0, 0)
        names = [os.path.basename(row["input"]) for row in coded.json["files"]]
        assert names == sorted(names)
        assert coded.json["summary"]["done"] == COUNT
        outputs.append((contents(out), contents(png)))
    assert outputs[0] == outputs[1]
    assert len(outputs[0][0]) == COUNT


def test_inputs_are_really_shared_out(intact, folder, tiny_path, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    true = options._outcome

    def noted(pair, work, task):
        with pids.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return true(pair, work, task)

    monkeypatch.setattr(options, "_outcome", noted)
    out = ("-o", tmp_path / "out", "--model", tiny_path)
    assert intact("encode", folder, *out, "--threads", 2).code == 0
    found = pids.read_text().split()
    assert len(found) == COUNT
    assert found[0] == str(os.getpid())  # the first loads the model and proves it
    assert len(set(found)) == 3


def test_a_damaged_input_does_not_stop_the_others(intact, folder, tiny_path, tmp_path):
    (folder / "p3.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    out = tmp_path / "out"
    done = intact("encode", folder, "-o", out, "--model", tiny_path, "--threads", 3, "--json")
    assert done.code == Code.DAMAGED
    rows = done.json["files"]
    assert [("error" in row) for row in rows] == [number == 3 for number in range(COUNT)]
    assert len(contents(out)) == COUNT - 1
    assert "p3.png" in done.err


def test_large_images_are_left_to_the_caller(intact, folder, tiny_path, tmp_path, monkeypatch):
    monkeypatch.setattr(options, "LARGE_PIXELS", 23 * 23)
    true, here = options._outcome, []

    def noted(pair, work, task):
        result = true(pair, work, task)
        here.append((os.path.basename(pair[0]), task.threads))
        return result

    monkeypatch.setattr(options, "_outcome", noted)
    out = ("-o", tmp_path / "out", "--model", tiny_path)
    done = intact("encode", folder, *out, "--threads", 2, "--json")
    assert done.json["summary"]["done"] == COUNT
    # In this process: the first, and those of 23 x 23 and more, with all threads.
    assert here == [(f"p{number}.png", 2) for number in (0, 3, 4, 5, 6)]


def test_a_process_that_is_killed_loses_nothing(intact, folder, tiny_path, tmp_path, monkeypatch):
    parent, true = os.getpid(), options._outcome

    def dying(pair, work, task):
        if os.getpid() != parent and pair[0].endswith(("p2.png", "p5.png")):
            os.kill(os.getpid(), signal.SIGKILL)
        return true(pair, work, task)

    monkeypatch.setattr(options, "_outcome", dying)
    out = tmp_path / "out"
    done = intact("encode", folder, "-o", out, "--model", tiny_path, "--threads", 2, "--json")
    assert done.code == 0
    assert len(contents(out)) == COUNT


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_no_process_outlives_the_command(folder, tiny_path, tmp_path, name):
    for number in range(60):
        Image.fromarray(np.zeros((200, 200, 3), np.uint8)).save(folder / f"q{number}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "intact", "encode", folder, "-o", out, "--threads", "2"]
    command += ["--model", tiny_path]
    children: list[int] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=by_default) as process:
        while process.poll() is None and not (children := children_of(process.pid)):
            time.sleep(0.005)
        process.send_signal(getattr(signal, name))
        _, said = process.communicate()
    assert process.returncode != 0
    assert b"Traceback" not in said
    end = time.monotonic() + 20
    while any(map(is_alive, children)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(is_alive, children))
    if name != "SIGKILL":
        assert not [path for path in out.iterdir() if path.name.endswith("-partial")]


def by_default():
    """Whoever runs the tests may ignore some signals (a job in the background)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_document_of_an_interrupted_folder_is_json(folder, tiny_path, tmp_path):
    command = [sys.executable, "-m", "intact", "encode", folder, "-o", tmp_path / "out"]
    command += ["--threads", "2", "--model", tiny_path, "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, preexec_fn=by_default) as process:
        while process.poll() is None and not children_of(process.pid):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    found = json.loads(out)
    if process.returncode:  # it may have been done already
        assert (process.returncode, found["code"]) == (143, 143)


def test_descriptors_above_1023_are_heard():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip("this system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
    try:
        pool = Pool(2, lambda number: {"n": number})
        assert [one["n"] for one in pool.outcomes(5, lambda _: {"n": -1})] == [0, 1, 2, 3, 4]
        pool.close()
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_cores_are_counted_where_the_system_cannot_say_which_are_ours(monkeypatch):
    """As on macOS and Windows, where `intact eval` asks."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert parallel.num_cores() == os.cpu_count()


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_the_same_of_several_files_is_said_once(intact, tiny_path, tmp_path, threads):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "abcde":
        pixels = Image.fromarray(picture(200, 200))
        if name == "c":
            pixels.save(folder / "c.jpg")
        else:
            pixels.save(folder / f"{name}.jpg", comment=b"hello")
    frames = [Image.fromarray(picture(16, 16, seed=seed)) for seed in range(3)]
    frames[0].save(folder / "g.gif", save_all=True, append_images=frames[1:2])
    frames[0].save(folder / "h.gif", save_all=True, append_images=frames[1:])
    (folder / "f.jpg").write_bytes(b"no picture")
    done = intact("encode", folder, "-o", out, "--model", tiny_path, "--threads", threads)
    lines = done.err.splitlines()
    assert lines[0].startswith(f"intact: {folder / 'f.jpg'}: ")  # errors at once, and each
    assert f"intact: 4 files (first: {folder / 'a.jpg'}): not kept: comment" in lines
    told = "only the first of several frames is coded"
    assert f"intact: 2 files (first: {folder / 'g.gif'}): {told}" in lines
    assert done.err.count("not kept: comment") == 1
    one = intact("encode", folder / "h.gif", "-o", out / "one.intact", "--model", tiny_path)
    assert f"intact: {folder / 'h.gif'}: only the first of 3 frames is coded" in one.err


def test_messages_come_in_the_order_of_one_thread(folder, tiny_path, tmp_path):
    for name in ("a-bad.png", "p0-bad.png", "z-bad.png"):
        (folder / name).write_bytes(b"no picture")
    said = []
    for threads in ("1", "2"):
        out = tmp_path / f"out-{threads}"
        command = [sys.executable, "-m", "intact", "encode", folder, "-o", out, "--threads"]
        done = subprocess.run(
            [*command, threads, "--model", tiny_path, "--quiet"], capture_output=True, text=True
        )
        said.append(done.stderr)
        assert done.returncode != 0
    assert said[0] == said[1]
    assert [line.split("-bad")[0][-1] for line in said[0].splitlines()[:3]] == ["a", "0", "z"]
