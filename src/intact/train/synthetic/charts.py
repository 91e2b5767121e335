"""Crops of charts: lines and bars; points, sectors and heat maps."""

from __future__ import annotations

import numpy as np

from intact.train.synthetic.canvas import Canvas, Generator, Style, mix
from intact.train.synthetic.words import number, phrase


class _Plot:
    """Axes with ticks, numbers and a grid, of which a crop shows a part."""

    def __init__(self, side: int, rng: Generator, style: Style) -> None:
        theme = style.theme
        self.canvas = Canvas(side, theme.page, 3)
        self.left, self.top = int(rng.integers(-30, 44)), int(rng.integers(-20, 40))
        self.right = self.left + int(rng.integers(140, 280))
        self.foot = self.top + int(rng.integers(110, 220))
        self.face = style.face("sans", int(rng.integers(9, 13)))
        inside = theme.page if rng.random() < 0.7 else theme.panel
        box = (self.left, self.top, self.right, self.foot)
        self.canvas.rectangle(box, inside)
        grid = mix(theme.page, theme.text, float(rng.uniform(0.08, 0.3)))
        gridded, step = rng.random() < 0.7, int(rng.integers(20, 50))
        for y in range(self.foot, self.top, -step):
            if gridded:
                self.canvas.rectangle((self.left, y, self.right, y + 1), grid)
            self.canvas.rectangle((self.left - 4, y, self.left, y + 1), theme.text)
            self.canvas.text(
                (self.left - 6, y - self.face.height / 2),
                _tick(rng),
                self.face,
                theme.text,
                anchor="r",
            )
        for x in range(self.left, self.right, step + 12):
            if gridded and rng.random() < 0.9:
                self.canvas.rectangle((x, self.top, x + 1, self.foot), grid)
            self.canvas.rectangle((x, self.foot, x + 1, self.foot + 4), theme.text)
            self.canvas.text((x, self.foot + 5), _tick(rng), self.face, theme.text, anchor="m")
        if rng.random() < 0.7:
            self.canvas.rectangle(box, None, outline=theme.text)
        if rng.random() < 0.5:
            middle = (self.left + self.right) / 2
            self.canvas.text(
                (middle, self.top - self.face.height - 4),
                phrase(rng, 4),
                self.face,
                theme.text,
                anchor="m",
            )

    def legend(self, rng: Generator, style: Style, colors: list[tuple[int, int, int]]) -> None:
        """Names of the series in a box, half of the time."""
        if rng.random() < 0.5:
            return
        height = 6 + len(colors) * (self.face.height + 1)
        x, y = self.right - 88, self.top + 6
        self.canvas.rectangle(
            (x, y, x + 82, y + height), style.theme.page, outline=style.theme.muted
        )
        for k, color in enumerate(colors):
            top = y + 3 + k * (self.face.height + 1)
            middle = top + self.face.height // 2
            self.canvas.rectangle((x + 4, middle - 1, x + 22, middle + 1), color)
            self.canvas.text((x + 26, top), phrase(rng, 1)[:8], self.face, style.theme.text)


def _tick(rng: Generator) -> str:
    return str(round(float(rng.integers(-20, 101)) * 10.0 ** rng.integers(-1, 2), 1))


def lines(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Curves, noisy ones and steps, with markers or without."""
    plot = _Plot(side, rng, style)
    count = int(rng.integers(1, 5))
    colors = [style.accent() for _ in range(count)]
    width, markers = float(rng.choice([0.7, 1, 1.5, 2, 3])), rng.random() < 0.3
    x = np.linspace(plot.left, plot.right, int(rng.integers(8, 90)))
    for color in colors:
        steps = rng.normal(size=len(x))
        value = (
            np.cumsum(steps)
            if rng.random() < 0.6
            else np.sin(np.cumsum(rng.uniform(0, 0.4, len(x))))
        )
        value = (value - value.min()) / (np.ptp(value) + 1e-9) * rng.uniform(0.3, 0.95)
        y = plot.foot - 4 - value * (plot.foot - plot.top - 8)
        points = list(zip(x.tolist(), y.tolist(), strict=True))
        if rng.random() < 0.15:  # filled down to the axis
            area = [(plot.left, plot.foot), *points, (plot.right, plot.foot)]
            plot.canvas.polygon(area, mix(style.theme.page, color, 0.3))
        plot.canvas.line(points, color, width)
        if markers:
            for point in points[::3]:
                plot.canvas.ellipse(point, (2.5, 2.5), color)
    plot.legend(rng, style, colors)
    return plot.canvas.finish()


def bars(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Bars beside or upon each other."""
    plot = _Plot(side, rng, style)
    count = int(rng.integers(1, 4))
    colors = [style.accent() for _ in range(count)]
    stacked, named = rng.random() < 0.4, rng.random() < 0.3
    group = int(rng.integers(10, 46))
    width = max(2, round(group * float(rng.uniform(0.5, 0.95)) / (1 if stacked else count)))
    for x in range(plot.left + 4, plot.right - group, group):
        foot = plot.foot
        for k, color in enumerate(colors):
            high = int(rng.uniform(0.05, 0.9) * (plot.foot - plot.top) / (count if stacked else 1))
            left = x if stacked else x + k * width
            plot.canvas.rectangle((left, foot - high, left + width, foot), color)
            if named and not stacked:
                plot.canvas.text(
                    (left + width / 2, foot - high - plot.face.height),
                    str(high),
                    plot.face,
                    style.theme.text,
                    anchor="m",
                )
            foot -= high if stacked else 0
    plot.legend(rng, style, colors)
    return plot.canvas.finish()


def scatter(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: clouds of points."""
    plot = _Plot(side, rng, style)
    for _ in range(rng.integers(1, 4)):
        color, size = style.accent(), float(rng.uniform(1, 4))
        middle, spread = rng.uniform(30, 150, 2), rng.uniform(8, 40, 2)
        for x, y in rng.normal(middle, spread, (int(rng.integers(20, 120)), 2)):
            plot.canvas.ellipse((plot.left + x, plot.top + y), (size, size), color)
    return plot.canvas.finish()


def pie(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: sectors with their shares."""
    canvas = Canvas(side, style.theme.page, 3)
    x, y = rng.uniform(0.2, 0.8, 2) * side
    radius = float(rng.uniform(0.3, 0.7)) * side
    ends = np.sort(rng.uniform(0, 360, int(rng.integers(3, 9)))).tolist()
    face = style.face("sans", 11)
    for start, end in zip(ends, [*ends[1:], ends[0] + 360], strict=True):
        canvas.pie((x, y), radius, (start, end), style.accent())
        angle = np.deg2rad((start + end) / 2)
        place = (x + 0.7 * radius * np.cos(angle), y + 0.7 * radius * np.sin(angle))
        canvas.text(place, number(rng), face, style.theme.text, anchor="m")
    return canvas.finish()


def heat_map(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a matrix of colors with numbers."""
    theme = style.theme
    size = int(rng.integers(8, 44))
    canvas = Canvas(side, theme.page)
    low, high = style.accent(), style.accent()
    x0, y0 = -int(rng.integers(size)), -int(rng.integers(size))
    gap = int(rng.integers(2))
    for y in range(y0, side, size):
        for x in range(x0, side, size):
            share = float(rng.random())
            canvas.rectangle((x, y, x + size - gap, y + size - gap), mix(low, high, share))
            if size > 28:
                canvas.text(
                    (x + size / 2, y + size / 2 - 7),
                    f"{share:.2f}",
                    style.face("sans", 10),
                    theme.text,
                    anchor="m",
                )
    return canvas.finish()
