"""The fuzzer finds nothing in its first runs, and finds what is put in front of it.

`python tests/fuzz/fuzz_files.py` runs longer; see docs/fuzzing.md.
"""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import intact
from fuzz import check, edges, mutate
from fuzz.campaign import Campaign
from fuzz.fuzz_files import Fuzzer
from fuzz.reach import Reach
from fuzz.seeds import image_seeds, micro_model, micro_programs, payload_seeds
from intact.bits.tables import TableBank
from intact.bits.tree import bank_to_tree
from intact.bottleneck.checkerboard import Checkerboard
from intact.codec import image as codec, opinion
from intact.codec.model import Model
from intact.container.model_file import unpack_model
from intact.errors import CorruptDataError, IntactError, ModelError
from intact.intnet.backends import choose
from intact.intnet.program import Conv, Shuffle, Unshuffle
from tiny_model import picture

INVALID = Path(__file__).parents[2] / "vectors" / "invalid"


@pytest.fixture(autouse=True)
def quiet():
    """No line in the log for every decode."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def test_seeds_decode():
    check.check_seeds()


def test_mutated_files_are_refused_or_decode_right():
    fuzzer = Fuzzer(seed=11)
    for index in range(1500):
        fuzzer.run(index)
    report = fuzzer.finish()
    assert not report.failures, report.text()
    outcomes = {outcome for _, _, outcome in report.kinds}
    # The mutations get past the checksums: all errors occur, and so do harmless changes.
    errors = {"CorruptDataError", "InexactError", "ModelError", "UnsupportedError"}
    assert outcomes == errors | {"accepted"}


def _failures(**replaced) -> str:
    fuzzer = Fuzzer(seed=11, **replaced)
    for index in range(250):
        fuzzer.run(index)
    return "\n".join(fuzzer.finish().failures)


def test_a_decoder_that_raises_another_error_is_caught():
    def decode(data, **options):
        try:
            return intact.decode(data, **options)
        except CorruptDataError as error:
            raise KeyError("oops") from error

    assert "KeyError: 'oops'" in _failures(decode=decode)


def test_a_decoder_that_returns_a_wrong_picture_is_caught():
    def decode(data, **options):
        decoded = intact.decode(data, **options)
        return replace(decoded, pixels=decoded.pixels ^ np.uint8(1))

    assert "a wrong picture was returned" in _failures(decode=decode)


def test_a_decoder_that_does_not_check_is_caught(monkeypatch):
    attempt = opinion.attempt

    def decode(data, **options):
        with monkeypatch.context() as patch:
            patch.setattr(codec, "attempt", lambda f, n, w, _: attempt(f, n, w, None))
            return intact.decode(data, **options)

    assert "Broken" in _failures(decode=decode)


def test_a_loader_that_asserts_is_caught():
    def load(data):
        try:
            return Model.from_bytes(data)
        except ModelError as error:
            raise AssertionError("a rule is no assertion") from error

    assert "AssertionError" in _failures(load=load)


def test_a_hungry_run_and_a_slow_run_are_caught(monkeypatch):
    monkeypatch.setattr("fuzz.fuzz_files.SLOW_S", -1.0)
    assert "took" in _failures()
    monkeypatch.setattr("fuzz.fuzz_files.SLOW_S", 60.0)
    monkeypatch.setattr("fuzz.fuzz_files.MEMORY_KB", -1)
    assert "peak of memory grew" in _failures()


def test_coders_that_disagree_are_caught(monkeypatch):
    class Lenient(check.FAST_DECODER):
        def finish(self):
            pass

    monkeypatch.setattr(check, "FAST_DECODER", Lenient)
    seed = payload_seeds()[0]
    with pytest.raises(check.Broken, match="coders disagree"):
        check.check_payload(seed.payload + b"\0", seed)


def test_a_run_repeats():
    left, right = Fuzzer(seed=4), Fuzzer(seed=4)
    for index in range(40):
        assert left.case(index)[0] == right.case(index)[0]
    assert Fuzzer(seed=5).case(7)[0] != left.case(7)[0]


def test_repair_makes_checksums_right():
    """A repaired file without any change is the file; a changed one gets to the pixels' CRC."""
    for seed in image_seeds():
        assert mutate.repair_image(seed.data) == seed.data
        parts = mutate.split(seed.data, seed.file)
        assert parts.build() == seed.data
        parts.head[28] ^= 1  # the pixels' checksum
        with pytest.raises(CorruptDataError, match="pixels do not match"):
            intact.decode(parts.build(), model=seed.model, backend="reference")


def test_reach_sees_executed_lines():
    reach = Reach()
    with reach.watching(), pytest.raises(IntactError):
        check.peek(b"")
    assert reach.seen["container/header.py"]
    row = next(row for row in reach.table().splitlines() if row.startswith("container/cursor.py"))
    assert "Cursor.need" not in row  # all of it ran
    assert "never ran: Cursor.remaining" not in reach.table()


# ---------------------------------------------------------------- what the fuzzer found


@pytest.mark.parametrize("backend", choose.available())
def test_sixteen_of_seventeen_latents_can_be_predicted(backend):
    """The most there can be; with one more the model is the invalid one."""
    tree = unpack_model((INVALID / "more-predicted-than-sixteen.intactm").read_bytes())
    assert isinstance(tree, dict)
    model = Model.from_tree(tree | {"predicted": 16})
    assert model.channels["M"] == 17
    data = intact.encode(picture(70, 90), model=model, backend="reference")
    expected = intact.decode(data, model=model, backend="reference").pixels
    assert np.array_equal(intact.decode(data, model=model, backend=backend).pixels, expected)
    region = (20, 10, 33, 50)
    cut = intact.decode(data, model=model, backend=backend, region=region).pixels
    assert np.array_equal(cut, expected[10:60, 20:53])


def _refused(name: str, ops, match: str, **parts) -> None:
    programs = micro_programs()
    programs[name] = replace(programs[name], ops=tuple(ops))
    with pytest.raises(ModelError, match=match):
        replace(micro_model(), programs=programs, **parts)


def _conv(source: str, target: str, inputs: int, outputs: int, **options) -> Conv:
    weight = np.ones((outputs, inputs, 1, 1), int)
    zeros, ones = np.zeros(outputs, int), np.ones(outputs, int)
    return Conv(source, target, weight, zeros, zeros, ones, **options)


def test_features_must_be_as_large_as_the_latents():
    """Else the priors' symbols have fewer places than the tile: a ValueError at every decode."""
    first, shuffle = micro_programs()["hyper_synthesis"].ops[:2]
    _refused("hyper_synthesis", (first, replace(shuffle, target="f")), "hyper_synthesis.f is sized")


def test_no_program_but_the_analysis_unshuffles():
    """Latents are of any size: those of 17 pixels are not divisible."""
    ops = (Unshuffle("y", "u", 4), _conv("u", "z", 32, 1))
    _refused("hyper_analysis", ops, "does not fit every size")


def test_halving_and_doubling_is_not_the_same_size():
    ops = list(micro_programs()["prior_a"].ops)
    ops[-2:] = [
        _conv("d", "half", 2, 8, stride=2, low=0, high=255),
        Shuffle("half", "mean", 2),
        _conv("mean", "theta", 2, 2, low=0, high=255),
    ]
    _refused("prior_a", ops, "prior_a.mean is sized")


def test_latents_are_a_sixteenth_of_every_size():
    ops = (
        Unshuffle("pixels", "u", 16),
        _conv("u", "h", 768, 8, stride=2),
        Shuffle("h", "y", 2),
    )
    _refused("analysis", ops, "analysis.y is sized")


def test_hyper_latents_have_at_most_256_channels():
    """The table of each is its channel's number in 8 bits."""
    model = micro_model()
    programs = micro_programs()
    z = programs["hyper_synthesis"].inputs[0]
    first = _conv("z", "h", 257, 8)
    programs["hyper_synthesis"] = replace(
        programs["hyper_synthesis"],
        inputs=(replace(z, channels=257),),
        ops=(first, *programs["hyper_synthesis"].ops[1:]),
    )
    hyper = programs["hyper_analysis"]
    last = _conv("h", "z", 2, 257, stride=2)
    programs["hyper_analysis"] = replace(hyper, ops=(hyper.ops[0], last))
    many = TableBank.build([0] * 257, [[16383, 1]] * 257)
    bottleneck = Checkerboard.from_tree(model.tree | {"tables_z": bank_to_tree(many)})
    with pytest.raises(ModelError, match="257 hyper-latent channels"):
        replace(model, programs=programs, bottleneck=bottleneck)


def test_kernels_plugin_outputs_and_sources_meet_their_first_mutations():
    found = Counter(edges.run(seed=3, index=index) for index in range(240))
    accepted = {name for name, result in found if result.startswith("accepted")}
    refused = {name for name, result in found if not result.startswith("accepted")}
    assert accepted == {name for name, _ in edges.CHECKS}
    assert refused >= {"native image", "native model", "plugin", "source"}


def test_a_campaign_goes_on_where_it_was(tmp_path):
    path = tmp_path / "runs.json"
    first = Campaign(path, seed=3)
    first.go_on(6, seconds=60)
    assert (first.next, first.mark.exists()) == (6, False)
    second = Campaign(path, seed=3)
    second.go_on(10, seconds=60)
    assert (second.next, sum(second.outcomes.values()), second.failures) == (10, 10, [])
    second.mark.write_text("12")  # as a process leaves it that crashed
    third = Campaign(path, seed=3)
    assert third.next == 13
    assert third.failures == ["run 12: the process ended in it"]
    with pytest.raises(SystemExit, match="has seed 3"):
        Campaign(path, seed=4)
