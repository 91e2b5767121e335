"""Networks of torch to files and back."""

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from intact.errors import ArgumentError, CorruptDataError, UnsupportedError  # noqa: E402
from intact.packing.file import WeightsFile  # noqa: E402
from intact.packing.index import Kind  # noqa: E402
from intact.quantize import Blocks, Fixed, Quantizer, grid_centers  # noqa: E402
from intact.weights import (  # noqa: E402
    Coded,
    Scale,
    compress,
    fold_batch_norm,
    give_channel_affines,
    load,
    load_into,
    prune,
    quantize_weights,
    save_module,
)
from intact.weights.checkpoints import num_bytes, read_checkpoint  # noqa: E402


def network(seed=0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(8 * 36, 5))
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / 10)
    return net.eval()


def pictures():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_network_comes_back_bit_for_bit(tmp_path):
    net, other = network(), network(1)
    save_module(net, tmp_path / "x.intactw", metadata={"of": "a test"})
    load_into(other, tmp_path / "x.intactw")
    for name, tensor in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("k", [1, 2, 7])
def test_a_quantized_network_computes_the_same_after_loading(tmp_path, scale, k):
    net = network()
    centers = grid_centers(9, 0.5).expand(1, 9, k).contiguous()
    weights = quantize_weights(
        net, quantizer=Quantizer(centers, Blocks(k), Fixed(2.0)), scale=scale
    )
    with pytest.raises(ArgumentError, match="harden"):
        save_module(net, tmp_path / "x.intactw")
    weights.harden()
    net.eval()
    save_module(net, tmp_path / "x.intactw")
    plain = network(1)
    load_into(plain, tmp_path / "x.intactw")
    assert torch.equal(plain(pictures()), net(pictures()))
    file = WeightsFile(tmp_path / "x.intactw")
    assert list(load(tmp_path / "x.intactw")).sort() == list(plain.state_dict()).sort()
    assert file.tensors["0.weight"].kind is Kind.CODEBOOK
    assert file.tensors["1.weight"].kind is Kind.VALUES
    found = np.concatenate([file.symbols(p.name).reshape(-1) for p in weights.pieces])
    if k == 1:
        assert np.array_equal(found, weights.symbols.numpy())


def test_all_types_of_torch_come_back(tmp_path):
    class Net(nn.Module):
        def __init__(self, seed):
            super().__init__()
            random = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
            for kind in (
                torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn,
                torch.float8_e5m2, torch.bool, torch.int8, torch.int64, torch.complex64,
            ):  # fmt: skip
                value = (random * 3).to(kind) if kind != torch.bool else random > 0
                self.register_buffer("of_" + str(kind).rpartition(".")[2], value.t())

    net, other = Net(0), Net(1)
    save_module(net, tmp_path / "x.intactw")
    load_into(other, tmp_path / "x.intactw")
    for name, tensor in net.state_dict().items():
        found = other.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found.to(torch.complex64), tensor.to(torch.complex64)), name


def test_names_and_shapes_that_do_not_fit_change_nothing(tmp_path):
    net, other = network(), network(1)
    save_module(net, tmp_path / "x.intactw")
    before = copy.deepcopy(other.state_dict())
    other.append(nn.Linear(5, 2))
    with pytest.raises(ArgumentError, match=r"differ in 2 names: the file lacks \['5.bias"):
        load_into(other, tmp_path / "x.intactw")
    assert all(torch.equal(other.state_dict()[name], t) for name, t in before.items())
    load_into(other, tmp_path / "x.intactw", strict=False)
    assert torch.equal(other[0].weight, net[0].weight)
    other[4] = nn.Linear(8 * 36, 6)
    with pytest.raises(ArgumentError, match=r"'4.weight' is \[5, 288\].* \[6, 288\]"):
        load_into(other, tmp_path / "x.intactw", strict=False)


@pytest.mark.parametrize("wrap", ["module", "_orig_mod"])
def test_a_wrapped_network_is_pointed_at_and_never_left_as_it_is_in_silence(tmp_path, wrap):
    net, other = network(), nn.Module()
    other.add_module(wrap, network(1))
    save_module(net, tmp_path / "x.intactw")
    for strict in (True, False):
        with pytest.raises(ArgumentError, match=f"what the module wraps, its '{wrap}'"):
            load_into(other, tmp_path / "x.intactw", strict=strict)
    save_module(other, tmp_path / "y.intactw")
    with pytest.raises(ArgumentError, match=f"around this one: save its '{wrap}' alone"):
        load_into(net, tmp_path / "y.intactw")
    quantize_weights(net)
    with pytest.raises(ArgumentError, match="module's weights are quantized"):
        load_into(net, tmp_path / "x.intactw")


@pytest.mark.parametrize(
    ("given", "there"),
    [(torch.ones(2) / 3, torch.ones(2).long()), (torch.ones(2).long(), torch.ones(2).bool()),
     (torch.ones(2, dtype=torch.complex64), torch.ones(2))],
)  # fmt: skip
def test_a_type_that_cannot_hold_the_values_changes_nothing(tmp_path, given, there):
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    net.register_buffer("b", given)
    other.register_buffer("b", there)
    save_module(net, tmp_path / "x.intactw")
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ArgumentError, match=r"tensor 'b' is .* in the module, which cannot hold"):
        load_into(other, tmp_path / "x.intactw")
    assert all(torch.equal(other.state_dict()[name], t) for name, t in before.items())


def test_tensors_that_cannot_be_written_are_named_before_anything_is_changed(tmp_path):
    save_module(nn.Sequential(nn.Linear(3, 2)), tmp_path / "x.intactw")
    with pytest.raises(ArgumentError, match=r"'0\.weight' of the module has no shape yet"):
        load_into(nn.Sequential(nn.LazyLinear(2)), tmp_path / "x.intactw")
    wide = nn.Module()
    wide.register_buffer("e", torch.ones(1, 3).expand(2, 3))
    save_module(wide, tmp_path / "y.intactw")
    with pytest.raises(ArgumentError, match="'e' of the module share memory"):
        load_into(wide, tmp_path / "y.intactw")


def test_a_state_that_a_module_makes_is_given_to_it(tmp_path):
    class Counted(nn.Linear):
        seen = 0

        def get_extra_state(self):
            return torch.tensor(self.seen)

        def set_extra_state(self, state):
            self.seen = int(state)

    net, other = Counted(2, 2), Counted(2, 2)
    net.seen = 7
    save_module(net, tmp_path / "x.intactw")
    load_into(other, tmp_path / "x.intactw")
    assert other.seen == 7
    assert torch.equal(other.weight, net.weight)


def test_what_is_no_network_is_said(tmp_path):
    state = network().state_dict()
    for attempt in (
        lambda: save_module(state, tmp_path / "x"), lambda: load_into(state, tmp_path / "x"),
        lambda: quantize_weights(state), lambda: compress(state, []), lambda: prune(state, 0.5),
        lambda: fold_batch_norm(state), lambda: give_channel_affines(state),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=r"OrderedDict; legal is a torch.nn.Module"):
            attempt()
    with pytest.raises(TypeError, match="strict is 'no'"):
        load_into(network(), tmp_path / "x", strict="no")  # type: ignore[arg-type]


def test_a_network_without_memory_is_not_loaded_in_silence(tmp_path):
    save_module(nn.Linear(3, 2), tmp_path / "x.intactw")
    with torch.device("meta"):
        empty = nn.Linear(3, 2)
    with pytest.raises(ArgumentError, match=r"'weight' of the module is on the device meta"):
        load_into(empty, tmp_path / "x.intactw")
    load_into(empty.to_empty(device="cpu"), tmp_path / "x.intactw")


def test_tied_parameters_stay_tied_and_are_stored_once(tmp_path):
    net = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 40))
    net[1].weight = net[0].weight
    save_module(net, tmp_path / "x.intactw")
    file = WeightsFile(tmp_path / "x.intactw")
    assert file.tensors["0.weight"].blob == file.tensors["1.weight"].blob
    other = copy.deepcopy(net)
    load_into(other, tmp_path / "x.intactw")
    assert other[0].weight is other[1].weight


def test_a_checkpoint_is_read_without_running_its_code(tmp_path):
    net = network()
    torch.save(net.state_dict(), tmp_path / "x.pt")
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, tmp_path / "y.pt")
    for name in ("x.pt", "y.pt"):
        sources = read_checkpoint(tmp_path / name)
        assert [s.name for s in sources] == list(net.state_dict())
        assert np.array_equal(sources[0].raw().view("<f4"), net[0].weight.detach().numpy().ravel())
    torch.save(net, tmp_path / "whole.pt")  # a pickled module: its classes are code
    with pytest.raises(UnsupportedError, match=r"holds a torch.*Sequential beside.*state_dict\(\)"):
        read_checkpoint(tmp_path / "whole.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(CorruptDataError, match="no state dict"):
        read_checkpoint(tmp_path / "list.pt")
    torch.save({"a": torch.ones(2), "epoch": 3}, tmp_path / "mixed.pt")
    with pytest.raises(CorruptDataError, match="'epoch' is a int, no tensor"):
        read_checkpoint(tmp_path / "mixed.pt")
    for name in ("\ud800", "__metadata__", 3):
        torch.save({name: torch.ones(2)}, tmp_path / "name.pt")
        with pytest.raises(CorruptDataError, match="cannot be the name of a tensor"):
            read_checkpoint(tmp_path / "name.pt")
    (tmp_path / "no.pt").write_bytes(b"nothing")
    with pytest.raises(CorruptDataError, match="no checkpoint of torch: starts with b'nothing'"):
        read_checkpoint(tmp_path / "no.pt")
    (tmp_path / "no.pt").write_bytes(b"")
    with pytest.raises(CorruptDataError, match="is empty"):
        read_checkpoint(tmp_path / "no.pt")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "missing.pt")


@pytest.mark.parametrize("path", [["state_dict"], ["model_state_dict"], ["model", "state_dict"]])
def test_a_state_dict_is_found_in_a_checkpoint_and_an_optimizer_does_not_count(tmp_path, path):
    net = network()
    tree: Any = net.state_dict()
    for key in reversed(path):
        tree = {key: tree, "epoch": 3, "optimizer": {"state": {0: torch.ones(10_000)}}}
    torch.save(tree, tmp_path / "x.pt")
    sources = read_checkpoint(tmp_path / "x.pt")
    assert [s.name for s in sources] == list(net.state_dict())
    total = sum(t.numel() * t.element_size() for t in net.state_dict().values())
    assert num_bytes(sources) == total


def test_what_is_tied_in_a_checkpoint_counts_once(tmp_path):
    weight = torch.ones(5, 4)
    torch.save({"a": weight, "b": weight, "none": torch.zeros(0)}, tmp_path / "x.pt")
    assert num_bytes(read_checkpoint(tmp_path / "x.pt")) == 80


def test_weights_in_another_place_of_a_checkpoint_are_pointed_at(tmp_path):
    torch.save({"net": network().state_dict(), "epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(CorruptDataError, match=r"under \['net'\], legal places: state_dict"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_sparse_tensor_is_refused_by_name(tmp_path):
    torch.save({"s": torch.eye(3).to_sparse()}, tmp_path / "x.pt")
    with pytest.raises(UnsupportedError, match=r"'s' is torch.sparse_coo"):
        read_checkpoint(tmp_path / "x.pt")


def test_quantized_tied_parameters_are_stored_once_and_under_both_names(tmp_path):
    net: Any = nn.Sequential(nn.Linear(40, 40, bias=False), nn.Linear(40, 40, bias=False))
    net[1].weight = net[0].weight
    whole = quantize_weights(net)
    whole.harden()
    net.eval()
    save_module(net, tmp_path / "x.intactw")
    file = WeightsFile(tmp_path / "x.intactw")
    assert set(file.tensors) == {"0.weight", "1.weight"}
    assert len(file.index.blobs) == 1
    found = load(tmp_path / "x.intactw")
    assert np.array_equal(found["0.weight"], net[0].weight.detach().numpy())
    assert np.array_equal(found["1.weight"], found["0.weight"])


def test_coded_tensors_take_the_place_of_the_network_s(tmp_path):
    net = network()
    coded = {
        "0.weight": Coded(torch.randint(-3, 4, (8, 3, 3, 3)), step=0.11),
        "4.weight": Coded(
            torch.randint(0, 3, (5, 288)), centers=torch.tensor([-1.0, 0, 1]), scale=0.3
        ),
    }  # fmt: skip
    save_module(net, tmp_path / "x.intactw", coded=coded)
    found = load(tmp_path / "x.intactw")
    for name, item in coded.items():
        assert np.array_equal(found[name], item.values.numpy())
    net[4].weight = nn.Parameter(net[4].weight.detach())
    tied: Any = nn.ModuleList([net[4], copy.deepcopy(net[4])])
    tied[1].weight = tied[0].weight
    one = {"0.weight": coded["4.weight"]}
    save_module(tied, tmp_path / "tied.intactw", coded=one)
    file = WeightsFile(tmp_path / "tied.intactw")
    assert file.tensors["1.weight"].kind is Kind.CODEBOOK
    assert file.tensors["1.weight"].blob == file.tensors["0.weight"].blob
    with pytest.raises(ArgumentError, match=r"'5\.weight', which is no tensor"):
        save_module(net, tmp_path / "x.intactw", coded={"5.weight": coded["0.weight"]})
