"""A bar on stderr for whatever takes long; nothing where stderr is no terminal."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from intact.cli.lines import printable, shorten

if TYPE_CHECKING:
    from rich.progress import Progress

TERMINALS = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
"""Variables by which Rich takes for a terminal what is none."""
BAR = 16
OTHERS = BAR + 42
"""Characters of the bar, and of all that stands before the note."""


class Bar:
    """Progress over ``total`` steps.

    Args:
        label: what is going on.
        total: steps; None while unknown.
        quiet: show nothing.

    Attributes:
        visible: it is shown.
        completed: steps that are done, and the share of the one at hand.
    """

    def __init__(self, label: str, total: int | None, *, quiet: bool = False) -> None:
        self.visible = False
        self.completed = 0.0
        self._done = 0
        self._progress: Progress | None = None
        if quiet or not (sys.stderr.isatty() or TERMINALS & os.environ.keys()):
            return  # without loading anything
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        self.visible = console.is_terminal
        if not self.visible:
            return
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),  # a name may hold [brackets]
            console=console,
            transient=True,
            # Lines for a file or a pipe must not be taken along to the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._room = max(console.width - OTHERS, 12)
        self._task = self._progress.add_task(label, total=total, note="")

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Without the thread that draws it."""
        if self._progress is not None:
            self._progress.stop()
        try:
            yield
        finally:
            if self._progress is not None:
                self._progress.start()

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        self._complete(self._done)

    def within(self, share: float) -> None:
        """A share of the step at hand is done, 0..1."""
        self._complete(self._done + min(share, 1.0))

    def reach(self, step: int, total: int | None = None) -> None:
        """So many steps are done, of ``total`` if that is known now."""
        self._complete(step, total=total)

    def note(self, text: str) -> None:
        """Say what is being done right now; of a long text the ends are shown."""
        if self._progress is not None:
            self._progress.update(self._task, note=shorten(printable(text), self._room))

    def _complete(self, steps: float, **fields: Any) -> None:
        self.completed = steps
        if self._progress is not None:
            self._progress.update(self._task, completed=steps, **fields)


COUNTED = re.compile(r"(.+) (\d+) of (\d+)")
"""A stage that comes in parts."""
LAST = 0.98
"""Share that is done when the last part of such a stage is."""


class Stages:
    """Moves a bar within one input, as the stages of its work begin.

    Args:
        bar: the bar.
        name: of the input.
        begins: by stage, what share of the work is done when it begins, as measured.
        runs: how often all stages may come, searching for a level.
    """

    def __init__(self, bar: Bar, name: str, begins: Mapping[str, float], runs: int = 1) -> None:
        self._bar, self._name, self._begins, self._runs = bar, name, begins, runs
        self._run, self._share = 0, 0.0

    def __call__(self, stage: str) -> None:
        """A stage begins."""
        counted = COUNTED.fullmatch(stage)
        share = self._begins.get(counted[1] if counted else stage, self._share)
        if counted:
            share += (LAST - share) * (int(counted[2]) - 1) / int(counted[3])
        if share == 0 and self._share:  # from the beginning
            self._run, self._share = self._run + 1, 0.0
        self._share = max(share, self._share)
        self._bar.within((self._run + self._share) / self._runs)
        self._bar.note(f"{stage}: {self._name}")
