"""One evaluation: measure what is missing, then write tables, BD-rates, plots and crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from intact.errors import ArgumentError, IntactError
from intact.evaluate import bd, crops, metrics, plot, published, report, run, table
from intact.evaluate.codec import Codec, MissingError, told
from intact.evaluate.curves import Table, by_codec, measured
from intact.evaluate.pictures import CROPS, PLOT, Picture, digest

TABLE = "results.csv"


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        pictures: to measure.
        codecs: to measure them with.
        out: the folder of what is written.
        metric_set: see `metrics.metric_set`.
        jobs: processes.
        against: codecs that the others are compared with; () compares ours (without any the first
            codec) with all others.
        published: files with curves, and which codecs of each.
        crops: of so many pictures a sheet of crops is made.
        crop_bpp: at so many bits per pixel; None: see `crops.size_of`.
    """

    pictures: Sequence[Picture]
    codecs: Sequence[Codec]
    out: Path
    metric_set: str
    jobs: int = 1
    against: Sequence[str] = ()
    published: Sequence[tuple[Path, Sequence[str]]] = ()
    crops: int = 1
    crop_bpp: float | None = None

    @property
    def table(self) -> Path:
        """The table of measurements."""
        return self.out / TABLE


@dataclass
class Results:
    """What came of it.

    Attributes:
        found: the rows.
        means: see `report.means`.
        comparisons: BD-rates.
        metrics: that were measured.
        written: files.
        left_out: what was not done, and why.
        dataset: the known set that the pictures are, or "".
    """

    found: Table
    means: list[dict[str, Any]]
    comparisons: list[bd.Comparison]
    metrics: list[metrics.Metric]
    written: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    dataset: str = ""

    def facts(self) -> dict[str, Any]:
        """For machines; what is not finite is null."""
        return {
            "dataset": self.dataset or None,
            "means": [_plain(row) for row in self.means],
            "bd_rates": [_plain(asdict(comparison)) for comparison in self.comparisons],
            "written": [str(path) for path in self.written],
            "left_out": self.left_out,
        }


def check(job: Job) -> list[tuple[str, published.Published]]:
    """Refuse at once what could not be reported after hours; the curves from files.

    Raises:
        ArgumentError: two codecs of one name, one to compare with that is not there, or a file
            without curves.
        OSError: such a file cannot be read, or the output folder is something else.
    """
    if job.out.exists() and not job.out.is_dir():
        raise NotADirectoryError(20, "results go into a folder, and this is none", str(job.out))
    names = [codec.name for codec in job.codecs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ArgumentError(f"two codecs are named {twice[0]!r}; rename one: NAME={twice[0]}")
    for name in job.against:
        if name not in names:
            raise ArgumentError(f"--against {name}: not among {', '.join(names)}")
    return [(path.stem, curve) for path, only in job.published
            for curve in published.read(path, only)]  # fmt: skip


def measure(
    job: Job, progress: Callable[[run.Progress], None] | None = None
) -> tuple[run.Plan, list[str]]:
    """Fill the table: the plan, and what was left out of it.

    Raises:
        ArgumentError: the table is of another kind.
        OSError: it cannot be written.
    """
    plan = run.plan(job.pictures, job.codecs, table.read(job.table), job.metric_set)
    job.out.mkdir(parents=True, exist_ok=True)
    return plan, run.run(plan.tasks, job.table, job.jobs, progress)


def summarize(
    job: Job, digests: Sequence[str], step: Callable[[str], None] = lambda _: None
) -> Results:
    """Write what the table says of some pictures.

    Args:
        job: the job.
        digests: of the pictures.
        step: told what is done now.

    Raises:
        ArgumentError: the table has nothing of these pictures by these codecs.
        OSError: something cannot be written.
    """
    sources = {codec.name: (codec.source, job.metric_set) for codec in job.codecs}
    wanted = {(codec.name, setting, codec.options(setting))
              for codec in job.codecs for setting in codec.settings}  # fmt: skip
    rows = [r for r in table.read(job.table) if (r.codec, r.setting, r.settings) in wanted]
    unsorted = by_codec(rows, digests, sources)
    found = {codec.name: unsorted[codec.name] for codec in job.codecs if codec.name in unsorted}
    if not found:
        raise ArgumentError("nothing was measured")
    columns = [m for m in measured(found, metrics.METRICS) if m in metrics.measured(job.metric_set)]
    dataset, curves = published.for_pictures(digests)
    curves += [curve for _, curve in check(job)]
    results = Results(found, report.means(found), [], columns, dataset=dataset)
    step("BD-rates")
    results.comparisons = _comparisons(job, found, columns, curves)
    report.write(job.out / "bd.csv", results.comparisons)
    report.write_means(job.out / "mean.csv", results.means)
    results.written += [job.table, job.out / "mean.csv", job.out / "bd.csv"]
    results.written += report.write_compressai(job.out / "compressai", results.means)
    step("plots")
    try:
        for metric in columns:
            path = job.out / PLOT.format(metric.key)
            plot.draw(path, found, [metric], dataset or _title(job), curves)
            results.written.append(path)
    except MissingError as error:
        results.left_out.append(f"plots: {error}")
    _crops(job, digests, results, step)
    return results


def _title(job: Job) -> str:
    """What the pictures are called: the folder that holds all of them."""
    first = job.pictures[0]
    folder = first.path.parents[first.name.count("/")]
    return folder.name or folder.absolute().name


def _comparisons(
    job: Job,
    found: Table,
    columns: Sequence[metrics.Metric],
    curves: Sequence[published.Published],
) -> list[bd.Comparison]:
    ours = [codec.name for codec in job.codecs if codec.is_ours and codec.name in found]
    anchors = [name for name in job.against if name in found]
    tests = [name for name in found if name not in anchors] if job.against else ours
    tests = tests or list(found)[:1]
    compared = bd.compare_all(found, tests, columns, anchors=anchors)
    compared += [
        bd.compare_published(found, test, f"{curve.name}, published", points, metric)
        for test in tests
        for curve in curves
        for metric in columns
        if (points := curve.points.get(metric.key))
    ]
    return compared


def _crops(job: Job, digests: Sequence[str], results: Results, step: Callable[[str], None]) -> None:
    """Sheets of crops at equal bytes, original first, ours last."""
    codecs = [codec for codec in job.codecs if codec.name in results.found]
    codecs.sort(key=lambda codec: codec.is_ours)
    first = next((codec for codec in codecs if codec.is_ours), codecs[0])
    measured_digests = set(digests) & set[str]().union(*results.found.values())
    for picture in islice(_of_digests(job.pictures, measured_digests), job.crops):
        step(f"crops of {picture.name}")
        try:
            target = crops.size_of(first, picture.pixels(), job.crop_bpp)
            image = crops.sheet(
                picture, codecs, target, job.metric_set, crops.Window(), results.left_out
            )
        except Exception as error:  # of other people's libraries any
            results.left_out.append(f"crops of {picture.name}: {told(error)}")
            continue
        results.written.append(crops.write(job.out / CROPS, picture, image))


def _of_digests(chosen: Sequence[Picture], wanted: set[str]) -> Iterator[Picture]:
    """The pictures with these pixels, whatever they were called when they were measured."""
    left = set(wanted)
    for picture in chosen:
        try:
            found = digest(picture.pixels())
        except (IntactError, OSError):
            continue  # was told when it was to be measured
        if found in left:
            left.remove(found)
            yield picture


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    def value(item: Any) -> Any:
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return {key: value(item) for key, item in row.items()}
