"""A native library of another version is not called, and a change of what is shared counts."""

import ctypes
import hashlib
import re
from pathlib import Path

import pytest

from intact import native

NATIVE = Path(__file__).parents[2] / "native"
SHARED = {
    1: "9d7ee4bb796f9f4ac766a625c54e59f06c14e8e71ebdae78ff4202e8e12387d6",
    2: "6498a96c52d57ee930210263361c6dca64545f14fc33a7f852942254bf498a5c",
}
"""By number, a hash of what Python and C share. New numbers are added, entries never changed."""


def shared_text():
    """Exported functions and enumerations, and the two structures, without comments and spaces."""
    found = []
    for path in sorted([*NATIVE.glob("*.c"), NATIVE / "intnet.h"]):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)
        found += re.findall(r"INTACT_API ([^{;]*)\{", text)
        if path.name == "intnet.h":
            found += re.findall(r"enum (\{[^}]*\});", text)
            found += re.findall(r"typedef struct (\{[^}]*\}) (?:intnet_op|intnet_slot);", text)
    return "\n".join(" ".join(item.split()) for item in found)


def test_a_change_of_what_is_shared_has_a_number_of_its_own():
    assert re.search(rf"#define INTACT_ABI {native.ABI}$", (NATIVE / "intact.h").read_text(), re.M)
    digest = hashlib.sha256(shared_text().encode()).hexdigest()
    assert SHARED[native.ABI] == digest, "count INTACT_ABI (native.py, intact.h), and add it here"


def test_the_text_that_is_compared_has_all_of_it():
    text = shared_text()
    for piece in ("intact_rans_decode(", "intact_unpack(", "intact_intnet_run(", "source, addend",
                  "offset, stride", "INTNET_GEMM8 = 3", "INTNET_DOUBLE = 1"):  # fmt: skip
        assert piece in text


@pytest.mark.skipif(native.library() is None, reason="not built")
def test_a_library_of_another_version_is_not_used(monkeypatch, caplog):
    native._loaded.cache_clear()
    try:
        monkeypatch.setattr(native, "ABI", native.ABI + 1)
        assert native.library() is None
        assert native.library() is None
        assert caplog.text.count("was built for another version") == 1
    finally:
        native._loaded.cache_clear()


@pytest.mark.skipif(native.library() is None, reason="not built")
def test_a_library_that_cannot_be_loaded_now_is_tried_again(monkeypatch):
    native._loaded.cache_clear()
    try:
        with monkeypatch.context() as patch:

            def fail(path):
                raise OSError("too many open files")

            patch.setattr(ctypes, "CDLL", fail)
            assert native.library() is None
        assert native.library() is not None
    finally:
        native._loaded.cache_clear()
