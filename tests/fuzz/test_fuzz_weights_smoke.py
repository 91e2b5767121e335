"""The fuzzer of weight files finds nothing in its first runs, and reaches what it is to reach."""

from fuzz import fuzz_weights


def test_mutated_weights_are_refused_or_read_as_they_say():
    outcomes, failures = fuzz_weights.run(500, seed=3)
    assert not failures, failures[0]
    assert outcomes["weights CorruptDataError"] > 50
    assert outcomes["weights UnsupportedError"] > 0
    assert outcomes["weights accepted"] > 15  # the mutations get past the checksums
    assert outcomes["safetensors CorruptDataError"] > 20


def test_a_reader_that_raises_another_error_is_caught(monkeypatch):
    def read(path):
        raise KeyError(path)

    monkeypatch.setattr(fuzz_weights, "read_weights", read)
    assert "KeyError" in fuzz_weights.run(5, seed=3)[1][0]
