"""Shared by the tests of `intact.bits`: every coder there is, and banks of tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest

from intact.bits import fast, rans


class Coder(NamedTuple):
    """An encoder and its decoder."""

    encode: Callable[..., bytes]
    decoder: Callable[[bytes], rans.Decoder | fast.Decoder]


CODERS = {
    "rans": Coder(rans.encode, rans.Decoder),
    "python": Coder(
        partial(fast.encode, backend="python"), partial(fast.Decoder, backend="python")
    ),
    "native": Coder(
        partial(fast.encode, backend="native"), partial(fast.Decoder, backend="native")
    ),
}


def native_is_there() -> bool:
    """Whether the C coder was built."""
    try:
        fast.encode([], backend="native")
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session", params=list(CODERS))
def coder(request: pytest.FixtureRequest) -> Coder:
    """Each coder in turn."""
    if request.param == "native" and not native_is_there():
        pytest.skip("the native library was not built")
    return CODERS[request.param]


@pytest.fixture(scope="session", params=["python", "native"])
def fast_coder(request: pytest.FixtureRequest) -> Coder:
    """Each coder but the normative one, for long messages."""
    if request.param == "native" and not native_is_there():
        pytest.skip("the native library was not built")
    return CODERS[request.param]
