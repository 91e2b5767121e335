"""Commands that are ended by signals leave nothing behind. `kills.py` does it more often."""

import sys

import pytest

from fuzz.kills import kill

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def test_what_is_there_after_a_signal_is_whole_and_nothing_else_stays():
    rows = kill(1, seed=0)
    assert [fault for row in rows.values() for fault in row.faults] == []
    assert sum(row.aimed for row in rows.values()) >= 4  # else nothing was tested
