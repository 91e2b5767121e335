"""Trainings that are ended by signals go on as if nothing had been; `kills_train.py` does more."""

import sys

import pytest

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    pytest.mark.slow,
]


def test_a_training_that_was_ended_gives_the_same_weights():
    from fuzz.kills_train import kill

    rows = kill(2, seed=0)
    assert [fault for row in rows.values() for fault in row.faults] == []
    assert sum(row.ended for row in rows.values()) >= 4  # else nothing was tested
