"""papers/agustsson2017/table1: its files, its batches, and that result.csv says what files are."""

import csv
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

FOLDER = Path(__file__).resolve().parents[2] / "papers/agustsson2017/table1"


@pytest.fixture(scope="module")
def table() -> Any:
    """The scripts as modules, by name."""
    import importlib

    sys.path.insert(0, str(FOLDER))
    try:
        names = ("cifar", "resnet", "stored", "evaluate")
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))


def needs_coder(form):
    from intact.packing.coding import METHODS

    if form.coder not in METHODS:
        pytest.skip(f"the coder {form.coder!r} is not there")


def needs_data(table):
    if not (table["cifar"].ROOT / "cifar10").is_dir():
        pytest.skip("CIFAR-10 is not in ../shared/data")


def rounded(table, share=1.5, one_axis_bits=None):
    """A network with random weights, as multiples of steps, many of them 0."""
    from intact.weights import finish
    from intact.weights.gptq import quantize

    generator = torch.Generator().manual_seed(0)
    network = table["resnet"].ResNet32()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) ** 3 / 9)
    weights = {n: p.detach() for n, p in network.named_parameters() if p.dim() > 1}
    coded = quantize(weights, {}, share, passes=0)
    return finish(network, coded, one_axis_bits=one_axis_bits)


@pytest.mark.parametrize("row", ["soft-to-hard-arithmetic", "soft-to-hard-huffman", "best", "ecsq"])
@pytest.mark.parametrize("one_axis_bits", [None, 7])
def test_a_file_gives_the_network_back(table, row, one_axis_bits, tmp_path):
    forms = {name: form for row in table["evaluate"].FORMS.values() for name, form in row.items()}
    needs_coder(forms[row])
    found, stored = rounded(table, one_axis_bits=one_axis_bits), table["stored"]
    path = tmp_path / "network.intactw"
    size = stored.write(found, path, forms[row])
    assert size == path.stat().st_size
    again, state = stored.read(path).state_dict(), found.model.state_dict()
    assert again.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(again[name], tensor), name
    # The paper's count leaves out names, shapes and checksums, and takes 32 bits for each center.
    assert 0.98 < stored.ratio_paper(path) / stored.ratio_file(path) < 1.03


def test_pruned_floats_are_given_back(table, tmp_path):
    from intact.weights import finish, prune, remove_masks

    needs_coder(table["evaluate"].GAPS)
    network = rounded(table).model
    prune(network, 0.8)
    remove_masks(network)
    found = finish(network, {}, half=False)
    path = tmp_path / "network.intactw"
    table["stored"].write(found, path, table["evaluate"].GAPS)
    again = table["stored"].read(path).state_dict()
    for name, tensor in found.model.state_dict().items():
        assert torch.equal(again[name], tensor), name


def test_batches_resume(table):
    cifar = table["cifar"]
    images = torch.arange(50 * 3 * 32 * 32).remainder(251).to(torch.uint8).view(50, 3, 32, 32)
    data = images, torch.arange(50)
    all_of_them = list(islice(cifar.batches(data, 8, 1), 14))  # over the end of an epoch, too
    for (x, y), (a, b) in zip(all_of_them[9:], cifar.batches(data, 8, 1, 9), strict=False):
        assert torch.equal(y, b)
        assert torch.equal(x, a)
    first = torch.cat([y for _, y in all_of_them[:6]])
    assert len(first.unique()) == 48


def test_augmentation_moves_and_mirrors(table):
    cifar = table["cifar"]
    image = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    # Edges are black, as the pretrained network knows them, not gray.
    padded = cifar.normalized(torch.nn.functional.pad(image, (4, 4, 4, 4)))
    crops = [padded[..., i : i + 32, j : j + 32] for i in range(9) for j in range(9)]
    allowed = torch.cat([*crops, *(crop.flip(3) for crop in crops)])
    found = cifar.augmented(image.expand(60, -1, -1, -1), torch.Generator().manual_seed(1))
    which = [int((allowed == x).flatten(1).all(1).nonzero()[0, 0]) for x in found]
    assert len(set(which)) > 30
    assert 15 < sum(i < 81 for i in which) < 45


def test_the_network_is_the_papers(table):
    needs_data(table)
    network = table["resnet"].pretrained()
    assert sum(p.numel() for p in network.parameters()) == 464154
    images, labels = table["cifar"].read("test", range(1))
    share, _ = table["resnet"].accuracy(
        network, (images[:200], labels[:200]), table["cifar"].normalized
    )
    assert share > 0.88  # 92.63 % of all


def test_counting_batch_norm_again_leaves_the_pretrained_network_as_it_is(table):
    from intact.weights import recalibrate

    needs_data(table)
    cifar, network = table["cifar"], table["resnet"].pretrained()
    images = cifar.read("train", range(1))[0].split(100)
    batches = [cifar.augmented(x, torch.Generator().manual_seed(i)) for i, x in enumerate(images)]
    before = network.bn1.running_var.clone()
    recalibrate(network, batches, lambda model, batch: model(batch))
    # Edges of another color than in its training change these by a third.
    assert float((network.bn1.running_var / before - 1).abs().mean()) < 0.1


def test_result_csv_says_how_large_the_packed_networks_are(table):
    methods = {method: name for name, (method, *_) in table["evaluate"].METHODS.items()}
    with (FOLDER / "result.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        path = FOLDER / "packed" / f"{methods[row['method']]}.intactw"
        if not path.exists():  # the original network lies in ../shared
            assert row["method"] == "original"
            continue
        stored = table["stored"]
        assert row["ratio_file"] == f"{stored.ratio_file(path):.2f}"
        assert row["ratio_paper"] == f"{stored.ratio_paper(path):.2f}"
