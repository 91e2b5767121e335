"""Our own reader and writer of safetensors: every lie of a header is noticed."""

import json

import numpy as np
import pytest

from intact.errors import CorruptDataError, UnsupportedError
from intact.packing.dtypes import BY_NAME
from intact.packing.safetensors import SafetensorsFile, format_header
from tiny_tensors import bell, menagerie, parts_of, raw_file, safetensors_bytes


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def read(tmp_path, data):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    return SafetensorsFile(path)


def test_all_types_come_back_as_they_were(tmp_path):
    tensors = menagerie()
    file = read(tmp_path, safetensors_bytes(tensors, {"format": "pt", "ä": "ö"}))
    assert file.header.metadata == {"format": "pt", "ä": "ö"}
    assert [e.name for e in file.entries] == list(tensors)
    for e in file.entries:
        dtype, shape, raw = parts_of(tensors[e.name])
        assert (e.dtype, e.shape) == (dtype, tuple(shape))
        assert file.raw(e).tobytes() == raw.tobytes()


def test_the_library_reads_what_we_write_and_we_what_it_writes(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    tensors = {"a": bell((3, 4)), "b": np.arange(5), "empty": np.zeros((0, 2), np.float32)}
    found = library.load(safetensors_bytes(tensors, {"format": "np"}))
    assert all(np.array_equal(found[name], array) for name, array in tensors.items())
    data = library.save(tensors, {"format": "np"})
    file = read(tmp_path, data)
    for e in file.entries:
        assert file.raw(e).tobytes() == tensors[e.name].tobytes()
    header = format_header([(e.name, e.dtype, e.shape) for e in file.entries], file.header.metadata)
    assert header == data[: file.header.num_bytes]


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"[]", b"", "must be an object"),
        (b"{ ", b"", "is no JSON"),
        (b'{"a":\xff}', b"", "is no JSON"),
        (b"[" * 100_000, b"", "is no JSON"),
        (b'{"a":1e999}', b"", "must have dtype"),
        ({"a": 1}, b"", "must have dtype"),
        ({"a": {**entry(), "more": 1}}, bytes(8), "must have dtype"),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), "must have dtype"),
        ({"a": {**entry(), "dtype": 32}}, bytes(8), "dtype is no text"),
        ({"a": entry(shape=[2.0])}, bytes(8), "shape is"),
        ({"a": entry(shape=[True, 2])}, bytes(8), "shape is"),
        ({"a": entry(shape=[-2])}, bytes(8), "shape is"),
        ({"a": {**entry(), "shape": "2"}}, bytes(8), "shape is"),
        ({"a": entry(shape=[1] * 65, offsets=[0, 4])}, bytes(4), "over 64 axes"),
        ({"a": entry(shape=[1 << 62, 1 << 62, 0], offsets=[0, 0])}, b"", "2\\*\\*62 bytes"),
        ({"a": entry(offsets=[0, 7])}, bytes(7), "takes 8 bytes"),
        ({"a": entry(offsets=[8, 0])}, bytes(8), "takes 8 bytes"),
        ({"a": entry(offsets=[0, 8, 8])}, bytes(8), "takes 8 bytes"),
        ({"a": entry(offsets=[0, 1 << 70])}, bytes(8), "data_offsets is"),
        ({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12), "overlaps"),
        ({"a": entry(), "b": entry()}, bytes(8), "overlaps"),
        ({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20), "gap"),
        ({"a": entry()}, bytes(4), "cut short"),
        ({"a": entry()}, bytes(12), "tail"),
        ({"__metadata__": {"a": 1}}, b"", "text to text"),
        ({"__metadata__": []}, b"", "text to text"),
        (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
         b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"0", "twice"),
        (b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"0", "no Unicode"),
        ({"a": entry("F4", [3], [0, 2])}, bytes(2), "within a byte"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(tmp_path, header, data, message):
    with pytest.raises(CorruptDataError, match=message):
        read(tmp_path, raw_file(header, data))


@pytest.mark.parametrize(
    "data", [b"", b"\0", (1 << 40).to_bytes(8, "little") + b"{}", bytes(8), b"\x03" + bytes(7)]
)
def test_a_length_of_the_header_that_lies_is_refused(tmp_path, data):
    with pytest.raises(CorruptDataError):
        read(tmp_path, data)


def test_an_unknown_type_is_refused_by_its_name(tmp_path):
    with pytest.raises(UnsupportedError, match="F128"):
        read(tmp_path, raw_file({"a": entry("F128", [1], [0, 16])}, bytes(16)))


def test_any_cut_is_noticed(tmp_path):
    data = safetensors_bytes({"a": bell((3, 3)), "b": np.arange(3)})
    for length in range(len(data)):
        with pytest.raises(CorruptDataError):
            read(tmp_path, data[:length])


def test_elements_that_share_bytes_are_bytes(tmp_path):
    file = read(tmp_path, safetensors_bytes({"a": ("F4", (3, 2), np.array([1, 2, 3], np.uint8))}))
    [found] = file.entries
    assert (found.dtype, found.shape) == (BY_NAME["F4"], (3, 2))
    assert file.raw(found).tolist() == [1, 2, 3]


def test_a_header_is_padded_so_that_data_are_aligned():
    header = format_header([("abc", BY_NAME["F32"], (1,))], {})
    assert len(header) % 8 == 0
    assert json.loads(header[8:])["abc"]["data_offsets"] == [0, 4]
