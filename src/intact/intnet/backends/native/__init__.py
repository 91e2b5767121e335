"""The native backend: `lower` a program to steps, `pack` constants, `layout` memory, `run` all."""

from __future__ import annotations

from intact.intnet.backends.native.run import (
    isa as isa,
    prepare as prepare,
    step_down as step_down,
)
