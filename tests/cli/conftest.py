"""Running commands in this process, the way the console script does."""

import io
import json
import sys
from dataclasses import dataclass

import pytest
from PIL import Image

from intact.cli import main
from tiny_model import picture


@dataclass
class Done:
    code: int
    out: bytes
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def intact(capfdbinary, monkeypatch):
    """Call as ``intact("encode", path, stdin=b"...")``."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(a) for a in arguments])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Done(code, out, err.decode())

    return call


@pytest.fixture
def photo(tmp_path):
    """A PNG of 60 x 40 pixels with EXIF, ICC and XMP."""
    from PIL import PngImagePlugin

    exif = Image.Exif()
    exif[0x010E] = "description"
    exif[0x0112] = 6  # orientation: never applied
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    path = tmp_path / "photo.png"
    Image.fromarray(picture(40, 60)).save(path, exif=exif, icc_profile=b"profile", pnginfo=info)
    return path


@pytest.fixture
def file(intact, photo, tiny_path, tmp_path):
    """The photo, encoded."""
    path = tmp_path / "photo.intact"
    assert intact("encode", photo, "--model", tiny_path, "-o", path).code == 0
    return path
