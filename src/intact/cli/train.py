"""``intact train``: train a codec; needs PyTorch."""

from __future__ import annotations

import contextlib
import ctypes
import math
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from intact.cli import signals
from intact.cli.errors import Code, UsageError, complain, printable
from intact.cli.io import show_json
from intact.cli.options import Force, Json, Quiet
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar

if TYPE_CHECKING:
    import torch

    from intact.train.config import Config

Write = Callable[[int, dict[str, float]], None]
MARGIN = 15
"""Minutes of those given that are kept free, for what has to be done with the result."""


def train(
    config: Annotated[str, Argument("CONFIG.toml", help="What to train.")],
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Continue its checkpoint.")] = False,
    init: Annotated[
        str | None,
        Option(metavar="MODEL", help="Start from a model, its float weights, or a run's folder."),
    ] = None,
    grow: Annotated[
        bool, Option("--grow", help="With --init: grow to the configuration's sizes.")
    ] = False,
    minutes: Annotated[
        float,
        Option(minimum=0, help=f"There are so many: end, saved, {MARGIN} before. [0: no limit]"),
    ] = 0.0,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, ... [cuda if there]")] = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """Train a codec. Checkpoints, the configuration and TensorBoard logs go to output.folder."""
    began = time.monotonic()
    import torch

    from intact.train import checkpoint, config as configuration

    if 0 < minutes <= MARGIN:
        raise UsageError(f"--minutes {minutes:g}: the last {MARGIN} are kept free; give more")
    deadline = began + 60 * (minutes - MARGIN) if minutes else math.inf
    if resume and init is not None:
        raise UsageError("--resume and --init exclude each other")
    if grow and init is None:
        raise UsageError("--grow needs --init: there is nothing to grow")
    chosen = configuration.load(Path(config), settings)
    folder = Path(chosen.output.folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output.folder = {str(folder)!r} is a file, must be a folder")
    if not resume and not force and checkpoint.exists(folder):
        raise UsageError(f"{folder} holds a run: continue with --resume, or replace with --force")
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        place = torch.device(name)
        torch.zeros(1, device=place).cpu()  # a device that has a name may still not be there
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        # Not all of what PyTorch says here is for users; its first sentence is.
        reason = str(error).partition("\n")[0].partition(". ")[0][:200]
        raise UsageError(f"device {name!r} cannot be used: {reason}") from error
    options: dict[str, Any] = {"resume": resume}
    if init is not None:
        options |= {"init": _start(init), "larger": grow}
    keep_memory()
    with checkpoint.held(folder):
        return _run(chosen, place, options, deadline, as_json=as_json, quiet=quiet)


def _run(
    chosen: Config,
    place: torch.device,
    options: dict[str, Any],
    deadline: float,
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Train, in a folder that nobody else trains into; the exit code."""
    from intact.train import start

    folder = Path(chosen.output.folder)
    with Bar("reading images", None, quiet=quiet) as bar:
        trainer = start.trainer_for(chosen, place, progress=bar.reach, **options)
    for note in trainer.task.notes:
        complain(note)

    last: dict[str, float] = {}
    first = trainer.step
    if not quiet and not as_json:
        print(printable(f"{folder} at step {first} of {chosen.optimizer.steps}: {trainer.how}"))
    with Bar("training", chosen.optimizer.steps, quiet=quiet) as bar, _board(folder) as write:
        bar.reach(first)

        def report(step: int, scalars: dict[str, float]) -> None:
            last.update(scalars)
            write(step, scalars)
            bar.reach(step)
            bar.note(short(scalars))
            if not bar.visible and not quiet and not as_json:
                print(f"step {step}  {line(scalars)}", flush=True)

        try:
            with signals.finishing(trainer.stop):
                trainer.run(report, deadline=deadline)
        # A second signal, or one before the first step; a full disk.
        except (KeyboardInterrupt, SystemExit, OSError):
            complain(f"stopped at step {trainer.step}; --resume continues at step {trainer.saved}")
            raise
    if trainer.stopped:
        complain(f"stopped at step {trainer.step}, which is saved; --resume continues there")
        signals.stop_if_ended()
        return Code.INTERRUPTED
    if not trainer.finished:
        of = f"{trainer.step} of {chosen.optimizer.steps}"
        complain(f"the time is over at step {of}, which is saved; --resume goes on")
    elif not quiet and not as_json:
        done = "was trained already" if first == trainer.step else "is trained"
        following = f"intact freeze {shlex.quote(str(folder))} -o NAME.intactm"
        print(printable(f"{folder} {done}: {trainer.step} steps. Next: {following}"))
    if as_json:
        show_json({"folder": str(folder), "steps": trainer.step, **last})
    return Code.OK


def _start(init: str) -> Path:
    """What --init names: the folder of a run, or a model by path or by name."""
    from intact.codec.store import model_path
    from intact.train import checkpoint

    path = Path(init)
    return path if path.is_file() or checkpoint.exists(path) else model_path(init)


def keep_memory() -> None:
    """Tell glibc to keep what is freed: a step frees and takes the same buffers again.

    Otherwise the kernel clears each page anew, which took a quarter of a step here.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    for option, size in (
        (mmap_threshold, 1 << 30),
        (trim_threshold, (1 << 31) - 1),
        (top_pad, 1 << 26),
    ):
        if not mallopt(option, size):  # musl takes none of them
            return


def line(scalars: dict[str, float]) -> str:
    """The scalars that people look at."""
    seconds = scalars.get("seconds_per_step", 0.0)
    speed = f"  {1 / seconds:.2f} steps/s" if seconds else ""
    return (
        f"loss {scalars.get('loss', 0):.4f}  bpp {scalars.get('bpp', 0):.3f}  "
        f"mse {scalars.get('mse', 0):.1f}{speed}"
    )


def short(scalars: dict[str, float]) -> str:
    """The same for the room beside a bar: 22 characters on 80 columns."""
    return f"loss {scalars.get('loss', 0):.5g} {scalars.get('bpp', 0):.2f} bpp"


@contextlib.contextmanager
def _board(folder: Path) -> Iterator[Write]:
    """TensorBoard scalars in the run's folder, if TensorBoard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        complain("no TensorBoard logs: pip install tensorboard")
        yield lambda _step, _scalars: None
        return
    board, broken = SummaryWriter(str(folder)), False

    def write(step: int, scalars: dict[str, float]) -> None:
        nonlocal broken
        if broken:
            return
        try:
            for key, value in scalars.items():
                board.add_scalar(key, value, step)
        except OSError as error:  # a full disk: checkpoints matter, and say so themselves
            broken = True
            complain(f"no more TensorBoard logs in {folder}: {error.strerror}")

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):
            board.close()
