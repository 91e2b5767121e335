"""The Tab key offers verbs and options."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("argcomplete")

SHIPPED = {"photo", "photo-eyes", "photo-mse", "photo-psnr", *(f"photo-{n}" for n in range(2, 7))}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("intact en", {"encode"}),
        ("intact encode --target-", {"--target-bpp", "--target-size"}),
        ("intact encode --model ph", SHIPPED),
        ("intact models ph", SHIPPED),
        ("intact encode --backend ", {"auto", "native", "numpy"}),
    ],
)
def test_the_shell_is_offered_what_fits(line, offered, tmp_path):
    found = tmp_path / "found"
    environment = os.environ | {
        "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(found),
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "intact"], env=environment, capture_output=True, timeout=60
    )
    assert offered <= set(found.read_text().split("\n"))
