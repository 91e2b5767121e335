"""BPG's programs: what they are called with, and what is read of them. They are stand-ins."""

import os
import subprocess
import sys
import time

import pytest

from intact.evaluate import run
from intact.evaluate.codec import MissingError
from intact.evaluate.find import find_codec
from round_trip import check_round_trip
from tiny_model import picture

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stand-ins are scripts with a #! line")

ENCODER = """
import io, pathlib, sys
from PIL import Image
if sys.argv[1:] == ["-h"]:
    print("BPG Image Encoder version 0.9.8\\nusage: ...")
    sys.exit(1)
q, value, *options, o, target, source = sys.argv[1:]
assert (q, o) == ("-q", "-o")
assert " ".join(options) == "-f 444 -c ycbcr -b 8 -e x265 -m 8"
if value == "13":
    sys.exit("unlucky")
file = io.BytesIO()
Image.open(source).save(file, "JPEG", quality=100 - int(value), subsampling=0)
pathlib.Path(target).write_bytes(b"BPG" + file.getvalue())
"""
DECODER = """
import io, pathlib, sys
from PIL import Image
o, target, source = sys.argv[1:]
data = pathlib.Path(source).read_bytes()
if data[:3] == b"BPG":
    Image.open(io.BytesIO(data[3:])).save(target)
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("bpgenc", ENCODER), ("bpgdec", DECODER)):
        (folder / name).write_text(f"#!{sys.executable}\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_pixels_become_a_file_and_come_back(programs):
    codec = find_codec("bpg")
    assert codec.source == "libbpg 0.9.8"
    assert codec.options("27") == "bpgenc -q 27 -f 444 -c ycbcr -b 8 -e x265 -m 8"
    check_round_trip(codec)


def test_a_program_that_fails_or_writes_nothing_is_told(programs):
    codec = find_codec("bpg")
    with pytest.raises(RuntimeError, match="bpgenc: status 1, 'unlucky'"):
        codec.encode(picture(8, 8), "13")
    with pytest.raises(RuntimeError, match=r"there is no picture\.ppm"):
        codec.decode(b"another file")


def test_the_processor_time_of_programs_counts():
    own, all_of_it = time.process_time(), run._processor_time()
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    own, all_of_it = time.process_time() - own, run._processor_time() - all_of_it
    assert all_of_it - own > 0.2


def test_a_missing_program_is_named(programs):
    (programs / "bpgdec").unlink()
    with pytest.raises(MissingError, match="no program bpgdec on PATH"):
        find_codec("bpg")
