"""The native backend in three steps: `lower` a program to kernels, `pack` constants, `run` both."""

from __future__ import annotations

from intact.intnet.backends.native.run import (
    isa as isa,
    prepare as prepare,
    step_down as step_down,
)
