"""Standard streams as daemons, cron jobs and shells leave them.

In processes of their own: what Python makes of a closed stream is decided when it starts.
"""

import os
import subprocess
import sys

import pytest
from PIL import Image

import intact as package
from intact.cli import streams
from intact.cli.errors import Code
from tiny_model import picture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")


@pytest.fixture
def shell(tmp_path, tiny_path, photo):
    """Run a line of bash in which ``$intact`` encodes with the tiny model: code, out, err."""
    (tmp_path / "model.intactm").write_bytes(tiny_path.read_bytes())
    frames = [Image.fromarray(picture(20, 20, seed=i)) for i in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    command = f"{sys.executable} -m intact"
    environment = {
        **os.environ,
        "intact": command,
        "encode": f"{command} encode --model model.intactm",
    }

    def run(line):
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True
        )

    return run


@pytest.fixture
def expected(tmp_path, tiny_path, photo):
    """The photo's file."""
    with Image.open(photo) as image:
        return package.encode(image, model=str(tiny_path))


def is_whole(data, tiny_path):
    return package.decode(data, model=str(tiny_path)).pixels.size > 0


def test_a_closed_stderr_never_lets_notes_into_the_data(shell, tiny_path):
    done = shell("$encode a.gif -o - 2>&-")  # "only the first of 2 frames is coded"
    assert done.returncode == 0
    assert is_whole(done.stdout, tiny_path)


def test_notes_do_not_land_in_data_that_shares_their_stream(shell, tiny_path):
    done = shell("$encode a.gif -o - 2>&1")
    assert done.returncode == 0
    assert is_whole(done.stdout, tiny_path)
    done = shell("$encode a.gif -o /dev/stderr")
    assert is_whole(done.stderr, tiny_path)
    done = shell("$encode none.png -o - 2>&1")  # errors are said: there is no data
    assert (done.returncode, b"No such file" in done.stdout) == (Code.SYSTEM, True)


def test_a_closed_stderr_does_not_become_an_output(shell, tmp_path, tiny_path):
    """Its number would be that of the next file opened, and libraries write to number 2."""
    code = (
        "import os, sys; from intact.cli import streams; streams.settle(); "
        "assert os.open('x', os.O_CREAT | os.O_WRONLY) > 2; print('said', file=sys.stderr)"
    )
    done = shell(f'{sys.executable} -c "{code}" <&- 2>&-')
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link"])
def test_standard_output_by_another_name_is_standard_output(shell, expected, tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    done = shell(f"$encode photo.png -o {name}")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, b"")


def test_json_and_data_do_not_share_standard_output(shell):
    done = shell("$encode photo.png -o /dev/stdout --json")
    assert (done.returncode, b"needs stdout for itself" in done.stderr) == (Code.USAGE, True)


def test_an_open_file_is_written_from_where_it_stands(shell, expected, tmp_path):
    (tmp_path / "log").write_bytes(b"kept\n")
    assert shell("$encode photo.png -o /dev/stdout >> log").returncode == 0
    assert (tmp_path / "log").read_bytes() == b"kept\n" + expected
    assert shell("{ $encode photo.png -o /dev/fd/1; echo tail; } > two").returncode == 0
    assert (tmp_path / "two").read_bytes() == expected + b"tail\n"
    assert shell("{ echo head; $encode photo.png -o /dev/fd/5; } 5>&1 > three 5>&1").returncode == 0
    assert (tmp_path / "three").read_bytes() == b"head\n" + expected


def test_process_substitution_and_named_pipes(shell, expected, tmp_path):
    done = shell("$encode photo.png -o >(cat > a.intact); wait $!; cmp a.intact <(cat a.intact)")
    assert (done.returncode, (tmp_path / "a.intact").read_bytes()) == (0, expected)
    shell("mkfifo pipe; cat pipe > b.intact & $encode photo.png -o pipe; wait")
    assert (tmp_path / "b.intact").read_bytes() == expected
    shell("$intact decode --model model.intactm a.intact -o >(cat > c.png); wait $!")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_a_descriptor_that_is_not_open_is_an_error(shell):
    done = shell("$encode photo.png -o /dev/fd/99")
    assert (done.returncode, b"/dev/fd/99: Bad file" in done.stderr) == (Code.SYSTEM, True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "--quiet <&- >&- 2>&-"])
def test_lines_that_nobody_can_read_are_dropped(shell, expected, tmp_path, closed):
    done = shell(f"$encode photo.png {closed}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "photo.intact").read_bytes() == expected


@pytest.mark.parametrize(
    "verb", ["--version", "encode --help", "models model.intactm", "info model.intactm", "nonsense"]
)
def test_every_verb_ends_as_usual_without_standard_streams(shell, verb):
    usual = shell(f"$intact {verb}").returncode
    assert shell(f"$intact {verb} <&- >&- 2>&-").returncode == usual
    assert usual != Code.BUG


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("$encode - -o b.intact <&-", "standard input"),
        ("$encode /dev/stdin -o b.intact <&-", "standard input"),
        ("$encode photo.png -o - >&-", "standard output"),
        ("$encode photo.png -o /dev/stdout >&-", "standard output"),
        ("$intact info photo.png --json >&-", "standard output"),
    ],
)
def test_a_closed_stream_that_is_needed_is_an_error(shell, tmp_path, line, name):
    done = shell(line)
    assert (done.returncode, f"{name}: it is closed" in done.stderr.decode()) == (5, True)
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "b.intact").exists()


def test_what_descriptor_a_name_stands_for(tmp_path):
    (tmp_path / "1").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("-", "a.intact", str(tmp_path / "1"), str(tmp_path / "loop"), "/dev/null", ""):
        assert streams.descriptor(name) is None
    if os.path.exists("/dev/fd/0"):
        assert streams.descriptor("/dev/fd/7") == 7
        assert streams.descriptor("/dev/../dev/stdin") == 0
    if os.path.exists("/proc/self/fd"):
        assert streams.descriptor(f"/proc/{os.getpid()}/fd/3") == 3
        assert streams.descriptor("/proc/thread-self/fd/3") == 3
        assert streams.descriptor("/proc/1/fd/3") is None
