"""Fills a table: every picture by every codec at every setting that the table does not have yet."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from intact.measure import bpp
from rd_eyes import metrics, table
from rd_eyes.codecs import Codec, find_codec
from rd_eyes.pictures import Picture, digest


@dataclass(frozen=True)
class Task:
    """One picture, one codec, some settings."""

    picture: Picture
    sha256: str
    pixels: int
    codec: str
    settings: tuple[str, ...]

    @property
    def work(self) -> int:
        """What the time grows with."""
        return self.pixels * len(self.settings)


def plan(
    pictures: Sequence[Picture],
    codecs: dict[str, Codec],
    rows: Sequence[table.Row],
    again: Sequence[str] = (),
) -> tuple[list[Task], list[str]]:
    """What is still to be measured, picture by picture, and the pictures' digests.

    Args:
        pictures: to measure.
        codecs: by what `find_codec` found them with.
        rows: of the table.
        again: names of codecs whose rows do not count as measured.
    """
    done = {row.key for row in rows if row.codec not in again}
    names, tasks, digests = metrics.metric_set(), [], []
    for picture in pictures:
        pixels = picture.pixels()
        sha = digest(pixels)
        digests.append(sha)
        for wanted, codec in codecs.items():
            todo = tuple(
                s for s in codec.settings
                if (codec.name, codec.source, s, codec.options(s), sha, names) not in done
            )  # fmt: skip
            if todo:
                area = pixels.shape[0] * pixels.shape[1]
                tasks.append(Task(picture, sha, area, wanted, todo))
    return tasks, digests


_codec = lru_cache(find_codec)


@lru_cache(maxsize=2)
def _meter(picture: Picture) -> metrics.Meter:
    return metrics.Meter(picture.pixels())


def measure(task: Task) -> list[table.Row]:
    """The rows of one task."""
    codec, meter = _codec(task.codec), _meter(task.picture)
    return [one(codec, setting, task, meter) for setting in task.settings]


def one(codec: Codec, setting: str, task: Task, meter: metrics.Meter) -> table.Row:
    """Code, decode and measure one picture at one setting.

    Raises:
        ValueError: the decoded picture has another shape.
    """
    pixels = meter.original
    data = codec.encode(pixels, setting)
    decoded = codec.decode(data)
    if decoded.shape != pixels.shape or decoded.dtype != np.uint8:
        raise ValueError(f"{codec.name} {setting}: {decoded.shape} from {pixels.shape}")
    height, width = pixels.shape[:2]
    values = {m.key: math.nan for m in metrics.METRICS} | meter(decoded)
    return table.Row(
        codec.name, setting, task.picture.name, width, height, len(data),
        bpp(len(data), height, width), settings=codec.options(setting), source=codec.source,
        sha256=task.sha256, metrics=metrics.metric_set(), **values,
    )  # fmt: skip


def run(tasks: Sequence[Task], path: Path, jobs: int = 1) -> None:
    """Measure tasks and append to a table as they finish, with the time left."""
    total, done, begin = sum(t.work for t in tasks), 0, time.monotonic()
    for number, (task, rows) in enumerate(_in_turn(measure, tasks, jobs), 1):
        table.append(path, rows)
        done += task.work
        left = (time.monotonic() - begin) * (total - done) / done
        print(
            f"[{number}/{len(tasks)}] {task.picture.name} {rows[0].codec}, "
            f"{left // 3600:.0f} h {left % 3600 / 60:.0f} min left",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def _in_turn(
    work: Callable[[Task], list[table.Row]], tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[Task, list[table.Row]]]:
    """Tasks with their results, as they finish."""
    if jobs == 1:
        yield from ((task, work(task)) for task in tasks)
        return
    waiting = iter(tasks)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = {pool.submit(work, task): task for task in islice(waiting, 2 * jobs)}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                running.update({pool.submit(work, more): more for more in islice(waiting, 1)})
                yield task, future.result()
