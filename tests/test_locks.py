"""What is found out once is found out once, by one thread, and a forked child need not wait."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from intact.codec import store
from intact.codec.model import Model
from intact.intnet.backends import choose
from intact.intnet.program import Add, Program, Value
from intact.locks import Lock


def program():
    return Program("p", (Value("x", 1, 0, 9),), (Add("x", "x", "y"),), ("y",))


def together(work, count=8):
    """The results of threads that begin at the same time."""
    gate = threading.Barrier(count)

    def one(_):
        gate.wait()
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_threads_that_start_together_find_out_once():
    found, p = [], program()

    def find():
        time.sleep(0.02)
        found.append(object())
        return found[-1]

    results = together(lambda: p.once("key", find))
    assert len(found) == 1
    assert all(result is found[0] for result in results)


def test_what_raises_is_asked_again():
    p = program()
    with pytest.raises(MemoryError):
        p.once("key", lambda: exec("raise MemoryError"))
    assert p.once("key", lambda: 5) == 5


def test_threads_that_start_together_load_one_model(monkeypatch, tiny_path):
    loaded = []
    true = Model.from_bytes.__func__

    def counted(cls, data):
        loaded.append(1)
        time.sleep(0.02)
        return true(cls, data)

    monkeypatch.setattr(store, "_KEPT", {})
    monkeypatch.setattr(Model, "from_bytes", classmethod(counted))
    models = together(lambda: store.read_model(tiny_path))
    assert len(loaded) == 1
    assert len({id(model) for model in models}) == 1


def test_the_models_used_last_are_kept(monkeypatch, tiny, tmp_path):
    monkeypatch.setattr(store, "_KEPT", {})
    monkeypatch.setattr(store, "MOST_KEPT", 2)
    paths = [tmp_path / f"{name}.intactm" for name in "abc"]
    for path in paths:
        path.write_bytes(tiny.to_bytes())
    first, second = store.read_model(paths[0]), store.read_model(paths[1])
    assert store.read_model(paths[0]) is first
    store.read_model(paths[2])
    assert store.read_model(paths[0]) is first
    assert store.read_model(paths[1]) is not second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_during_anothers_first_use_proves_for_itself(monkeypatch):
    """The thread that holds the lock does not exist in the child, which would wait for ever."""
    inside, leave = threading.Event(), threading.Event()
    real, p = choose.backend, program()

    def slow(name):
        inside.set()
        leave.wait(20)
        return real(name)

    monkeypatch.setattr(choose, "backend", slow)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(choose.prove, "numpy", p)
        assert inside.wait(20)
        child = os.fork()
        if child == 0:  # nothing here may raise: pytest runs on in the child otherwise
            choose.backend = real
            threading.Timer(20, os._exit, (2,)).start()
            os._exit(0 if choose.prove("numpy", p).ok else 1)
        deadline = time.monotonic() + 30
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        leave.set()
        assert busy.result().ok
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done[1] == 0
    assert done[0] == child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_lock_is_free_in_a_child_and_taken_in_the_parent():
    lock = Lock()
    with lock:
        child = os.fork()
        if child == 0:
            free = []
            thread = threading.Thread(target=lambda: free.append(lock._lock.acquire(timeout=5)))
            thread.start()
            thread.join()
            os._exit(0 if free == [True] else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        taken = []
        thread = threading.Thread(target=lambda: taken.append(lock._lock.acquire(blocking=False)))
        thread.start()
        thread.join()
        assert taken == [False]
