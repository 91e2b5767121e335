"""The model file: identity survives packing, and damage never does."""

import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.bits import varint
from intact.container import limits, model_file
from intact.container.model_file import (
    HEADER_BYTES,
    MAGIC,
    ModelHeader,
    pack_model,
    peek_model,
    unpack_model,
)
from intact.container.tree import DTYPES, canonical, from_bytes, model_id
from intact.errors import CorruptDataError, IntactError, UnsupportedError

INTEGERS = DTYPES[:-1]
TINY = {"w": np.array([1, -2, 3], np.int8)}
BONES = bytes.fromhex("05 01 01 77 06 00 01 03")
ID = bytes.fromhex("4b60b60182c43ed84ccf8e9c89fcb4f4")


def assemble(
    bones=BONES,
    blobs=((0, b"\x01\xfe\x03"),),
    content_bytes=11,
    bones_bytes=8,
    packed=None,
    model_id=ID,
):
    """A model file written by hand, so that a test can lie in one place; docs/spec has the rows."""
    packed = zlib.compress(bones) if packed is None else packed
    body = b"".join(
        [
            bytes.fromhex("cd494e540d0a1a0a 10"),
            model_id,
            varint.encode(content_bytes),
            varint.encode(bones_bytes),
            varint.encode(len(packed)),
            packed,
            *[bytes([method]) + varint.encode(len(blob)) for method, blob in blobs],
            *[blob for _, blob in blobs],
        ]
    )
    return body + zlib.crc32(body).to_bytes(4, "little")


def weights_of(data):
    """The array of the tiny model."""
    tree = unpack_model(data)
    assert isinstance(tree, dict)
    return tree["w"]


def realistic():
    """A tree like a frozen codec's: programs of named layers."""
    rng = np.random.default_rng(7)
    ops = []
    for number in range(12):
        scales = np.exp(rng.uniform(1.5, 3.2, (64, 1, 1, 1)))
        weight = np.clip(np.rint(rng.normal(size=(64, 64, 1, 1)) * scales), -64, 64)
        ops.append(
            {
                "kind": "conv",
                "source": f"block{number}.relu",
                "target": f"block{number + 1}.relu",
                "weight": weight.astype(np.int8),
                "bias": rng.integers(-(2**17), 2**17, 64),
                "slope": rng.integers(-300, 300, 64),
                "divisor": 2 * rng.integers(100, 2000, 64) + 1,
                "stride": 1,
            }
        )
    return {"name": "test", "programs": {"synthesis": ops}, "tables": rng.integers(1, 99, 500)}


def test_golden_file():
    assert weights_of(assemble()).tolist() == [1, -2, 3]
    packed = pack_model(TINY)
    # zlib may compress differently elsewhere: all but the deflated skeleton is fixed.
    assert packed[:28] == assemble()[:28]
    assert packed[:28].hex() == "cd494e540d0a1a0a10" + ID.hex() + "0b0810"
    assert packed[-9:-4].hex() == "000301fe03"
    assert model_id(TINY) == ID


@given(
    st.dictionaries(st.text(max_size=5), st.integers(-99, 99) | st.text() | st.binary()),
    st.lists(st.tuples(st.sampled_from(INTEGERS), st.binary(max_size=64)), max_size=4),
)
def test_unpack_inverts_pack(values, arrays):
    tree = {
        "values": values,
        "arrays": [
            from_bytes(
                data[: len(data) // 8 * 8], dtype, (len(data) // 8, -1) if data[7:] else (0,)
            )
            for dtype, data in arrays
            for n in [len(data) // 8]
        ],
    }
    data = pack_model(tree)
    assert canonical(unpack_model(data)) == canonical(tree)  # test_tree: canonical is one to one
    header = peek_model(data[:HEADER_BYTES])
    assert header == ModelHeader(model_id(tree), len(canonical(tree)))


def test_a_realistic_model_packs_well_and_keeps_its_id():
    tree = realistic()
    data = pack_model(tree)
    back = unpack_model(data)
    assert canonical(back) == canonical(tree)
    assert model_id(back) == model_id(tree)
    assert pack_model(back) == data
    assert len(data) < 0.9 * len(zlib.compress(canonical(tree), 9))


def test_the_id_does_not_depend_on_how_a_file_packs():
    blobs = ((1, zlib.compress(b"\x01\xfe\x03")),)
    repacked = assemble(blobs=blobs, packed=zlib.compress(BONES, 0))
    assert repacked != assemble()
    assert model_id(unpack_model(repacked)) == ID


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        weights_of(assemble())[0] = 5


def test_every_truncation_is_noticed():
    data = pack_model(TINY)
    for size in range(len(data)):
        with pytest.raises(CorruptDataError):
            unpack_model(data[:size])


def test_every_flipped_bit_is_noticed():
    data = pack_model(TINY)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntactError):
            unpack_model(bytes(damaged))


def test_every_inserted_or_removed_byte_is_noticed():
    data = pack_model(TINY)
    for at in range(len(data) + 1):
        for byte in (b"\x00", b"\xff", data[:at][-1:] or data[:1]):
            with pytest.raises(IntactError):
                unpack_model(data[:at] + byte + data[at:])
    for at in range(len(data)):
        with pytest.raises(IntactError):
            unpack_model(data[:at] + data[at + 1 :])


@given(st.binary(max_size=80))
def test_any_bytes_are_a_model_or_an_intact_error(data):
    for candidate in (data, MAGIC + data, assemble()[:25] + data):
        with pytest.raises(IntactError):
            unpack_model(candidate)


@given(st.integers(8, 47), st.binary(min_size=1, max_size=4), st.booleans())
def test_a_forged_file_with_a_right_crc_is_refused_or_the_same_model(at, patch, insert):
    body = assemble()[:-4]
    forged = body[:at] + patch + body[at + (0 if insert else len(patch)) :]
    try:
        tree = unpack_model(forged + zlib.crc32(forged).to_bytes(4, "little"))
    except IntactError:
        return
    assert model_id(tree) == forged[9:25]


@given(st.binary(max_size=30))
def test_a_forged_skeleton_with_a_right_crc_is_refused_or_a_model(bones):
    for candidate in (bones, BONES[:4] + bones):
        data = assemble(bones=candidate, bones_bytes=len(candidate), content_bytes=11)
        with pytest.raises(IntactError):
            unpack_model(data)


def test_another_models_id_is_refused():
    with pytest.raises(CorruptDataError, match="content has id"):
        unpack_model(assemble(model_id=bytes(16)))
    with pytest.raises(CorruptDataError, match="content has id"):
        unpack_model(assemble(blobs=((0, b"\x01\xfe\x04"),)))


def test_polyglot_suffix_is_refused():
    for suffix in (b"\x00", b"PK\x05\x06" + bytes(18), assemble()):
        with pytest.raises(CorruptDataError, match="follow the end"):
            unpack_model(assemble() + suffix)


def test_an_image_file_and_a_later_version_are_refused():
    with pytest.raises(CorruptDataError, match="an Intact image"):
        unpack_model(b"\xc9" + assemble()[1:])
    with pytest.raises(UnsupportedError, match=r"version 2\.0"):
        unpack_model(assemble()[:8] + b"\x20" + assemble()[9:])


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"content_bytes": limits.MAX_CONTENT_BYTES + 1}, "size of the content"),
        ({"content_bytes": 0}, "size of the content"),
        ({"content_bytes": 12}, "content has 11 bytes, the header says 12"),
        ({"bones_bytes": 9}, "zlib stream of 9"),
        ({"bones_bytes": 7}, "zlib stream of 7"),
        ({"bones_bytes": 12}, "must be 1 .. 11"),
        ({"bones_bytes": 8, "packed": b"junk"}, "skeleton"),
        ({"packed": zlib.compress(BONES) + b"\x00"}, "zlib stream"),
        ({"blobs": ()}, "size of an array's blob"),
        ({"blobs": ((0, b"\x01\xfe"),)}, "2 bytes, must be 3"),
        ({"blobs": ((5, b"\x01\xfe\x03"),)}, "method is 5"),
        ({"blobs": ((0, b"\x01\xfe\x03"), (0, b""))}, "CRC-32"),
    ],
)
def test_lies_in_the_framing_are_refused(lie, message):
    with pytest.raises(CorruptDataError, match=message):
        unpack_model(assemble(**lie))


def test_a_huge_claim_is_refused_before_an_array_is_made(monkeypatch):
    def fail(*arguments):
        raise AssertionError("an array was made")

    monkeypatch.setattr(model_file, "unpack_array", fail)
    monkeypatch.setattr(model_file, "MAX_CONTENT_RATIO", 2**28)
    huge = bytes.fromhex("06 00 01 f8ffff7f")  # int8, 2**28 - 8 values
    for content_bytes in (limits.MAX_CONTENT_BYTES, 2**28 - 8 + len(huge)):  # a lie, the truth
        with pytest.raises(CorruptDataError):
            unpack_model(assemble(huge, (), content_bytes, len(huge)))
    many = b"\x05\x02" + b"\x01a" + huge + b"\x01b" + huge
    with pytest.raises(CorruptDataError, match="the header says"):
        unpack_model(assemble(many, ((0, b""), (0, b"")), 2**28, len(many)))


def test_a_deflate_bomb_in_the_skeleton_is_stopped(monkeypatch):
    monkeypatch.setattr(model_file, "MAX_CONTENT_RATIO", 2**28)
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(CorruptDataError, match="zlib stream"):
        unpack_model(assemble(packed=bomb))
    with pytest.raises(CorruptDataError, match="must be 1"):
        unpack_model(assemble(packed=bomb, content_bytes=2**28, bones_bytes=2**25))


def test_a_small_file_may_not_claim_a_large_content():
    """Zeros pack to a thousandth: 32 kB of them took 0.8 GB before they were found to be wrong."""
    for data in (assemble(content_bytes=2**20 + 32 * 200), assemble(content_bytes=2**28)):
        with pytest.raises(CorruptDataError, match="may not hold a content of"):
            unpack_model(data)
    with pytest.raises(CorruptDataError, match="the header says 1048576"):  # looked at further
        unpack_model(assemble(content_bytes=2**20))


def test_zeros_are_written_raw_where_their_packing_would_be_refused():
    tree = {"zeros": np.zeros(3 << 20, np.int8)}
    data = pack_model(tree)
    assert len(data) > 3 << 20
    found = unpack_model(data)
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found["zeros"], tree["zeros"])
    assert len(pack_model({"zeros": np.zeros(1 << 19, np.int8)})) < 1000
