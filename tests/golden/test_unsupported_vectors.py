"""Files of what is specified and not in this version: refused as unsupported, by its name."""

import json
import re
from pathlib import Path

import pytest

from intact import Model, UnsupportedError, decode

FOLDER = Path(__file__).parents[2] / "vectors" / "unsupported"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("name", INDEX)
def test_what_this_version_lacks_is_named(name):
    data = (FOLDER / name).read_bytes()
    with pytest.raises(UnsupportedError, match=re.escape(INDEX[name])) as error:
        Model.from_bytes(data) if name.endswith(".intactm") else decode(data)
    assert "which this version of Intact cannot decode" in str(error.value)


def test_no_file_is_missing_or_unlisted():
    assert {path.name for path in FOLDER.glob("*.intact*")} == set(INDEX)
