"""--skip-existing leaves out only what is whole and was made from the input as it is now."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import intact as package
from intact.cli.errors import Code
from intact.cli.existing import Output
from intact.codec.image import Encoder
from tiny_model import picture


def save(path, seed=0, size=(20, 30)):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture(*size, seed=seed)).save(path)
    return path


@pytest.fixture
def encode(intact, tiny_path):
    return lambda *arguments: intact("encode", *arguments, "--model", tiny_path)


@pytest.fixture
def archive(encode, tmp_path):
    """A folder with one picture, and its archive."""
    save(tmp_path / "pictures" / "a.png")
    assert encode(tmp_path / "pictures", "-o", tmp_path / "archive").code == 0
    return tmp_path / "archive" / "a.intact"


@pytest.fixture
def again(encode, archive, tmp_path):
    """Encode the folder once more: what was done, and whether the output is a new file."""

    def run(*options):
        before = archive.read_bytes(), archive.stat().st_ino
        done = encode(tmp_path / "pictures", "-o", archive.parent, "--skip-existing", *options)
        return done, (archive.read_bytes(), archive.stat().st_ino) == before

    return run


def encoding_is(monkeypatch, allowed):
    """Let encoding fail the test where it is not allowed."""
    true = Encoder.encode

    def encode(self, level):
        assert allowed, "was encoded again"
        return true(self, level)

    monkeypatch.setattr(Encoder, "encode", encode)


@pytest.fixture(params=[True, False], ids=["attributes", "times"])
def attributes(request, monkeypatch):
    """With extended attributes and on a file system without them."""
    if not request.param:
        for name in ("getxattr", "setxattr"):
            monkeypatch.delattr(os, name, raising=False)
    return request.param


def test_what_is_done_is_left_out_without_encoding_it(
    attributes, again, archive, tmp_path, monkeypatch
):
    source = tmp_path / "pictures" / "a.png"
    assert archive.stat().st_mtime_ns == source.stat().st_mtime_ns
    encoding_is(monkeypatch, allowed=False)
    done, kept = again("--json")
    assert (done.code, kept) == (0, True)
    assert done.json["files"] == [{"input": str(source), "output": str(archive), "left_out": True}]
    assert (done.json["summary"]["left_out"], done.json["summary"]["done"]) == (1, 0)


def test_quality_does_not_count(again, archive):
    done, kept = again("-q", 90)
    assert (done.code, kept, "nothing to do" in done.err) == (0, True, True)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped"])
def test_what_is_not_whole_is_made_again(again, archive, damage):
    whole, times = archive.read_bytes(), archive.stat()
    data = {"empty": b"", "cut": whole[:-9], "flipped": whole[:60] + b"!" + whole[61:]}[damage]
    archive.write_bytes(data)
    os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))
    done, _ = again()
    assert (done.code, archive.read_bytes()) == (0, whole)
    assert "made again" in done.err


@pytest.mark.parametrize("nanoseconds", [-3600 * 10**9, 3600 * 10**9, 1])
def test_an_edited_source_is_said_and_nothing_is_replaced(
    attributes, again, archive, tmp_path, nanoseconds
):
    """Newer, or older: moved over the other."""
    source = save(tmp_path / "pictures" / "a.png", seed=1)
    moment = archive.stat().st_mtime_ns + nanoseconds
    os.utime(source, ns=(moment, moment))
    done, kept = again()
    assert (done.code, kept) == (Code.USAGE, True)
    assert f"{archive} is not made from this as it is now" in done.err
    done, kept = again("--force")  # replace what is not done
    assert (done.code, kept) == (0, False)
    done, kept = again()
    assert (done.code, kept) == (0, True)


def test_a_copy_that_lost_its_times_is_compared_and_gets_them_back(
    attributes, again, archive, tmp_path
):
    source = tmp_path / "pictures" / "a.png"
    for path in (archive, source):
        os.utime(path)
        done, kept = again()
        assert (done.code, kept) == (0, True)
        assert archive.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_equal_times_that_are_round_are_no_proof(attributes, encode, archive, tmp_path):
    """As builds and archives make them: every file has the same."""
    paths = save(tmp_path / "pictures" / "a.png"), save(tmp_path / "other" / "a.png", seed=1)
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))
    assert encode(paths[0].parent, "-o", archive.parent, "--force").code == 0
    assert archive.stat().st_mtime_ns == 10**18
    before = archive.read_bytes()
    done = encode(paths[1].parent, "-o", archive.parent, "--skip-existing")
    assert (done.code, archive.read_bytes()) == (Code.USAGE, before)
    done = encode(paths[0].parent, "-o", archive.parent, "--skip-existing")
    assert (done.code, "nothing to do" in done.err) == (0, True)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
def test_an_edit_that_keeps_the_time_is_noticed_by_the_hash(again, archive, tmp_path):
    source = tmp_path / "pictures" / "a.png"
    times = source.stat()
    save(source, seed=1)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    done, kept = again()
    assert (done.code, kept) == (Code.USAGE, True)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
def test_a_hash_spares_encoding_where_the_times_were_lost(again, archive, monkeypatch):
    os.utime(archive)
    encoding_is(monkeypatch, allowed=False)
    done, kept = again()
    assert (done.code, kept) == (0, True)


def test_another_source_of_the_same_name_is_said(encode, archive, tmp_path):
    for name, seed in (("other/a.png", 1), ("third/a.jpg", 0)):
        save(tmp_path / name, seed=seed)
        before = archive.read_bytes()
        done = encode((tmp_path / name).parent, "-o", archive.parent, "--skip-existing")
        assert (done.code, archive.read_bytes()) == (Code.USAGE, before)
        assert "not made from this" in done.err


def test_what_is_in_the_way_stops_nothing_else(encode, tmp_path):
    pictures = tmp_path / "pictures"
    for name in "abcd":
        save(pictures / f"{name}.png")
    (pictures / "a.intact").mkdir()
    (pictures / "b.intact").write_bytes(b"somebody's text")
    done = encode(pictures, "--skip-existing", "--json")
    assert done.code == Code.USAGE
    assert [f.get("code", 0) for f in done.json["files"]] == [2, 2, 0, 0]
    assert "a.intact is in the way and no file" in done.err
    assert "b.intact is in the way and no file of Intact" in done.err
    assert (pictures / "b.intact").read_bytes() == b"somebody's text"


def test_a_named_output_has_its_own_time_and_is_compared(encode, archive, tmp_path):
    source = tmp_path / "pictures" / "a.png"
    os.utime(source, ns=(10**18, 10**18))
    out = tmp_path / "out.intact"
    assert encode(source, "-o", out).code == 0
    assert out.stat().st_mtime_ns != 10**18
    before = out.stat()
    done = encode(source, "-o", out, "--skip-existing")
    assert (done.code, out.stat().st_ino) == (0, before.st_ino)
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    save(source, seed=5)
    done = encode(source, "-o", out, "--skip-existing")
    assert (done.code, out.stat().st_ino) == (Code.USAGE, before.st_ino)


@pytest.mark.parametrize("suffix", ["png", "jpg", "npy"])
def test_decoding_leaves_out_what_is_done_only(
    attributes, intact, archive, tiny_path, tmp_path, suffix
):
    out = tmp_path / "out" / f"a.{suffix}"
    options = ("--model", tiny_path, "-o", out.parent, "--format", suffix, "--skip-existing")

    def decode(*more):
        before = out.stat().st_ino if out.exists() else 0
        done = intact("decode", archive.parent, *options, *more)
        return done.code, out.stat().st_ino == before

    assert decode() == (0, False)
    whole = out.read_bytes()
    assert out.stat().st_mtime_ns == archive.stat().st_mtime_ns
    assert decode() == (0, True)
    os.utime(out)
    assert decode() == (0, True)
    out.write_bytes(b"")
    assert decode()[0] == 0
    assert out.read_bytes() == whole
    times = out.stat()
    out.write_bytes(whole[: len(whole) // 2])  # it may be somebody's original: not ours to replace
    os.utime(out, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert decode() == (Code.USAGE, True)
    assert decode("--force")[0] == 0
    assert out.read_bytes() == whole
    if suffix == "npy":
        np.save(out, np.zeros((3, 3), np.uint8))
    else:
        Image.new("RGB", (9, 9)).save(out)
    assert decode() == (Code.USAGE, True)


def test_a_region_is_not_taken_for_the_whole_or_for_another(
    attributes, intact, archive, tiny_path, tmp_path
):
    options = ("--model", tiny_path, "-o", tmp_path / "out", "--skip-existing")
    assert intact("decode", archive.parent, *options, "--region", "0,0,5,5").code == 0
    assert intact("decode", archive.parent, *options, "--region", "0,0,5,5").code == 0
    done = intact("decode", archive.parent, *options, "--region", "1,1,5,5")
    assert (done.code, "not made from this" in done.err) == (Code.USAGE, True)


@pytest.mark.parametrize("later", [0, 1, -1, 10**9])
@pytest.mark.parametrize("moment", [1_700_000_001_987_654_321, 1_700_000_001_980_000_000])
def test_only_the_very_same_time_that_is_not_round_tells(tmp_path, moment, later):
    source, target = tmp_path / "a", tmp_path / "b"
    for path, time in ((source, moment), (target, moment + later)):
        path.write_bytes(b"x")
        os.utime(path, ns=(time, time))
    output = Output(str(source), str(target), named=False)
    assert not output.is_done_by_time()  # nobody has looked at it
    output.look(lambda _: True, force=False)
    assert output.is_done_by_time() == (later == 0 and moment % 10**7 != 0)
    source.unlink()
    assert not output.is_done_by_time()


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
def test_a_hash_does_not_tell_once_the_output_was_written_over(again, archive, tmp_path, tiny_path):
    """In place, so that its attributes stay."""
    other = tmp_path / "other" / "b.png"
    save(other, seed=1)
    times = archive.stat()
    archive.write_bytes(package.encode(Image.open(other), model=str(tiny_path)))
    os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))
    done, kept = again()
    assert (done.code, kept) == (Code.USAGE, True)


def test_a_source_that_changes_while_it_is_read_is_not_taken_for_done(
    encode, tmp_path, monkeypatch
):
    source = save(tmp_path / "pictures" / "a.png")

    def read(name):
        data = Path(name).read_bytes()
        save(source, seed=7)
        os.utime(source, ns=(10**18, 10**18))
        return data

    monkeypatch.setattr("intact.cli.encode.read", read)
    assert encode(source).code == 0
    monkeypatch.undo()
    assert encode(source, "--skip-existing").code == Code.USAGE


def test_an_interrupted_archive_goes_on(encode, archive, tmp_path):
    pictures = tmp_path / "pictures"
    for name in ("b.png", "sub/c.png"):
        save(pictures / name, seed=3)
    done = encode(pictures, "-o", archive.parent, "--skip-existing")
    assert done.code == 0
    assert "3 files: 2 encoded, 1 left out, 0 failed" in done.out.decode()
    shutil.rmtree(pictures)
    assert sorted(p.name for p in archive.parent.rglob("*.intact")) == [
        "a.intact", "b.intact", "c.intact",
    ]  # fmt: skip
