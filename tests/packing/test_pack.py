"""Packing and unpacking whole files: what is promised of every kind of tensor, and of targets."""

import io
import json
import math
import warnings

import numpy as np
import pytest

from intact import files
from intact.errors import ArgumentError, CorruptDataError, UnreachableError, UnsupportedError
from intact.packing import limits
from intact.packing.build import Source, spans
from intact.packing.choose import Rule, Settings, Target, read_recipe
from intact.packing.dtypes import BY_NAME, as_float32, narrow
from intact.packing.file import HEADER_BYTES, WeightsFile, Writer
from intact.packing.index import NOTES, Feature, Kind
from intact.packing.inputs import open_input, unpack
from intact.packing.pack import pack
from intact.packing.quantize import Rounding, statistics
from intact.packing.report import Content
from intact.packing.safetensors import SafetensorsFile
from intact.packing.save import save
from intact.packing.state import load
from tiny_tensors import bell, menagerie, parts_of, safetensors_bytes


@pytest.fixture
def packed(tmp_path):
    """Packs tensors: (report, file)."""

    def run(tensors, metadata=None, **settings):
        path = tmp_path / "x.safetensors"
        path.write_bytes(safetensors_bytes(tensors, metadata))
        sources, content = open_input(path)
        with files.writing(tmp_path / "x.intactw") as file:
            report = pack(sources, file, Settings(**settings), content, threads=2)
        return report, WeightsFile(tmp_path / "x.intactw")

    return run


def float_of(tensor):
    dtype, _, raw = parts_of(tensor)
    if dtype.name == "BF16":
        return (raw.astype("<u4") << 16).view("<f4").astype(np.float64)
    return raw.view(dtype.numpy or "").astype(np.float64)


def test_without_loss_every_bit_comes_back(packed, tmp_path):
    report, file = packed(menagerie(), {"format": "pt"}, target=Target())
    unpack(file, tmp_path / "y.safetensors", threads=1)
    before, after = (tmp_path / f"{x}.safetensors" for x in "xy")
    assert before.read_bytes() == after.read_bytes()
    assert file.metadata == {"format": "pt"}
    assert report.output_bytes == file.size
    assert report.coded_bits is None


def test_what_is_declined_stays_as_it_was_and_says_why(packed, tmp_path):
    tensors = menagerie()
    report, file = packed(tensors, target=Target(bits=5))
    notes = {fate.tensor.name: NOTES[fate.tensor.note] for fate in report.fates}
    quantized = {
        "conv.weight", "fc.weight", "tied.weight", "half.weight", "brain.weight", "double.weight",
    }  # fmt: skip
    assert {name for name, note in notes.items() if not note} == quantized
    assert notes["tokens"] == notes["int8"] == notes["steps"] == "integer"
    assert notes["flags"] == "boolean"
    assert notes["float8"] == "8-bit float or less"
    assert notes["complex"] == "complex"
    assert notes["norm.weight"] == notes["norm.bias"] == notes["scalar"] == "one axis"
    assert notes["tiny.weight"] == notes["empty"] == "small"
    assert notes["not_finite.weight"] == notes["mask"] == "not finite"
    assert notes["float_mask"] == "mask"
    assert notes["constant.weight"] == "constant"
    unpack(file, tmp_path / "y.safetensors")
    again = SafetensorsFile(tmp_path / "y.safetensors")
    for entry in again.entries:
        dtype, shape, raw = parts_of(tensors[entry.name])
        assert (entry.dtype, entry.shape) == (dtype, tuple(shape))
        if entry.name not in quantized:
            assert again.raw(entry).tobytes() == raw.tobytes(), entry.name
        else:
            was = float_of(tensors[entry.name]).reshape(-1)
            error = float_of((dtype.name, shape, again.raw(entry))) - was
            assert 0 < np.sqrt(np.mean(error**2)) < 0.1 * was.std()


def test_tied_tensors_are_stored_once(packed):
    report, file = packed(menagerie(), target=Target(bits=5))
    one, other = file.tensors["fc.weight"], file.tensors["tied.weight"]
    assert (one.blob, one.first) == (other.blob, other.first)
    alone = {k: v for k, v in menagerie().items() if k != "tied.weight"}
    assert report.output_bytes - packed(alone, target=Target(bits=5))[0].output_bytes < 40


def test_tied_tensors_with_different_wishes_are_not_one(packed):
    _, file = packed(menagerie(), target=Target(bits=5), exclude=["tied.*"])
    assert file.tensors["fc.weight"].kind is Kind.STEP
    assert file.tensors["tied.weight"].kind is Kind.VALUES
    assert file.raw(file.tensors["tied.weight"]).tobytes() == bell((50, 40), 1).tobytes()


@pytest.mark.parametrize("bits", [1.5, 3.0, 4.0, 6.0])
def test_bits_are_kept_and_used(packed, bits):
    tensors = {f"w{i}": bell((200, 100 + i), i, 0.01 * 2**i) for i in range(4)}
    report, _ = packed(tensors, target=Target(bits=bits))
    assert 0.95 * bits < report.coded_bits <= bits


@pytest.mark.parametrize("ratio", [3.0, 7.0, 12.0])
def test_a_ratio_is_kept_and_used(packed, ratio):
    tensors = {**{f"w{i}": bell((200, 100), i) for i in range(4)}, "n": bell((500,))}
    report, file = packed(tensors, target=Target(ratio=ratio))
    found = report.input_bytes / file.size
    assert ratio <= found < 1.05 * ratio


def test_a_huge_value_that_turns_all_others_to_zero_is_told(packed):
    spoiled = bell((64, 64))
    spoiled[3, 5] = 1e30
    report, _ = packed({"fine": bell((64, 64)), "spoiled": spoiled, "zero": np.zeros((64, 64))})
    assert {fate.tensor.name: fate.erased for fate in report.fates}["spoiled"]
    assert report.warning
    assert "'spoiled': nearly all values are 0" in report.warning
    assert "fine" not in report.warning
    assert "more" not in report.warning
    sparse = np.where(np.arange(4096) % 50 == 0, bell((4096,)), 0).reshape(64, 64)
    report, _ = packed(
        {"sparse": sparse.astype(np.float32), "fine": bell((64, 64))}, target=Target(bits=3)
    )
    assert report.warning is None


@pytest.mark.parametrize("error", [0.01, 0.1, 0.5])
def test_no_tensor_exceeds_the_largest_error(packed, error):
    tensors = {f"w{i}": bell((100, 100 + i), i, 3.0**i) for i in range(4)}
    tensors["far"] = tensors["w0"] + np.float32(2)  # a mean that is no part of the deviation
    report, file = packed(tensors, target=Target(max_error=error))
    for fate in report.fates:
        was = tensors[fate.tensor.name].astype(np.float64)
        now = file.raw(fate.tensor).view("<f4").reshape(was.shape)
        found = np.sqrt(np.mean((now - was) ** 2)) / was.std()
        assert found <= error * (1 + 1e-6)
        assert found > 0.8 * error
        assert fate.error == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@pytest.mark.parametrize("error", [0.01, 0.003, 0.0003])
def test_the_error_counts_the_rounding_to_a_narrow_type(packed, dtype, error):
    raw = narrow(bell((4096,)), BY_NAME[dtype])
    report, file = packed({"w": (dtype, (64, 64), raw)}, target=Target(max_error=error))
    was, now = (as_float32(x, BY_NAME[dtype]).astype(np.float64)
                for x in (raw, file.raw(file.tensors["w"])))  # fmt: skip
    found = np.sqrt(np.mean((now - was) ** 2)) / was.std()
    assert found <= error
    assert report.fates[0].error == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("scale", [1e25, 1e-30])
def test_errors_of_huge_and_of_tiny_weights_are_numbers(packed, scale):
    with warnings.catch_warnings(action="error"):
        report, _ = packed({"w": bell((64, 64), scale=scale)}, target=Target(max_error=0.1))
    assert 0.09 < report.fates[0].error <= 0.1


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_the_largest_number_of_a_type_does_not_become_infinite(packed, dtype):
    kind = BY_NAME[dtype]
    largest = {"F32": 3.4028235e38, "F16": 65504.0, "BF16": 3.3895314e38}[dtype]
    values = bell((64, 64), scale=largest / 8)
    values[0, 0] = largest
    raw = narrow(values.reshape(-1), kind)
    with warnings.catch_warnings(action="error"):
        report, file = packed(
            {"w": (dtype, (64, 64), raw), "v": bell((64, 64))}, target=Target(bits=2.5)
        )
    assert NOTES[report.fates[0].tensor.note] == "out of range of its step"
    assert 2.4 < report.coded_bits <= 2.5  # what stays as it was takes nothing from the others
    assert np.isfinite(as_float32(file.raw(file.tensors["w"]), kind)).all()


def test_a_target_that_nothing_meets_is_said(packed, tmp_path):
    with pytest.raises(UnreachableError, match="coarsest step"):
        packed({"w": bell((100, 100))}, target=Target(ratio=5000.0))
    with pytest.raises(UnreachableError, match=r"as they were: 'n' [\d,]+ \(one axis\)"):
        packed({"n": bell((5000,))}, target=Target(ratio=3.0))
    assert not (tmp_path / "x.intactw").exists()


def test_globs_add_to_the_defaults(packed):
    tensors = menagerie()
    _, file = packed(tensors, target=Target(bits=6), include=["norm.bias", "tiny*", "tokens"])
    assert file.tensors["norm.bias"].kind is Kind.STEP
    assert file.tensors["tiny.weight"].kind is Kind.STEP
    assert file.tensors["tokens"].kind is Kind.VALUES  # no glob makes integers floats
    with pytest.raises(ArgumentError, match="no tensor's name matches 'nothing"):
        packed(tensors, exclude=["nothing*"])


def test_a_recipe_gives_each_its_own(packed):
    text = """
        exclude = ["half*"]
        [[tensors]]
        match = "conv*"
        bits = 2.5
        [[tensors]]
        match = "fc*"
        max_error = 0.01
        [[tensors]]
        match = "double*"
        lossless = true
    """
    report, _ = packed(menagerie(), **read_recipe(text.encode(), "r"))
    fates = {fate.tensor.name: fate for fate in report.fates}
    assert 8 * fates["conv.weight"].share.size / (24 * 16 * 9) <= 2.5
    assert fates["fc.weight"].error <= 0.01
    assert NOTES[fates["double.weight"].tensor.note] == "lossless"
    assert NOTES[fates["half.weight"].tensor.note] == "excluded"
    assert fates["brain.weight"].error > 0


def test_rules_that_ask_the_same_are_met_each(packed):
    tensors = {"a": bell((64, 64)), "b": bell((64, 64), 1) ** 3}
    rules = [Rule("a", Target(bits=3.5)), Rule("b", Target(bits=3.5))]
    report, _ = packed(tensors, rules=rules)
    for fate in report.fates:
        assert 3.4 < 8 * fate.share.size / 64**2 <= 3.5


def test_few_bits_are_reached_where_headers_are_most_of_them(packed):
    tensors = {f"w{i}": bell((100, 100 + i), i, 0.01 * 2**i) for i in range(8)}
    report, _ = packed(tensors, target=Target(bits=0.02))
    assert 0.018 < report.coded_bits <= 0.02


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no such key"),
        ("include = 'a'", "list of patterns"),
        ("[[tensors]]\nmatch = 'a'", "one of bits"),
        ("[[tensors]]\nbits = 1", "wanted match"),
        ("[[tensors]]\nmatch = 'a'\nbits = 1\nmax_error = 0.1", "one of bits"),
        ("[[tensors]]\nmatch = 'a'\nbits = 99", "r.toml, rule 1: bits is 99, legal: 0.01 .. 12"),
        ("[[tensors]]\nmatch = 'a'\nbits = true", "legal: 0.01 .. 12"),
        ("[[tensors]]\nmatch = 'a'\nlossless = false", "must be true"),
        ("tensors = 1", r"\[\[tensors\]\]"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(text, message):
    with pytest.raises(ArgumentError, match=message):
        read_recipe(text.encode(), "r.toml")


@pytest.mark.parametrize("data", [b"[[", b"exclude = ['\xff']", b"include = " + b"[" * 9999])
def test_a_recipe_that_is_no_toml_is_corrupt(data):
    with pytest.raises(CorruptDataError, match="no TOML"):
        read_recipe(data, "r.toml")


def test_one_target_at_a_time():
    with pytest.raises(ArgumentError, match="not both"):
        Target(bits=4, ratio=3)
    assert Settings(rules=[Rule("a*", Target(bits=1))]).target_of("ab") == Target(bits=1)


def test_an_outlier_that_no_step_reaches_keeps_its_tensor_as_it_was(packed):
    tensor = bell((100, 100), scale=1)
    tensor[0, 0] = 1e4  # std is 100: the step that is asked for has 290,000 multiples up to here
    report, file = packed({"w": tensor, "v": bell((100, 100))}, target=Target(max_error=0.0001))
    assert NOTES[report.fates[0].tensor.note] == "out of range of its step"
    assert file.raw(file.tensors["w"]).tobytes() == tensor.tobytes()
    assert report.fates[1].error is not None


def test_more_bits_than_there_are_give_the_finest_step_there_is(packed):
    report, _ = packed({"w": bell((100, 100))}, target=Target(bits=12))
    assert report.coded_bits <= 12
    assert report.fates[0].error < 1e-3


def test_large_tensors_are_cut_into_blobs(packed, monkeypatch):
    from intact.packing import build

    monkeypatch.setattr(build, "BLOB_VALUES", 1000)
    monkeypatch.setattr(build, "SMALL_VALUES", 100)
    tensors = {
        "rows": bell((50, 90)), "long": bell((3, 2500), 1), "row": bell((4321,), 2),
        "kept": np.arange(5000).reshape(50, 100), "one": bell((1, 1), 3),
    }  # fmt: skip
    _, file = packed(tensors, target=Target(max_error=0.01), include=["row"])
    assert len(file.index.blobs) > 15
    for name, tensor in tensors.items():
        found = file.raw(file.tensors[name], threads=2)
        if name in ("kept", "one"):
            assert found.tobytes() == tensor.tobytes()
        else:
            error = found.view("<f4").reshape(tensor.shape) - tensor
            assert np.sqrt(np.mean(error**2)) <= 0.0101 * tensor.std()


@pytest.mark.parametrize(
    "shape", [(), (1,), (7,), (3, 5), (5, 3, 2, 2), (2, 3000000), (2100, 1000)]
)
def test_spans_cover_a_tensor_once(shape):
    count, behind = math.prod(shape), 0
    for start, rows, columns in spans(shape, count):
        assert start == behind
        assert 0 < rows * columns <= limits.BLOB_VALUES
        behind = start + rows * columns
    assert behind == count


def test_shards_come_back_as_they_were(tmp_path):
    tensors = list(menagerie().items())
    halves = {"m-00001.safetensors": dict(tensors[:9]), "m-00002.safetensors": dict(tensors[9:])}
    for name, half in halves.items():
        (tmp_path / name).write_bytes(safetensors_bytes(half, {"format": "pt", "shard": name}))
    index = {
        "metadata": {"total_size": 123},
        "weight_map": {key: name for name, half in halves.items() for key in half},
    }
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    sources, content = open_input(tmp_path / "m.safetensors.index.json")
    with files.writing(tmp_path / "m.intactw") as file:
        pack(sources, file, Settings(target=Target()), content)
    packed = WeightsFile(tmp_path / "m.intactw")
    (tmp_path / "again").mkdir()
    written = unpack(packed, tmp_path / "again" / "m.safetensors.index.json")
    assert len(written) == 3
    for name in halves:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()
    again = json.loads((tmp_path / "again" / "m.safetensors.index.json").read_text())
    assert again == index
    unpack(packed, tmp_path / "one.safetensors")
    one = SafetensorsFile(tmp_path / "one.safetensors")
    assert len(one.entries) == len(tensors)
    assert one.header.metadata == {"format": "pt"}  # what all shards say; transformers asks for it


def test_a_file_that_had_none_is_cut_into_shards(packed, tmp_path, monkeypatch):
    from intact.packing import inputs

    monkeypatch.setattr(inputs, "SHARD_BYTES", 10_000)
    _, file = packed(menagerie(), target=Target())
    written = unpack(file, tmp_path / "s.safetensors.index.json")
    assert len(written) > 3
    sources, _ = open_input(written[-1])
    for source in sources:
        assert source.raw().tobytes() == parts_of(menagerie()[source.name])[2].tobytes()


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "../x.safetensors"}, "same folder"),
        ({"a": "/etc/passwd"}, "same folder"),
        ({"a": ".x.safetensors"}, "same folder"),
        ({"a": "x.bin"}, "same folder"),
        ({"a": 3}, "same folder"),
        ({"a": "x.safetensors", "b": "x.safetensors"}, "tensor 'b' is in None"),
        ({}, "tensor"),
    ],
)
def test_an_index_of_shards_that_lies_is_refused(tmp_path, weight_map, message):
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes({"a": bell((2, 2))}))
    (tmp_path / "y.safetensors").write_bytes(safetensors_bytes({"c": bell((2, 2))}))
    weight_map = weight_map or {"a": "x.safetensors", "b": "y.safetensors"}
    path = tmp_path / "m.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CorruptDataError, match=message):
        open_input(path)


def test_two_shards_may_not_have_one_name(tmp_path):
    for name in "xy":
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors_bytes({"a": bell((2, 2))}))
    (tmp_path / "m.index.json").write_text(
        json.dumps({"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}})
    )
    with pytest.raises(CorruptDataError, match=r"'a' is in x.safetensors and in y.safetensors"):
        open_input(tmp_path / "m.index.json")


@pytest.mark.parametrize("name", ["__metadata__", "\ud800"])
def test_a_name_that_no_file_can_have_is_refused_before_anything_is_packed(name):
    source = Source(name, BY_NAME["U8"], (3,), lambda: np.zeros(3, np.uint8))
    with pytest.raises(ArgumentError, match="cannot be the name of a tensor"):
        pack([source], io.BytesIO(), Settings(), Content())


def test_a_foreign_file_with_a_tensor_of_the_metadata_s_name_is_not_unpacked_to_rubbish(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("intact.packing.save.is_name", lambda _: True)
    save({"__metadata__": bell(3)}, tmp_path / "x.intactw")
    assert load(tmp_path / "x.intactw")["__metadata__"].shape == (3,)
    with pytest.raises(UnsupportedError, match="tensor named '__metadata__'"):
        unpack(WeightsFile(tmp_path / "x.intactw"), tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_texts_of_shards_that_are_no_unicode_are_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes({"a": bell((2, 2))}))
    path = tmp_path / "m.safetensors.index.json"
    path.write_text(json.dumps({"metadata": "\ud800", "weight_map": {"a": "x.safetensors"}}))
    with pytest.raises(CorruptDataError, match="no Unicode"):
        open_input(path)
    path.write_text(json.dumps({"metadata": "plain", "weight_map": {"a": "x.safetensors"}}))
    sources, content = open_input(path)
    [feature] = content.features
    odd = Feature(feature.name, feature.required, feature.data.replace(b"plain", b"\\ud800"))
    with (tmp_path / "x.intactw").open("w+b") as file:
        pack(sources, file, Settings(), Content({}, [odd]))
    (tmp_path / "out").mkdir()
    with pytest.raises(CorruptDataError, match="feature shards: has a text that is no Unicode"):
        unpack(WeightsFile(tmp_path / "x.intactw"), tmp_path / "out" / "m.safetensors.index.json")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": 3}', "\xff"])
def test_an_index_of_shards_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "m.index.json").write_text(text, "latin1")
    with pytest.raises(CorruptDataError):
        open_input(tmp_path / "m.index.json")


def test_any_cut_and_any_flipped_byte_is_noticed(packed, tmp_path):
    _, file = packed({"w": bell((40, 40)), "n": np.arange(9)}, {"a": "b"}, target=Target(bits=3))
    data = (tmp_path / "x.intactw").read_bytes()
    path = tmp_path / "bad.intactw"

    def read():
        bad = WeightsFile(path)
        for tensor in bad.index.tensors:
            bad.raw(tensor)

    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CorruptDataError):
            read()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        with pytest.raises((CorruptDataError, UnsupportedError)):
            read()
    path.write_bytes(data + b"\0")
    with pytest.raises(CorruptDataError, match="tail"):
        read()
    assert file.size == len(data)


def file_with(index_of, tmp_path):
    buffer = io.BytesIO()
    writer = Writer(buffer)
    index_of(writer)
    writer.finish()
    (tmp_path / "z.intactw").write_bytes(buffer.getvalue())
    return WeightsFile(tmp_path / "z.intactw")


def test_a_newer_file_is_refused_by_name(tmp_path):
    def newer(writer):
        writer.index.features.append(Feature("sparse blocks", required=True, data=b"x"))

    with pytest.raises(UnsupportedError, match="sparse blocks"):
        file_with(newer, tmp_path)


def test_a_feature_that_may_be_ignored_is(tmp_path):
    def newer(writer):
        writer.index.features.append(Feature("provenance", required=False, data=b"x"))

    assert file_with(newer, tmp_path).index.features[0].name == "provenance"


def test_another_major_version_is_refused(tmp_path):
    file_with(lambda writer: None, tmp_path)
    path = tmp_path / "z.intactw"
    data = bytearray(path.read_bytes())
    data[8] = 0x20
    path.write_bytes(data)
    with pytest.raises(UnsupportedError, match=r"version 2.0"):
        WeightsFile(path)


def test_an_empty_network_is_a_file(packed, tmp_path):
    report, file = packed({}, {"a": "b"})
    assert file.index.tensors == []
    assert file.size > HEADER_BYTES
    assert report.coded_bits is None
    unpack(file, tmp_path / "y.safetensors")
    assert SafetensorsFile(tmp_path / "y.safetensors").header.metadata == {"a": "b"}


def test_one_tensor_is_read_without_the_others(packed, tmp_path):
    _, file = packed(menagerie(), target=Target(bits=4))
    wanted, other = file.tensors["conv.weight"], file.tensors["double.weight"]
    data = bytearray((tmp_path / "x.intactw").read_bytes())
    data[HEADER_BYTES + file.index.blobs[other.blob].start] ^= 255
    (tmp_path / "x.intactw").write_bytes(data)
    damaged = WeightsFile(tmp_path / "x.intactw")
    assert np.array_equal(damaged.raw(wanted), file.raw(wanted))
    with pytest.raises(CorruptDataError, match=r"double.weight"):
        damaged.raw(other)


def test_rounding_leans_to_what_is_cheap_and_no_further():
    values = bell((20000,), scale=1.0)
    found = statistics(values.view("<u4"), parts_of(values)[0])
    symbols = Rounding(found.sample, 0.5).symbols(values, np.float32(0.5))
    near = np.rint(values / 0.5).astype(int)
    assert np.all((symbols == near) | (symbols == near - np.sign(near)))
    assert 0 < np.mean(symbols != near) < 0.1
    assert np.abs(values - symbols * 0.5).max() <= 0.5
