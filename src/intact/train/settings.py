"""Values of settings as people write them: ``section.key=value``, and the types they must have."""

from __future__ import annotations

import tomllib
from typing import Any

from intact.errors import ArgumentError

WORDS = {
    bool: "true or false", int: "an integer", float: "a number", str: "a string",
    tuple: 'a list of strings, such as ["a", "b"]',
}  # fmt: skip


def coerce(value: Any, like: Any, place: str) -> Any:
    """A value of the type that a setting has.

    Args:
        value: as TOML gave it.
        like: the setting's default.
        place: its name, for the message.

    Raises:
        ArgumentError: it is of another type.
    """
    if isinstance(like, bool) or isinstance(value, bool):
        if isinstance(value, bool) and isinstance(like, bool):
            return value
    elif isinstance(like, float) and isinstance(value, int | float):
        return float(value)
    elif isinstance(like, tuple):
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(value)
    elif type(value) is type(like):
        return value
    raise ArgumentError(f"{place}: {value!r} should be {WORDS[type(like)]}")


def parsed(setting: str) -> tuple[str, str, Any]:
    """Section, key and value of ``section.key=value``, as in TOML; a bare word is a string.

    Raises:
        ArgumentError: it is none.
    """
    key, equals, text = setting.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot:
        raise ArgumentError(f"--set {setting!r}: write section.key=value")
    try:
        return section, name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return section, name, text.strip()
