"""intact view as people call it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from intact.cli import main


def start(*arguments, browser=""):
    """The command as a process, and the address that it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BROWSER": browser}
    command = [sys.executable, "-m", "intact", "view", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.intact"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended(picture, number):
    process, url = start("--no-browser", picture)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/#view", url)
    with urllib.request.urlopen(url.replace("#view", "files/0"), timeout=10) as answer:
        assert answer.read() == b"content"
    process.send_signal(number)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert (out.strip(), errors) == ("", "")


def test_it_opens_the_browser(picture, tmp_path):
    seen = tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}.part && mv {seen}.part {seen}\n')
    program.chmod(0o755)
    process, url = start(picture, browser=str(program))
    for _ in range(200):
        if seen.exists():
            break
        signal.sigtimedwait([], 0.05)
    opened = seen.read_text()
    assert url.split("/")[3] not in opened  # others can read what a browser was called with
    with urllib.request.urlopen(opened, timeout=10) as answer:
        assert answer.url == url
        assert b"Intact viewer" in answer.read()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_a_file_that_is_not_there_is_an_error_before_anything_is_served(tmp_path, capsys):
    assert main(["view", "--no-browser", str(tmp_path / "none.intact")]) == 5
    assert "No such file" in capsys.readouterr().err


def test_a_pipe_is_no_file(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert main(["view", "--no-browser", str(path)]) == 2
        assert "is a pipe or device" in capsys.readouterr().err


def test_stdin_is_no_file(capsys):
    assert main(["view", "--no-browser", "-"]) == 2
    assert "stdin" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_an_error(picture, capsys):
    assert main(["view", "--no-browser", "--model", "nonsense", str(picture)]) == 4
    assert "no model named" in capsys.readouterr().err


def test_a_port_that_is_taken_is_an_error(picture, capsys):
    process, url = start("--no-browser", picture)
    port = url.split(":")[2].partition("/")[0]
    try:
        assert main(["view", "--no-browser", "--port", port, str(picture)]) == 5
    finally:
        process.kill()
        process.communicate()
    assert "in use" in capsys.readouterr().err
