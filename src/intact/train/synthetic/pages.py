"""Crops that are mostly text: pages, programs, tables; terminals, slides, calendars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from intact.train.synthetic.canvas import (
    Canvas,
    Generator,
    Style,
    mix,
    running_text,
    write_block,
)
from intact.train.synthetic.words import number, phrase


def paragraphs(side: int, rng: Generator, style: Style) -> np.ndarray:
    """A part of a printed or web page."""
    theme = style.theme
    face = style.face(("sans", "serif", "sans", "bold")[rng.integers(4)])
    pitch = round(face.size * rng.uniform(1.2, 1.7))
    canvas = Canvas(side, theme.page if rng.random() < 0.8 else theme.panel)
    x = int(rng.integers(-60, 24))
    y = int(rng.integers(-pitch, 20))
    if rng.random() < 0.4:
        head = style.face("bold", min(40, round(face.size * rng.uniform(1.3, 2.2))))
        color = theme.text if rng.random() < 0.7 else style.accent()
        canvas.text((x, y), phrase(rng, 6), head, color)
        y += round(head.size * 1.6)
    pixels = canvas.finish()
    color = theme.text if rng.random() < 0.85 else theme.muted
    while y < side:
        count = int(rng.integers(2, 9))
        width = side - x - int(rng.integers(-40, 16))
        ends = [*rng.integers(width - 3 * face.size, width, count - 1), rng.integers(20, width)]
        text, words = running_text(
            rng, face, style.vocabulary(face), [int(e) for e in ends], width, pitch
        )
        colors: np.ndarray = np.array(color)
        if rng.random() < 0.3:  # links or marked words
            marked = words % 13 == 1
            colors = np.where(marked[..., None], style.accent(), color)
        write_block(pixels, (x, y), text, colors)
        y += len(text) + round(pitch * rng.uniform(0, 1))
    return pixels


def code(side: int, rng: Generator, style: Style) -> np.ndarray:
    """An editor with colored syntax, indented, with numbers of lines or without."""
    theme = style.theme
    face = style.face("mono", int(rng.integers(9, 19)))
    pitch = round(face.height * rng.uniform(1.0, 1.25))
    lines = side // pitch + 2
    x, y = int(rng.integers(-40, 8)), -int(rng.integers(pitch))
    canvas = Canvas(side, theme.page)
    gutter = round(face.size * 2.4) if rng.random() < 0.5 else 0
    if rng.random() < 0.5:
        top = y + pitch * int(rng.integers(lines))
        canvas.rectangle((0, top, side, top + pitch), theme.panel)
    if gutter:
        first = int(rng.integers(1, 900))
        canvas.rectangle((0, 0, gutter, side), theme.panel)
        for i in range(lines):
            canvas.text((gutter - 4, y + i * pitch), str(first + i), face, theme.muted, anchor="r")
    pixels = canvas.finish()
    step = round(face.size * 2.4)
    depth = np.clip(np.cumsum(rng.integers(-1, 2, lines)) + 1, 0, 4)
    width = side + 60
    ends = [0 if rng.random() < 0.12 else int(e) for e in rng.integers(40, width, lines)]
    text, words = running_text(rng, face, "code", ends, width, pitch)
    inks = np.array([theme.text, theme.text, theme.text, *theme.accents, theme.muted])
    colors = inks[rng.integers(len(inks), size=256)[words]]
    rows = len(text) // lines
    for i in range(lines):
        part = slice(i * rows, (i + 1) * rows)
        place = (max(x, 0) + gutter + 4 + int(depth[i]) * step, y + i * pitch)
        write_block(pixels, place, text[part], colors[part])
    return pixels


def table(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Rows and columns of numbers and names, with lines or stripes."""
    theme = style.theme
    face = style.face("sans", int(rng.integers(9, 16)))
    pitch = round(face.height * rng.uniform(1.1, 1.8))
    ruled, striped = rng.random() < 0.6, rng.random() < 0.4
    canvas = Canvas(side, theme.page)
    x0, y0 = int(rng.integers(-50, 12)), int(rng.integers(-pitch, 12))
    edges = [x0, *(x0 + np.cumsum(rng.integers(40, 90, 8))).tolist()]
    edge = mix(theme.page, theme.text, float(rng.uniform(0.1, 0.6)))
    named = rng.random(8) < 0.35
    head = style.accent() if rng.random() < 0.4 else theme.panel
    right = next((e for e in edges if e > side - 30), edges[-1])
    for row, y in enumerate(range(y0, side, pitch)):
        if row == 0:
            canvas.rectangle((x0, y, right, y + pitch), head)
        elif striped and row % 2:
            canvas.rectangle((x0, y, right, y + pitch), theme.panel)
        if ruled:
            canvas.rectangle((x0, y, right, y + 1), edge)
        for column, (left, end) in enumerate(pairwise(edges)):
            if left > side or end > right:
                break
            top = y + (pitch - face.height) // 2
            if row == 0 or named[column]:
                text = phrase(rng, 1)[: (end - left) * 2 // face.size]
                canvas.text((left + 4, top), text, face, theme.text)
            elif rng.random() < 0.92:
                text = number(rng)[: (end - left) * 2 // face.size]
                canvas.text((end - 4, top), text, face, theme.text, anchor="r")
    if ruled:
        for left in edges:
            canvas.rectangle((left, y0, left + 1, side), edge)
    return canvas.finish()


def terminal(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a terminal with blocks of color."""
    dark = rng.random() < 0.8
    ground = ((0, 0, 0), (30, 30, 30), (48, 10, 36))[rng.integers(3)] if dark else (255, 255, 255)
    face = style.face("mono", int(rng.integers(10, 18)))
    pitch = face.height
    lines = side // pitch + 2
    pixels = np.full((side, side, 3), ground, np.uint8)
    ends = [int(e) for e in rng.integers(0, side * 2, lines)]
    text, words = running_text(rng, face, "code", ends, side + 20, pitch)
    light = (229, 229, 229) if dark else (0, 0, 0)
    inks = np.array([light] * 5 + [(78, 154, 6), (196, 160, 0), (52, 101, 164), (6, 152, 154)])
    for line in range(lines):
        if rng.random() < 0.1:
            top = max(0, line * pitch - 5)
            pixels[top : top + pitch, : rng.integers(side)] = style.accent()
    write_block(pixels, (-int(rng.integers(20)), -5), text, inks[rng.integers(9, size=256)[words]])
    return pixels


def slide(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: large letters, bullets, a colored bar."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 3)
    bar = int(rng.integers(20, 60))
    canvas.rectangle((0, 0, side, bar), style.accent())
    head = style.face("bold", int(rng.integers(22, 44)))
    canvas.text(
        (int(rng.integers(-40, 12)), bar // 2 - head.height // 2), phrase(rng, 4), head, theme.page
    )
    face = style.face("sans", int(rng.integers(16, 26)))
    for y in range(bar + 16, side, round(face.size * 1.7)):
        canvas.ellipse((12, y + face.height / 2), (3, 3), style.accent())
        canvas.text((24, y), phrase(rng, 5), face, theme.text)
    return canvas.finish()


def calendar(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: boxes with a day and its appointments."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 2)
    width, height = (int(v) for v in rng.integers(44, 90, 2))
    x0, y0 = -int(rng.integers(width)), -int(rng.integers(height))
    small = style.face("sans", 10)
    edge = mix(theme.page, theme.text, 0.2)
    day = int(rng.integers(1, 20))
    for y in range(y0, side, height):
        for x in range(x0, side, width):
            canvas.rectangle((x, y, x + width + 1, y + height + 1), None, outline=edge)
            canvas.text((x + 5, y + 3), str(day), style.face("bold", 12), theme.text)
            day = day % 31 + 1
            for k in range(rng.integers(0, 3)):
                top = y + 20 + 16 * k
                color = style.accent()
                canvas.rectangle((x + 3, top, x + width - 3, top + 14), color, radius=3)
                canvas.text((x + 6, top + 1), phrase(rng, 1)[: width // 7], small, theme.page)
    return canvas.finish()
