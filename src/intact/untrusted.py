"""Checks of plain values that come from files of unknown origin."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from intact.errors import ModelError

MAX_INT = 2**31 - 1


def mapping(value: object, keys: Collection[str], what: str) -> Mapping[str, object]:
    """``value``, a mapping with exactly these keys.

    Raises:
        ModelError: it is something else.
    """
    if not isinstance(value, dict):
        raise ModelError(f"{what}: expected a mapping, got {type(value).__name__}")
    if set(value) != set(keys):
        odd = sorted(str(key) for key in set(value) ^ set(keys))
        raise ModelError(f"{what}: missing or unknown keys {odd[:8]}; legal: {sorted(keys)}")
    return value


def sequence(value: object, longest: int, what: str) -> list[object]:
    """``value``, a list of at most ``longest`` entries.

    Raises:
        ModelError: it is something else.
    """
    if not isinstance(value, (list, tuple)):
        raise ModelError(f"{what}: expected a list, got {type(value).__name__}")
    if len(value) > longest:
        raise ModelError(f"{what}: {len(value)} entries, at most {longest}")
    return list(value)


def integer(value: object, what: str) -> int:
    """``value``, an integer of less than 2**31 in magnitude.

    Raises:
        ModelError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INT:
        raise ModelError(f"{what}: expected an integer below 2**31, got {value!r:.40}")
    return value


def text(value: object, what: str) -> str:
    """``value``, a text.

    Raises:
        ModelError: it is something else.
    """
    if not isinstance(value, str):
        raise ModelError(f"{what}: expected text, got {type(value).__name__}")
    return value
