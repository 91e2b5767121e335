"""Crops of drawings: line art, maps, pixel art; diagrams, halftones, music."""

from __future__ import annotations

import numpy as np

from intact.train.synthetic.canvas import Canvas, Generator, Style, mix, random_color
from intact.train.synthetic.words import phrase

Points = list[tuple[float, float]]


def _curve(rng: Generator, side: int, corners: int = 4) -> Points:
    """A smooth curve (Bézier, of any degree) through the crop and around it."""
    control = rng.uniform(-0.3, 1.3, (corners, 2)) * side
    t = np.linspace(0, 1, 24)[:, None, None]
    points = np.broadcast_to(control, (24, corners, 2))
    for _ in range(corners - 1):
        points = points[:, :-1] * (1 - t) + points[:, 1:] * t
    return [(x, y) for x, y in points[:, 0].tolist()]


def _blob(rng: Generator, center: tuple[float, float], radius: float) -> Points:
    """A closed smooth shape."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    far = np.full(40, 1.0)
    for k in range(1, 5):
        far += rng.normal() * 0.25 / k * np.cos(k * angle + rng.uniform(0, 6.28))
    far = np.maximum(0.2, far) * radius
    x, y = center[0] + far * np.cos(angle), center[1] + far * np.sin(angle)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def line_art(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Outlines, flat fills and hatching, as in comics and technical drawings."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 3)
    ink = theme.text
    filled = rng.random() < 0.5
    width = float(rng.choice([0.7, 1, 1.5, 2, 3, 4]))
    for _ in range(rng.integers(1, 6)):
        middle = tuple((rng.uniform(0, 1, 2) * side).tolist())
        shape = _blob(rng, (middle[0], middle[1]), float(rng.uniform(0.1, 0.5)) * side)
        if filled:
            color = random_color(rng) if rng.random() < 0.5 else style.accent()
            canvas.polygon(shape, color)
        canvas.line([*shape, shape[0]], ink, width)
    for _ in range(rng.integers(0, 8)):
        canvas.line(_curve(rng, side), ink, width)
    if rng.random() < 0.4:
        gap, x0 = float(rng.uniform(3, 10)), float(rng.uniform(0, side))
        slope, high = float(rng.uniform(-1, 1)), float(rng.uniform(20, side))
        for k in range(rng.integers(5, 30)):
            x = x0 + gap * k
            canvas.line([(x, 0), (x + slope * high, high)], ink, max(0.7, width / 2))
    return canvas.finish()


def city_map(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Water, parks, houses, streets with casings and names."""
    dark = rng.random() < 0.2
    land = (
        (36, 40, 46)
        if dark
        else ((242, 239, 233), (255, 255, 255), (232, 234, 237))[rng.integers(3)]
    )
    water = (
        (20, 30, 48)
        if dark
        else ((170, 211, 223), (156, 192, 249), (200, 215, 230))[rng.integers(3)]
    )
    park = (
        (38, 58, 46)
        if dark
        else ((200, 250, 204), (173, 209, 158), (225, 240, 215))[rng.integers(3)]
    )
    canvas = Canvas(side, land, 3)
    for color in (park, water, park):
        if rng.random() < 0.7:
            center = tuple((rng.uniform(-0.2, 1.2, 2) * side).tolist())
            canvas.polygon(_blob(rng, (center[0], center[1]), float(rng.uniform(20, 90))), color)
    house = mix(land, (128, 110, 100), 0.25)
    pitch, turn = float(rng.uniform(26, 64)), float(rng.uniform(0, 1.57))
    ax, ay = np.cos(turn), np.sin(turn)

    def place(u: float, v: float) -> tuple[float, float]:
        return side / 2 + u * ax - v * ay, side / 2 + u * ay + v * ax

    cells = np.arange(-4, 5) * pitch
    for u in cells:
        for v in cells:
            if rng.random() < 0.45:
                w, h = rng.uniform(0.2, 0.6, 2) * pitch
                a, b = u + 0.2 * pitch, v + 0.2 * pitch
                corners = [place(a, b), place(a + w, b), place(a + w, b + h), place(a, b + h)]
                canvas.polygon(corners, house, mix(house, (90, 80, 70), 0.5))
    streets: list[tuple[Points, float, tuple[int, int, int]]] = []
    road = mix(land, (255, 255, 255), 0.2 if dark else 1.0)
    for c in cells:
        streets.append(([place(c, -300), place(c, 300)], float(rng.uniform(3, 6)), road))
        streets.append(([place(-300, c), place(300, c)], float(rng.uniform(3, 6)), road))
    for _ in range(rng.integers(0, 3)):
        color = ((247, 250, 191), (252, 214, 164), (249, 178, 156))[rng.integers(3)]
        streets.append((_curve(rng, side), float(rng.uniform(6, 12)), color))
    for path, width, color in streets:
        canvas.line(path, mix(color, (100, 100, 110), 0.45), width + 1.5)
    for path, width, color in streets:
        canvas.line(path, color, width)
    face = style.face("sans", int(rng.integers(9, 13)))
    ink = (200, 200, 200) if dark else (70, 70, 80)
    for _ in range(rng.integers(1, 6)):
        x, y = (rng.uniform(-0.1, 0.9, 2) * side).tolist()
        canvas.text((x, y), phrase(rng, 2), face, ink)
    return canvas.finish()


def _sprite(rng: Generator, size: int, num_colors: int) -> np.ndarray:
    """A symmetric figure of three colors with an outline of a fourth, by number; 0: nothing."""
    shape = rng.random((int(rng.integers(size, 2 * size + 1)), size)) < np.linspace(0.2, 0.95, size)
    inks = 1 + rng.integers(num_colors - 1, size=4)
    rows = rng.integers(3, size=(len(shape), 1))  # colors change from row to row, as clothes do
    spots = rng.random(shape.shape) < 0.1
    half = np.where(shape, inks[np.where(spots, (rows + 1) % 3, rows)], 0)
    whole = np.pad(np.concatenate([half, half[:, ::-1]], 1), 1)
    near = np.maximum.reduce([np.roll(whole, d, a) for d in (-1, 1) for a in (0, 1)])
    return np.where((whole == 0) & (near > 0), inks[3], whole)


def pixel_art(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Sprites and tiles of few colors, every pixel enlarged to a square."""
    cell = int(rng.integers(2, 13))
    count = side // cell + 2
    colors = np.array([random_color(rng) for _ in range(rng.integers(4, 17))], np.uint8)
    tile = int(rng.choice([8, 16, 16, 32]))
    coarse = rng.integers(2, size=(tile // 4, tile // 4)).repeat(4, 0).repeat(4, 1)
    ground = np.where(rng.random((tile, tile)) < 0.08, 2, coarse)
    times = -(-count // tile)
    picture = np.tile(ground if rng.random() < 0.6 else ground * 0, (times, times))[:count, :count]
    for _ in range(rng.integers(1, 2 + count // 8)):
        sprite = _sprite(rng, int(rng.integers(3, 9)), len(colors))
        y, x = rng.integers(0, max(1, count - len(sprite) // 2), 2)
        area = picture[y : y + len(sprite), x : x + sprite.shape[1]]
        sprite = sprite[: area.shape[0], : area.shape[1]]
        area[...] = np.where(sprite > 0, sprite, area)
    y, x = rng.integers(cell, size=2)
    return colors[picture].repeat(cell, 0).repeat(cell, 1)[y : y + side, x : x + side]


def diagram(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: boxes with arrows between them."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 3)
    face = style.face("sans", 12)
    columns, rows = int(rng.integers(90, 130)), int(rng.integers(56, 90))
    x0, y0 = (int(v) for v in rng.integers(-50, 20, 2))
    for y in range(y0, side, rows):
        for x in range(x0, side, columns):
            canvas.line([(x + 70, y + 15), (x + columns, y + 15)], theme.text)
            canvas.polygon(
                [(x + columns, y + 15), (x + columns - 7, y + 11), (x + columns - 7, y + 19)],
                theme.text,
            )
            canvas.line([(x + 35, y + 30), (x + 35, y + rows)], theme.text)
            color = style.accent() if rng.random() < 0.4 else theme.panel
            canvas.rectangle(
                (x, y, x + 70, y + 30), color, outline=theme.text, radius=6 * int(rng.integers(2))
            )
            canvas.text((x + 35, y + 7), phrase(rng, 1), face, theme.text, anchor="m")
    return canvas.finish()


def halftone(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: dots whose size follows a gradient."""
    canvas = Canvas(side, style.theme.page, 3)
    pitch = float(rng.uniform(5, 16))
    for j in range(int(side / pitch) + 2):
        for i in range(int(side / pitch) + 2):
            x, y = (i + 0.5 * (j % 2)) * pitch, j * pitch
            radius = pitch * 0.65 * (x + y) / (2 * side)
            canvas.ellipse((x, y), (radius, radius), style.theme.text)
    return canvas.finish()


def music(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: staves with notes."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 3)
    gap = float(rng.uniform(4, 8))
    for top in np.arange(float(rng.uniform(-20, 20)), side, gap * 9):
        for k in range(5):
            canvas.line([(0, top + k * gap), (side, top + k * gap)], theme.text)
        for x in np.arange(10, side, gap * 3.2):
            y = top + gap * 0.5 * int(rng.integers(-2, 10))
            full = rng.random() < 0.7
            canvas.ellipse(
                (x, y), (gap * 0.65, gap * 0.5), theme.text if full else theme.page, theme.text
            )
            canvas.line([(x + gap * 0.6, y), (x + gap * 0.6, y - 3.2 * gap)], theme.text)
    return canvas.finish()
