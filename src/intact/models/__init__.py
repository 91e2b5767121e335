"""The models that ship with the package: data, found by id or name. None is ever removed."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
