"""``intact pack``, ``unpack`` and ``info`` of weights."""

import json
import os
import re

import numpy as np
import pytest

from intact.errors import IntactError
from intact.packing.file import HEADER_BYTES, WeightsFile
from intact.packing.safetensors import SafetensorsFile
from intact.weights import load
from tiny_tensors import bell, menagerie, safetensors_bytes


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors_bytes(menagerie(), {"format": "pt"}))
    return path


def test_a_model_goes_in_and_comes_out(intact, model, tmp_path):
    done = intact("pack", model, "--bits", "5")
    assert done.code == 0, done.err
    assert "bits a weight" in done.out.decode()
    assert "16 of 22 tensors as they were" in done.out.decode()
    packed = tmp_path / "net.intactw"
    assert intact("unpack", packed).code == 2  # it came from there
    done = intact("unpack", packed, "-o", tmp_path / "again.safetensors")
    assert done.code == 0, done.err
    again = SafetensorsFile(tmp_path / "again.safetensors")
    assert {e.name for e in again.entries} == set(menagerie())
    assert again.header.metadata == {"format": "pt"}
    assert set(load(packed)) == set(menagerie())


def test_lossless_gives_the_same_file_again(intact, model, tmp_path):
    assert intact("pack", model, "--lossless", "-o", tmp_path / "x.intactw").code == 0
    assert intact("unpack", tmp_path / "x.intactw", "-o", tmp_path / "y.safetensors").code == 0
    assert (tmp_path / "y.safetensors").read_bytes() == model.read_bytes()


def test_json_lists_every_tensor_with_its_reason(intact, model, tmp_path):
    found = intact("pack", model, "--max-error", "0.1", "--json").json
    assert found["ratio"] == pytest.approx(found["input_bytes"] / found["output_bytes"])
    tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert tensors["tokens"]["declined"] == "integer"
    assert tensors["conv.weight"]["declined"] is None
    assert 0.05 < tensors["conv.weight"]["error"] <= 0.1
    assert found["max_error"] <= 0.1
    out = intact(
        "unpack", tmp_path / "net.intactw", "--json", "-o", tmp_path / "y.safetensors"
    ).json
    assert out["outputs"] == [str(tmp_path / "y.safetensors")]


def test_info_says_what_is_in_a_file(intact, model, tmp_path):
    intact("pack", model)
    done = intact("info", tmp_path / "net.intactw")
    text = done.out.decode()
    assert done.code == 0, done.err
    assert "tied.weight" in text
    assert "as it was: integer" in text
    assert "a name, with \\n ümläuts" in text  # and nothing that breaks the table
    found = intact("info", tmp_path / "net.intactw", "--json").json["files"][0]
    assert found["metadata"] == {"format": "pt"}
    assert sum(t["coded_bytes"] for t in found["tensors"]) + found["index_bytes"] == found["bytes"]
    column = re.findall(r"  +([\d,]+) bytes(?=  |$)", text, re.MULTILINE)
    assert sum(int(number.replace(",", "")) for number in column) == found["bytes"]
    assert re.search(r"tied.weight .* 0 bytes .* stored once, with fc.weight", text)


def test_columns_of_info_stand_below_each_other_whatever_names_are(intact, tmp_path):
    tensors = {"a\nb\x00": bell((3,)), "": bell((3,)), "plain": bell((3,))}
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(tensors))
    assert intact("pack", tmp_path / "x.safetensors").code == 0
    rows = intact("info", tmp_path / "x.intactw").out.decode().splitlines()
    rows = [row for row in rows if " F32 " in row]
    assert len(rows) == 3
    assert len({row.index(" F32 ") for row in rows}) == 1
    assert any(row.startswith("  ''") for row in rows)


def test_info_of_a_damaged_file_names_a_tensor(intact, model, tmp_path):
    intact("pack", model)
    path = tmp_path / "net.intactw"
    data = bytearray(path.read_bytes())
    file = WeightsFile(path)
    blob = file.index.blobs[file.tensors["conv.weight"].blob]
    data[HEADER_BYTES + blob.start] ^= 1
    path.write_bytes(data)
    done = intact("info", path)
    assert done.code == 1
    assert "damaged: tensors ['conv.weight']" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", "4", "--ratio", "3"], "exclude each other"),
        (["--bits", "0"], "not in 0.01..12"),
        (["--bits", "many"], "not a number"),
        (["--exclude", "nothing*"], "no tensor's name matches"),
        (["-o", "."], "the output must be a file"),
        (["-o", "-"], "the output must be a file"),
    ],
)
def test_wrong_arguments_are_usage_errors(intact, model, options, message):
    done = intact("pack", model, *options)
    assert done.code == 2
    assert message in done.err


def test_an_input_is_never_overwritten(intact, model):
    before = model.read_bytes()
    done = intact("pack", model, "-o", model)
    assert done.code == 2
    assert "input and output at once" in done.err
    assert model.read_bytes() == before


def test_a_name_that_nobody_chose_is_not_replaced(intact, model, tmp_path):
    (tmp_path / "net.intactw").write_bytes(b"mine")
    done = intact("pack", model)
    assert done.code == 2
    assert "exists; give -o or --force" in done.err
    assert (tmp_path / "net.intactw").read_bytes() == b"mine"
    assert intact("pack", model, "--force").code == 0


def test_a_ratio_that_cannot_be_reached_is_said_with_the_most_and_what_is_in_the_way(
    intact, model, tmp_path
):
    done = intact("pack", model, "--ratio", "2000")
    assert done.code == 6
    assert not (tmp_path / "net.intactw").exists()
    [most] = re.findall(r"ratio 2000 cannot be reached, ([\d.]+) is the most", done.err)
    assert re.search(r"stay as they were: 'int8' [\d,]+ \(integer\), ", done.err)
    assert intact("pack", model, "--ratio", most).code == 0
    assert intact("pack", model, "--ratio", float(most) + 0.1, "--force").code == 6


def test_so_few_bits_that_nothing_takes_them_are_said_with_the_least(intact, tmp_path):
    model = tmp_path / "net.safetensors"
    model.write_bytes(safetensors_bytes({"w": bell((40, 40))}))
    done = intact("pack", model, "--bits", "0.01")
    assert done.code == 6
    [least] = re.findall(r"0.01 bits a weight cannot be reached, ([\d.]+) are the least", done.err)
    assert intact("pack", model, "--bits", least).code == 0


def test_weights_that_lose_nearly_everything_are_said_to(intact, tmp_path):
    model = tmp_path / "net.safetensors"
    model.write_bytes(safetensors_bytes({"w": bell((100, 100)), "b": bell((9,))}))
    how = ("--force", "--ratio")
    done = intact("pack", model, *how, "40")
    assert done.code == 0
    assert re.search(r"1 of 1 quantized tensors .* above 0.5 std, .* hardly work; usual", done.err)
    done = intact("pack", model, *how, "40", "--json")
    assert done.json["warning"] in done.err
    assert intact("pack", model, *how, "40", "--quiet").err == ""
    done = intact("pack", model, *how, "7", "--json")
    assert (done.err, done.json["warning"]) == ("", None)


def test_damaged_and_missing_inputs_have_their_codes(intact, tmp_path):
    assert intact("pack", tmp_path / "no.safetensors").code == 5
    (tmp_path / "bad.safetensors").write_bytes(b"12345678")
    assert intact("pack", tmp_path / "bad.safetensors").code == 1
    assert intact("unpack", tmp_path / "bad.safetensors", "-o", tmp_path / "x").code == 1


def test_a_full_disk_leaves_what_was_there(intact, model, tmp_path, monkeypatch):
    target = tmp_path / "out.intactw"
    target.write_bytes(b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = intact("pack", model, "-o", target)
    assert done.code == 5
    assert f"{target}: No space left" in done.err
    assert target.read_bytes() == b"before"
    assert {p.name for p in tmp_path.iterdir()} == {"net.safetensors", "out.intactw"}


def test_a_recipe_is_read(intact, model, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('exclude = ["fc*", "tied*"]\n[[tensors]]\nmatch = "conv*"\nbits = 2.0\n')
    found = intact("pack", model, "--recipe", recipe, "--json").json
    tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert tensors["fc.weight"]["declined"] == "excluded"
    assert 8 * tensors["conv.weight"]["coded_bytes"] <= 2.0 * 24 * 16 * 9
    recipe.write_text("[[tensors]]\nname = 'a'\n")
    done = intact("pack", model, "--recipe", recipe, "--force")
    assert done.code == 2
    assert "rule 1: no such key: 'name'" in done.err


def test_shards_go_in_and_come_out(intact, tmp_path):
    halves = {"s-1.safetensors": {"a": bell((50, 50))}, "s-2.safetensors": {"b": bell((9,))}}
    for name, half in halves.items():
        (tmp_path / name).write_bytes(safetensors_bytes(half))
    index = {"weight_map": {key: name for name, half in halves.items() for key in half}}
    (tmp_path / "s.safetensors.index.json").write_text(json.dumps(index))
    done = intact("pack", tmp_path / "s.safetensors.index.json", "--lossless")
    assert done.code == 0, done.err
    packed, again = tmp_path / "s.intactw", tmp_path / "again"
    again.mkdir()
    done = intact("unpack", packed, "-o", again / "s.safetensors.index.json")
    assert done.code == 0, done.err
    for name in halves:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()
    # The names of shards are those of the file: where they are taken nothing is written.
    (again / "s.safetensors.index.json").unlink()
    done = intact("unpack", packed, "-o", again / "s.safetensors.index.json")
    assert done.code == 2
    assert "s-1.safetensors exists; give another folder or --force" in done.err
    assert not (again / "s.safetensors.index.json").exists()


def test_a_checkpoint_of_torch_is_read(intact, tmp_path):
    torch = pytest.importorskip("torch")
    weight = torch.from_numpy(bell((60, 60)))
    torch.save({"w": weight, "n": torch.ones(3)}, tmp_path / "net.pt")
    done = intact("pack", tmp_path / "net.pt", "--bits", "6")
    assert done.code == 0, done.err
    found = load(tmp_path / "net.intactw")
    assert np.abs(found["w"] - weight.numpy()).max() < 0.01
    assert found["n"].tolist() == [1, 1, 1]


def test_a_checkpoint_is_told_by_its_content_and_its_optimizer_is_no_weights(intact, tmp_path):
    torch = pytest.importorskip("torch")
    weight = torch.from_numpy(bell((60, 60)))
    tree = {"state_dict": {"w": weight}, "optimizer": torch.ones(100_000)}
    for name in ("net.pth.tar", "net", "x.safetensors", "old"):
        torch.save(tree, tmp_path / name, _use_new_zipfile_serialization=name != "old")
        out = tmp_path / "x.intactw"
        done = intact("pack", tmp_path / name, "--ratio", "8", "-o", out, "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert found["input_bytes"] == 4 * 3600
        assert 7.9 < found["ratio"] < 8.2
    (tmp_path / "y.pt").write_bytes(safetensors_bytes({"w": bell((60, 60))}, {}))
    assert intact("pack", tmp_path / "y.pt").code == 0
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    done = intact("pack", tmp_path / "whole.pt")
    assert done.code == 3
    assert "torch.save(model.state_dict(), ...)" in done.err


def test_every_error_of_a_packed_file_names_the_file_once(intact, model, tmp_path):
    whole = tmp_path / "net.intactw"
    assert intact("pack", model).code == 0
    data = whole.read_bytes()
    at = HEADER_BYTES + 5
    cases = {
        "cut": data[:-5], "short": data[:10], "other": b"x" * 100,
        "newer": data[:8] + b"\xf0" + data[9:],
        "blob": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    }  # fmt: skip
    for name, bad in cases.items():
        path = tmp_path / f"{name}.intactw"
        path.write_bytes(bad)
        with pytest.raises(IntactError) as caught:
            load(path)
        assert str(caught.value).count(str(path)) == 1, (name, caught.value)
        for verb in ("unpack", "info"):
            done = intact(verb, path)
            assert done.code in (1, 3), name
            assert done.err.count(str(path)) == 1, (name, verb, done.err)
