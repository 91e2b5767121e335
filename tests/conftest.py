"""Settings for every test: property tests repeat exactly, and slow machines are no failure."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tiny_model import tiny_model

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # behind `make test &`, inherited by what tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Derandomized: a red run can be repeated, and CI never fails on somebody else's random number.
# INTACT_EXAMPLES=2000 searches further.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=int(os.environ.get("INTACT_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def tiny():
    """A `Model` made by hand; see tests/tiny_model.py."""
    return tiny_model()


@pytest.fixture(scope="session")
def tiny_path(tiny, tmp_path_factory):
    """The same as a file."""
    path = tmp_path_factory.mktemp("models") / "tiny.intactm"
    path.write_bytes(tiny.to_bytes())
    return path
