"""Settings for every test: property tests repeat exactly, and slow machines are no failure."""

import os

from hypothesis import HealthCheck, settings

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
