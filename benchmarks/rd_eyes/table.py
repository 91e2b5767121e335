"""The table of measurements: a CSV to which rows are appended as they are measured.

A run that was interrupted goes on where it stopped: a row is known by codec (libraries or model id
included), exact options, picture and metrics, each with its version.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one run at a time
    fcntl = None

Key = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One picture coded at one setting. nan stands for what was not measured."""

    codec: str
    setting: str
    image: str
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float
    ssimulacra2: float
    butteraugli_3: float
    butteraugli_max: float
    settings: str
    source: str
    sha256: str
    metrics: str

    @property
    def key(self) -> Key:
        """Which measurement this is."""
        return (self.codec, self.source, self.setting, self.settings, self.sha256, self.metrics)


COLUMNS = [field.name for field in fields(Row)]
_INTEGERS = {"width", "height", "bytes"}
_DECIMALS = {"bpp": 6, "psnr": 5, "ms_ssim": 7, "ssimulacra2": 5, "butteraugli_3": 6,
             "butteraugli_max": 6}  # fmt: skip


def read(path: Path) -> list[Row]:
    """All whole rows; a last line that was cut off is passed over.

    Raises:
        ValueError: the columns are not `COLUMNS`.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole))
    if whole and reader.fieldnames != COLUMNS:
        raise ValueError(f"{path}: columns {reader.fieldnames}, expected {COLUMNS}")
    return [_parse(line) for line in reader]


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows; a last line that was cut off is replaced by them.

    Several runs may append to one table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not whole:
            writer.writeheader()
        writer.writerows(_format(row) for row in rows)
        file.write(text.getvalue().encode())


def _format(row: Row) -> dict[str, object]:
    values = asdict(row)
    for name, places in _DECIMALS.items():
        values[name] = "" if math.isnan(values[name]) else f"{values[name]:.{places}f}"
    return values


def _parse(line: dict[str, str]) -> Row:
    values: dict[str, object] = dict(line)
    values.update({name: int(line[name]) for name in _INTEGERS})
    values.update({name: float(line[name] or "nan") for name in _DECIMALS})
    return Row(**values)  # type: ignore[arg-type]
