"""A bar on stderr for whatever takes long; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from intact.cli.errors import printable

BAR = 16
OTHERS = BAR + 42
"""Characters of the bar, and of all that stands before the note."""


class Bar:
    """Progress over ``total`` steps.

    Args:
        label: what is going on.
        total: steps; None while unknown.
        quiet: show nothing.
    """

    def __init__(self, label: str, total: int | None, *, quiet: bool = False) -> None:
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
        self.visible = console.is_terminal and not quiet
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
            disable=not self.visible,
            # Lines for a file or a pipe must not be taken along to the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._room = max(console.width - OTHERS, 12)
        self._task = self._progress.add_task(label, total=total, note="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self) -> None:
        """One step is done."""
        self._progress.advance(self._task)

    def reach(self, step: int, total: int | None = None) -> None:
        """So many steps are done, of ``total`` if that is known now."""
        self._progress.update(self._task, completed=step, total=total)

    def note(self, text: str) -> None:
        """Say what is being done right now; of a long text the ends are shown."""
        text = printable(text)
        if len(text) > self._room:
            kept = self._room - 1
            text = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        self._progress.update(self._task, note=text)
