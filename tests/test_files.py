"""Outputs appear whole or not at all, and nothing that a killed writer left stays for ever."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from intact import files

fcntl = vars(files)["fcntl"]
posix = pytest.mark.skipif(fcntl is None, reason="no locks here")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(files, "_CLEANED", set())


def names(folder):
    return sorted(os.listdir(folder))


def leave_over(folder, name="a.intact"):
    """What a writer that was killed leaves behind."""
    code = (
        "import os, sys; from pathlib import Path; from intact import files; "
        "files._create(files._new_name(Path(sys.argv[1])), 0o666); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder / name)])
    assert done.returncode == -9
    [left] = set(names(folder)) - {name}
    return folder / left


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    files.replace(link, b"new")
    assert (link.is_symlink(), path.read_bytes()) == (True, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    files.replace(tmp_path / "b", b"x", modified_ns=1_234_567_891_234_567_891)
    assert (tmp_path / "b").stat().st_mtime_ns == 1_234_567_891_234_567_891
    assert names(tmp_path) == ["a", "b", "link"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400 | 0o200, 0o666])
def test_a_temporary_file_is_never_wider_open_than_the_file(tmp_path, monkeypatch, mode):
    path, seen = tmp_path / "a", []
    path.write_bytes(b"old")
    path.chmod(mode)
    true = files._give

    def give(partial, before):
        seen.append(stat.S_IMODE(partial.stat().st_mode))
        true(partial, before)

    monkeypatch.setattr(files, "_give", give)
    files.replace(path, b"secret")
    assert [found & ~mode for found in seen] == [0]
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        files.replace(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        files.replace(tmp_path / "a", b"x")
    assert failed.value.filename == str(tmp_path / "a")
    assert names(tmp_path) == []


@pytest.mark.parametrize("letter", ["a", "ä", "漢", "😀"])
def test_the_longest_names_can_be_written(tmp_path, letter):
    name = letter * (255 // len(letter.encode()))
    files.replace(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_name_that_is_no_text_can_be_written(tmp_path):
    name = os.fsdecode(b"\xff" * 200)
    files.replace(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


@posix
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    left = leave_over(tmp_path)
    files.replace(tmp_path / "other", b"x")
    assert names(tmp_path) == ["other"]
    assert not left.exists()


@posix
def test_a_writer_that_lives_keeps_its_temporary_file(tmp_path):
    code = (
        "import sys; from pathlib import Path; from intact import files; "
        "d = files._create(files._new_name(Path(sys.argv[1])), 0o666); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        [partial] = names(tmp_path)
        files.clean(tmp_path)
        assert names(tmp_path) == [partial]
        writer.kill()
    files._CLEANED.clear()
    files.clean(tmp_path)
    assert names(tmp_path) == []


@posix
def test_what_only_looks_like_a_leftover_stays(tmp_path):
    token = "0123456789abcdef"
    os.mkfifo(tmp_path / f".pipe.{token}.intact-partial")  # opening it would wait for ever
    (tmp_path / f".folder.{token}.intact-partial").mkdir()
    (tmp_path / "mine").write_bytes(b"x")
    (tmp_path / f".link.{token}.intact-partial").symlink_to(tmp_path / "mine")
    for name in (".a.partial", f"a.{token}.intact-partial", ".a.123.intact-partial"):
        (tmp_path / name).write_bytes(b"somebody's")
    before = names(tmp_path)
    files.clean(tmp_path)
    assert names(tmp_path) == before


def test_a_folder_is_looked_through_once(tmp_path, monkeypatch):
    files.clean(tmp_path)
    monkeypatch.setattr(os, "listdir", lambda _: pytest.fail("again"))
    files.clean(tmp_path)


def test_a_folder_that_cannot_be_read_is_none_of_our_business(tmp_path):
    files.clean(tmp_path / "nowhere")


@posix
def test_a_temporary_file_that_was_removed_before_its_lock_is_made_again(tmp_path, monkeypatch):
    true, calls = fcntl.flock, []

    def flock(descriptor, how):
        if not calls:  # somebody else was faster
            for name in names(tmp_path):
                os.unlink(tmp_path / name)
        calls.append(how)
        true(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    files.replace(tmp_path / "a", b"x")
    assert (names(tmp_path), len(calls)) == (["a"], 2)


@posix
def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError("no locks available")

    leave_over(tmp_path)
    monkeypatch.setattr(fcntl, "flock", flock)
    files.replace(tmp_path / "a", b"x")
    assert len(names(tmp_path)) == 2  # nobody can tell whether the other's writer lives


def test_an_interruption_at_any_step_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    for step in ("open", "fdopen", "fsync"):
        true = getattr(os, step)

        def interrupted(*arguments, true=true):
            found = true(*arguments)
            if hasattr(found, "close"):
                found.close()
            raise KeyboardInterrupt  # as a signal's handler does, just after the call

        with monkeypatch.context() as patch:
            patch.setattr(os, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                files.replace(path, b"new")
        assert (names(tmp_path), path.read_bytes()) == (["a"], b"old")


def test_a_second_interruption_leaves_what_can_still_be_removed(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        patch.setattr(files, "_remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.replace(tmp_path / "a", b"x")
    assert len(names(tmp_path)) == 1
    files.remove_partials()
    assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_does_not_remove_its_parents_temporary_file(tmp_path):
    partial = files._new_name(tmp_path / "a")
    partial.write_bytes(b"x")
    child = os.fork()
    if child == 0:
        files.remove_partials()
        os.kill(os.getpid(), signal.SIGKILL)  # nothing of pytest may run here
    os.waitpid(child, 0)
    assert partial.exists()
    files.remove_partials()
    assert not partial.exists()


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="write-protected"):
        files.replace(path, b"new")
    assert (names(tmp_path), path.read_bytes()) == (["a"], b"old")


def test_an_error_names_the_output_and_not_its_temporary_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        files.replace(tmp_path / "no" / "x", b"")
    assert caught.value.filename == str(tmp_path / "no" / "x")
