"""The table of measurements: a CSV to which rows are appended as they are measured.

A run that was interrupted goes on where it stopped: a row is known by codec (libraries or model id
included), exact options, picture and metrics, each with its version. Times are seconds of processor
time, of all threads of the process and of programs that it called.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from intact import files
from intact.errors import ArgumentError

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
    ssim: float = math.nan
    encode_s: float = math.nan
    decode_s: float = math.nan

    @property
    def key(self) -> Key:
        """Which measurement this is, but for the metrics."""
        return (self.codec, self.source, self.setting, self.settings, self.sha256)


COLUMNS = [field.name for field in fields(Row)]
EARLIER = COLUMNS[: COLUMNS.index("ssim")]
"""The columns of tables that were written before there were more."""
_INTEGERS = {"width", "height", "bytes"}
_DECIMALS = {"bpp": 6, "psnr": 5, "ms_ssim": 7, "ssimulacra2": 5, "butteraugli_3": 6,
             "butteraugli_max": 6, "ssim": 7, "encode_s": 4, "decode_s": 4}  # fmt: skip


def read(path: Path) -> list[Row]:
    """All whole rows; a last line that was cut off is passed over.

    Raises:
        ArgumentError: the columns are neither `COLUMNS` nor `EARLIER`, or a row is damaged.
        OSError: it cannot be read.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole))
    if whole and reader.fieldnames not in (COLUMNS, EARLIER):
        raise ArgumentError(f"{path}: columns {reader.fieldnames}, expected {COLUMNS}")
    rows = []
    for line in reader:
        try:
            rows.append(_parse(line))
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"{path}: line {reader.line_num}: {error}") from error
    return rows


def upgrade(path: Path) -> None:
    """Give a table of earlier columns those of today, empty; others stay as they are.

    Raises:
        ArgumentError: it is no table.
        OSError: it cannot be written.
    """
    if path.exists():
        with path.open(encoding="utf-8") as file:
            header = file.readline().rstrip("\n").split(",")
        if header == EARLIER:
            files.replace(path, _text(read(path), header=True))


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
        file.write(_text(rows, header=not whole))


def _text(rows: Iterable[Row], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(_format(row) for row in rows)
    return text.getvalue().encode()


def _format(row: Row) -> dict[str, object]:
    values = asdict(row)
    for name, places in _DECIMALS.items():
        values[name] = "" if math.isnan(values[name]) else f"{values[name]:.{places}f}"
    return values


def _parse(line: dict[str, str]) -> Row:
    values: dict[str, object] = dict(line)
    values.update({name: int(line[name]) for name in _INTEGERS})
    values.update({name: float(line.get(name) or "nan") for name in _DECIMALS})
    return Row(**values)  # type: ignore[arg-type]
