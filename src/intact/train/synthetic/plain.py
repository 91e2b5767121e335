"""Crops with little in them: flat colors, gradients, soft fields, dithering."""

from __future__ import annotations

import numpy as np
from PIL import Image

from intact.train.synthetic.canvas import Canvas, Generator, Style, random_color


def _plain_color(rng: Generator) -> tuple[int, int, int]:
    """White and black often, then saturated colors (hardest for a codec), grays, anything."""
    form = rng.random()
    if form < 0.35:
        return (255, 255, 255) if form < 0.25 else (0, 0, 0)
    if form < 0.65:  # on an edge of the color cube
        r, g, b = rng.permutation([*(255 * rng.integers(2, size=2)), rng.integers(256)])
        return int(r), int(g), int(b)
    return random_color(rng)


def flat(side: int, rng: Generator, style: Style) -> np.ndarray:
    """One color; half of them with a few boxes or lines of others."""
    canvas = Canvas(side, _plain_color(rng))
    if rng.random() < 0.5:
        return canvas.finish()
    for _ in range(rng.integers(1, 5)):
        x0, y0, x1, y1 = (int(v) for v in rng.integers(-side // 2, side + side // 2, 4))
        form = rng.random()
        if form < 0.4:
            canvas.rectangle(
                (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), _plain_color(rng)
            )
        elif form < 0.7:
            canvas.rectangle((0, y0, side, y0 + int(rng.integers(1, 4))), _plain_color(rng))
        else:
            canvas.rectangle((x0, 0, x0 + int(rng.integers(1, 60)), side), _plain_color(rng))
    return canvas.finish()


def _stops(rng: Generator, count: int) -> np.ndarray:
    """Float [count, 3]: colors to go between; at times gray, at times only some levels apart."""
    first, *others = _plain_color(rng), *(random_color(rng) for _ in range(count - 1))
    colors = np.array([first, *others], np.float64)
    if rng.random() < 0.5:
        colors = colors[::-1]
    form = rng.random()
    if form < 0.25:
        return np.repeat(colors.mean(1, keepdims=True), 3, 1)
    if form < 0.5:  # where 8 bits show steps
        near = colors[:1] + rng.uniform(-24, 24, (count, 3)) * (rng.random(3) < 0.7)
        return np.clip(near, 0, 255)
    return colors


def _ramp(rng: Generator, position: np.ndarray) -> np.ndarray:
    """Colors of a gradient at positions of 0..1, rounded, now and then with noise before."""
    count = 2 if rng.random() < 0.7 else 3
    stops = _stops(rng, count)
    at = np.linspace(0, 1, count)
    position = np.clip(position, 0, 1)
    out = np.stack([np.interp(position, at, stops[:, c]) for c in range(3)], -1)
    return _rounded(rng, out)


def _rounded(rng: Generator, colors: np.ndarray) -> np.ndarray:
    if rng.random() < 0.2:
        colors = colors + rng.uniform(-0.5, 0.5, colors.shape[:2])[..., None]
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """X [1, side] and y [side, 1] of the middles of pixels, the crop going from 0 to 1."""
    axis = (np.arange(side) + 0.5) / side
    return axis[None], axis[:, None]


def linear_field(side: int, rng: Generator) -> np.ndarray:
    """uint8 [side, side, 3]: a gradient at any angle, vertical and horizontal ones most often."""
    x, y = _grid(side)
    angle = rng.integers(4) * np.pi / 2 if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    # A crop is a part of a gradient, seldom all of it.
    start, stretch = rng.uniform(0, 1), 2.0 ** rng.uniform(-2.5, 1)
    return _ramp(rng, start + along * stretch)


def linear(side: int, rng: Generator, style: Style) -> np.ndarray:
    """A gradient along a line."""
    return linear_field(side, rng)


def _soft(side: int, rng: Generator) -> np.ndarray:
    """Float [side, side, 3]: colors that flow into each other around some points."""
    x, y = _grid(side)
    count = int(rng.integers(2, 6))
    centers, widths = rng.uniform(-0.3, 1.3, (count, 2)), rng.uniform(0.15, 0.8, count)
    far = (x[..., None] - centers[:, 0]) ** 2 + (y[..., None] - centers[:, 1]) ** 2
    weights = np.exp(-far / widths**2) + 1e-6
    return weights @ _stops(rng, count) / weights.sum(-1, keepdims=True)


def soft(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Colors that flow into each other, as on wallpapers."""
    return _rounded(rng, _soft(side, rng))


def _bayer(order: int) -> np.ndarray:
    """Thresholds of 0..1 of ordered dithering."""
    matrix = np.zeros((1, 1))
    for _ in range(order):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix + 0.5) / matrix.size


def ordered_dither(side: int, rng: Generator, style: Style) -> np.ndarray:
    """A soft field in few levels, by a matrix of thresholds."""
    levels = int(rng.integers(1, 5))
    threshold = _bayer(int(rng.integers(1, 4)))
    times = -(-side // len(threshold))
    field = _soft(side, rng)
    if rng.random() < 0.3:
        field = np.broadcast_to(field.mean(-1, keepdims=True), field.shape)
    steps = np.floor(field / 255 * levels + np.tile(threshold, (times, times))[:side, :side, None])
    return np.rint(np.clip(steps, 0, levels) * (255 / levels)).astype(np.uint8)


def radial(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a gradient around a point."""
    x, y = _grid(side)
    cx, cy = rng.uniform(-0.2, 1.2, 2)
    far = np.hypot(x - cx, y - cy)
    return _ramp(rng, far * 2.0 ** rng.uniform(-1, 1.2))


def conic(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a gradient that turns around a point."""
    x, y = _grid(side)
    cx, cy = rng.uniform(0.1, 0.9, 2)
    turn = np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5
    return _ramp(rng, np.abs(2 * turn - 1))


def swatches(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a palette of squares of 27 colors."""
    size = int(rng.integers(12, 64))
    count = side // size + 2
    cells = (rng.integers(3, size=(count, count, 3)) * 127.5).astype(np.uint8)
    x, y = rng.integers(size, size=2)
    return cells.repeat(size, 0).repeat(size, 1)[y : y + side, x : x + side]


def diffused_dither(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a soft field in 2 to 32 colors, the errors spread to the next pixels."""
    field = np.clip(np.rint(_soft(side, rng)), 0, 255).astype(np.uint8)
    image = Image.fromarray(field)
    if rng.random() < 0.4:
        return np.array(image.convert("1").convert("RGB"))
    few = image.quantize(int(rng.integers(2, 33)))
    palette = image.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG)
    return np.array(palette.convert("RGB"))
