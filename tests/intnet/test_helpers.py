"""Helpers share work, are not waited for in vain, and a shortage of threads is no fault."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections import deque

import numpy as np
import pytest

from intact.intnet import ops
from intact.intnet.backends import choose
from intact.intnet.backends.helpers import Helpers


def pieces_taken(helpers, count, pieces=40):
    """Which threads took how many pieces."""
    left, taken = deque(range(pieces)), []

    def work():
        while True:
            try:
                piece = left.popleft()
            except IndexError:
                return
            time.sleep(0.002)
            taken.append((piece, threading.get_ident()))

    helpers.share(work, count)
    assert sorted(piece for piece, _ in taken) == list(range(pieces))
    return {thread for _, thread in taken}


def test_work_is_shared_with_as_many_as_there_are_pieces_for():
    with Helpers(3) as helpers:
        assert len(pieces_taken(helpers, 3)) > 1
        assert len(helpers._threads) == 3
        assert pieces_taken(helpers, 0) == {threading.get_ident()}
    with Helpers(3) as helpers:
        pieces_taken(helpers, 1)
        assert len(helpers._threads) == 1


def test_helpers_are_gone_afterwards():
    with Helpers(2) as helpers:
        pieces_taken(helpers, 2)
    deadline = time.monotonic() + 5
    while set(helpers._threads) & sys._current_frames().keys() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(helpers._threads) == 2
    assert not set(helpers._threads) & sys._current_frames().keys()


def test_a_helper_that_comes_late_is_not_waited_for(monkeypatch):
    """It may wake up long after the work is done, where others have the cores."""
    monkeypatch.setattr(Helpers, "_serve", lambda self: time.sleep(3))
    begin = time.monotonic()
    with Helpers(1) as helpers:
        assert pieces_taken(helpers, 1) == {threading.get_ident()}
    assert time.monotonic() - begin < 2


def test_the_caller_waits_for_who_has_begun():
    begun, done = threading.Event(), []

    def work():
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            time.sleep(0.05)
            done.append(1)
        else:
            begun.wait(5)

    with Helpers(1) as helpers:
        helpers.share(work, 1)
        assert done == [1]


def test_what_a_helper_raises_is_raised_and_it_serves_on():
    begun = threading.Event()

    def work():
        if threading.current_thread() is threading.main_thread():
            begun.wait(5)
        else:
            begun.set()
            raise MemoryError("in a helper")

    with Helpers(1) as helpers:
        with pytest.raises(MemoryError, match="in a helper"):
            helpers.share(work, 1)
        assert len(pieces_taken(helpers, 1)) == 2


@pytest.fixture
def no_threads(monkeypatch):
    """As at the limit of threads that a container or a user may have."""

    def start(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", start)


@pytest.mark.usefixtures("no_threads")
def test_the_caller_does_all_where_no_thread_can_start():
    with Helpers(3) as helpers:
        assert pieces_taken(helpers, 3, 5) == {threading.get_ident()}
        assert helpers._threads == []


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("name", ["native", "numpy"])
def test_a_backend_proves_itself_and_runs_where_no_thread_can_start(block, random_inputs, name):
    if name not in choose.available():
        pytest.skip("not built")
    program = block()
    assert choose.prove(name, program).ok
    inputs = random_inputs(program, 1, 40, 40)
    found = choose.choose([program], 1, name)(program)(inputs, level=3, threads=4)
    assert choose.choose([program], 1, name).name == name
    assert np.array_equal(found["t0"], ops.run(program, inputs, 3)["t0"])


def test_no_memory_says_nothing_of_exactness(block, monkeypatch):
    program, real = block(), choose.backend

    def scarce(name):
        raise MemoryError

    monkeypatch.setattr(choose, "backend", scarce)
    with pytest.raises(MemoryError):
        choose.choose([program], 1, "numpy")
    monkeypatch.setattr(choose, "backend", lambda name: lambda program: scarce(name))
    with pytest.raises(MemoryError):
        choose.choose([program], 1, "numpy")
    monkeypatch.setattr(choose, "backend", real)
    assert choose.choose([program], 1, "numpy").name == "numpy"
