"""The browser decoder in Node: its own tests, with all golden files."""

import subprocess


def run(folder, *command):
    """Standard output of a command that must succeed."""
    found = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


def test_the_tests_of_the_decoder_pass_in_node(built):
    assert "# fail 0" in run(built, "node", "--test", "test/")


def test_the_types_of_the_decoder_are_right(built):
    run(built, "node_modules/.bin/tsc", "--noEmit", "-p", ".")
