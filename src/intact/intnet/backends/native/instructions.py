"""Which instruction set the kernels use: the best that the machine has, that is allowed, and right.

``INTACT_MAX_ISA`` in the environment takes away what is better than it names: to look for a fault,
or to run as a lesser machine does. Results never depend on it.
"""

from __future__ import annotations

import ctypes
import logging
import os

from intact.errors import ArgumentError, quoted

ISA_NAMES = ("portable", "avx2", "avx512", "amx")
"""From the least to the best; the index is the number that native code knows."""
VARIABLE = "INTACT_MAX_ISA"
_ALIASES = {"avx512vnni": "avx512", "avx512_vnni": "avx512", "amx_int8": "amx"}

_LOG = logging.getLogger(__name__)
_wrong = len(ISA_NAMES)
"""This instruction set and all better ones are not used: their kernels were wrong here."""


def limit() -> int:
    """The best instruction set that the environment allows.

    Raises:
        ArgumentError: it names none.
    """
    text = os.environ.get(VARIABLE, "").strip()
    name = text.lower()
    if not name:
        return len(ISA_NAMES) - 1
    name = _ALIASES.get(name, name)
    if name not in ISA_NAMES:
        legal = ", ".join((*ISA_NAMES, *_ALIASES))
        raise ArgumentError(f"{VARIABLE} is {quoted(text)}, legal: {legal}")
    return ISA_NAMES.index(name)


def has(library: ctypes.CDLL) -> int:
    """The best instruction set of this machine that is allowed.

    Raises:
        ArgumentError: the environment names none.
    """
    return min(int(library.intact_intnet_isa()), limit())


def best(library: ctypes.CDLL) -> int:
    """The best instruction set to use: of what `has` says, what has not been found wrong.

    Raises:
        ArgumentError: the environment names none.
    """
    return min(has(library), max(_wrong - 1, 0))


def step_down(library: ctypes.CDLL, reason: str) -> bool:
    """Use a lesser instruction set than `best` from now on; False if there is none."""
    global _wrong
    number = best(library)
    if number == 0:
        return False
    _LOG.warning("instructions %s are not used: %s", ISA_NAMES[number], reason)
    _wrong = number
    return True
