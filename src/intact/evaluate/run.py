"""Fills a table: every picture by every codec at every setting that the table does not have yet."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from intact.errors import IntactError
from intact.evaluate import metrics, table
from intact.evaluate.codec import Codec, told
from intact.evaluate.meter import Meter, too_small
from intact.evaluate.pictures import Picture, digest
from intact.measure import bpp


@dataclass(frozen=True)
class Task:
    """One picture, one codec, some settings."""

    picture: Picture
    sha256: str
    pixels: int
    codec: Codec
    settings: tuple[str, ...]
    metrics: str

    @property
    def work(self) -> int:
        """What the time grows with."""
        return self.pixels * len(self.settings)


@dataclass
class Outcome:
    """What came of a task.

    Attributes:
        task: the task.
        rows: what was measured.
        failure: why the rest was not, or "".
    """

    task: Task
    rows: list[table.Row] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done, total: tasks.
        share: of the work that is done.
        seconds_left: as far as one can tell.
        label: what was done last.
    """

    done: int
    total: int
    share: float
    seconds_left: float
    label: str


@dataclass
class Plan:
    """What is to be measured.

    Attributes:
        tasks: what the table does not have.
        digests: of all pictures that can be read.
        notes: what people should know of pictures.
        unreadable: pictures and their errors.
    """

    tasks: list[Task] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unreadable: list[tuple[Picture, Exception]] = field(default_factory=list)


def plan(
    pictures: Sequence[Picture],
    codecs: Sequence[Codec],
    rows: Sequence[table.Row],
    metric_set: str,
    again: Sequence[str] = (),
) -> Plan:
    """What is still to be measured, picture by picture; what cannot be read is left out.

    Args:
        pictures: to measure.
        codecs: to measure them with.
        rows: of the table.
        metric_set: what to measure; rows that have more count as measured.
        again: names of codecs whose rows do not count as measured.
    """
    done = {row.key for row in rows
            if row.codec not in again and metrics.covers(row.metrics, metric_set)}  # fmt: skip
    found = Plan()
    for picture in pictures:
        try:
            pixels, notes = picture.look()
        except (IntactError, OSError) as error:
            found.unreadable.append((picture, error))
            continue
        height, width = pixels.shape[:2]
        notes += [
            f"{width}x{height} is too small for {name}, left out"
            for name in too_small(width, height, metrics.names_of(metric_set))
        ]
        found.notes += [f"{picture.name}: {note}" for note in notes]
        sha = digest(pixels)
        if sha in found.digests:
            found.notes.append(f"{picture.name}: has the pixels of another picture, left out")
            continue
        found.digests.append(sha)
        for codec in codecs:
            todo = tuple(
                s for s in codec.settings
                if (codec.name, codec.source, s, codec.options(s), sha) not in done
            )  # fmt: skip
            if todo:
                area = height * width
                found.tasks.append(Task(picture, sha, area, codec, todo, metric_set))
    return found


@lru_cache(maxsize=2)
def _meter(picture: Picture, metric_set: str) -> Meter:
    return Meter(picture.pixels(), metric_set)


_WARM: set[str] = set()


def _warm(codec: Codec) -> None:
    """Load what a codec needs, so that the first measured time is one of many."""
    if codec.source not in _WARM:
        _WARM.add(codec.source)
        codec.decode(codec.encode(np.zeros((64, 64, 3), np.uint8), codec.settings[0]))


def measure(task: Task) -> Outcome:
    """Work on one task; an error ends it, and is told."""
    outcome = Outcome(task)
    setting = ""
    try:
        meter = _meter(task.picture, task.metrics)
        _warm(task.codec)
        for setting in task.settings:
            outcome.rows.append(one(setting, task, meter))
    except Exception as error:  # of other people's libraries any
        place = f"{task.picture.name} by {task.codec.name}" + (f" at {setting}" if setting else "")
        outcome.failure = f"{place}: {told(error)}"
    return outcome


def one(setting: str, task: Task, meter: Meter) -> table.Row:
    """Code, decode and measure one picture at one setting.

    Raises:
        IntactError: the decoded picture has another shape.
    """
    codec, pixels = task.codec, meter.original
    begin = _processor_time()
    data = codec.encode(pixels, setting)
    middle = _processor_time()
    decoded = codec.decode(data)
    end = _processor_time()
    if decoded.shape != pixels.shape or decoded.dtype != np.uint8:
        raise IntactError(f"{decoded.dtype} {decoded.shape} was decoded, from {pixels.shape}")
    height, width = pixels.shape[:2]
    return table.Row(
        codec.name, setting, task.picture.name, width, height, len(data),
        bpp(len(data), height, width), settings=codec.options(setting), source=codec.source,
        sha256=task.sha256, metrics=task.metrics,
        encode_s=middle - begin, decode_s=end - middle, **meter(decoded),
    )  # fmt: skip


def _processor_time() -> float:
    """Seconds of this process and of the programs that it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def run(
    tasks: Sequence[Task],
    path: Path,
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> list[str]:
    """Measure tasks and append to a table as they finish.

    Args:
        tasks: see `plan`.
        path: of the table.
        jobs: processes.
        progress: told after each task.

    Returns:
        What was left out, and why.

    Raises:
        OSError: the table cannot be written, or a process was killed.
    """
    if tasks:
        table.upgrade(path)
    failures = []
    for outcome in outcomes(tasks, jobs, progress):
        table.append(path, outcome.rows)
        failures += [outcome.failure] if outcome.failure else []
    return failures


def outcomes(
    tasks: Sequence[Task],
    jobs: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Outcome]:
    """What comes of tasks, as they finish; see `run`."""
    total, done, begin = sum(t.work for t in tasks), 0, time.monotonic()
    for number, outcome in enumerate(_in_turn(tasks, jobs), 1):
        yield outcome
        done += outcome.task.work
        left = (time.monotonic() - begin) * (total - done) / done
        if progress:
            label = f"{outcome.task.picture.name} {outcome.task.codec.name}"
            progress(Progress(number, len(tasks), done / total, left, label))


def _in_turn(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    if min(jobs, len(tasks)) <= 1:
        yield from map(measure, tasks)
        return
    waiting = iter(tasks)
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn"), _begin)
    try:
        running = {pool.submit(measure, task) for task in islice(waiting, 2 * jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(measure, task) for task in islice(waiting, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        message = "a process was killed, perhaps for its memory; the next run goes on from here"
        raise OSError(message) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In the pool's processes: the one that waits for them is told of interrupts, and ends them.

    Their standard output is for nobody; see `codec.printing_to_stderr`.
    """
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def time_left(seconds: float) -> str:
    """For people."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min left" if hours else f"{minutes} min left"
