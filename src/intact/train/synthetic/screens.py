"""Crops of programs with windows: desktops, panels of controls; dialogs, cards, bar codes."""

from __future__ import annotations

import numpy as np

from intact.train.synthetic.canvas import Canvas, Generator, Style, mix
from intact.train.synthetic.plain import linear_field
from intact.train.synthetic.words import number, phrase


def window(side: int, rng: Generator, style: Style) -> np.ndarray:
    """A window with a title bar, a menu, a tool bar, a side panel and a list."""
    theme = style.theme
    canvas = Canvas(side, style.accent() if rng.random() < 0.5 else theme.panel, 3)
    if rng.random() < 0.3:
        canvas.paste(linear_field(side, rng), 0, 0)
    x, y = int(rng.integers(-80, 50)), int(rng.integers(-60, 50))
    right, foot = x + int(rng.integers(180, 400)), y + int(rng.integers(140, 400))
    radius = int(rng.integers(0, 12)) if rng.random() < 0.6 else 0
    edge = mix(theme.panel, theme.text, 0.3)
    face = style.face("sans", int(rng.integers(10, 15)))
    bar = face.height + int(rng.integers(6, 22))
    canvas.rectangle((x, y, right, foot), theme.page, outline=edge, radius=radius)
    title = style.accent() if rng.random() < 0.3 else theme.panel
    canvas.rectangle((x + 1, y + 1, right - 1, y + bar), title, radius=radius)
    canvas.text(
        ((x + right) / 2, y + (bar - face.height) / 2), phrase(rng), face, theme.text, anchor="m"
    )
    for k, color in enumerate(((224, 27, 36), (229, 165, 10), (51, 209, 122))):
        middle = (right - 12 - 18 * k, y + bar / 2)
        if rng.random() < 0.7:
            canvas.ellipse(middle, (5, 5), color)
    y += bar
    if rng.random() < 0.6:
        left = x + 8
        for _ in range(8):
            left += canvas.text((left, y + 4), phrase(rng, 1), face, theme.text) + 12
        y += face.height + 8
    if rng.random() < 0.7:
        size = int(rng.integers(14, 26))
        canvas.rectangle((x + 1, y, right - 1, y + size + 8), theme.panel)
        for left in range(x + 6, right - size, size + int(rng.integers(6, 14))):
            canvas.icon(
                (left, y + 4), size, theme.text if rng.random() < 0.8 else style.accent(), style
            )
        y += size + 8
        canvas.rectangle((x + 1, y, right - 1, y + 1), edge)
    panel = int(rng.integers(50, 110)) if rng.random() < 0.6 else 0
    pitch = face.height + int(rng.integers(2, 12))
    if panel:
        canvas.rectangle((x + 1, y, x + panel, foot - 1), theme.panel)
        for top in range(y + 6, min(foot, side), pitch):
            canvas.text((x + 10, top), phrase(rng, 1), face, theme.text)
    chosen = int(rng.integers(8))
    for row, top in enumerate(range(y + 4, min(foot - pitch, side), pitch)):
        color = theme.text
        if row == chosen:
            canvas.rectangle((x + panel, top, right - 1, top + pitch), style.accent())
            color = theme.page
        canvas.icon((x + panel + 6, top + 2), face.size, style.accent(), style)
        canvas.text(
            (x + panel + 10 + face.size, top + (pitch - face.height) // 2),
            phrase(rng, 4),
            face,
            color,
        )
    return canvas.finish()


def controls(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Buttons, fields, switches and sliders on a flat panel."""
    theme = style.theme
    canvas = Canvas(side, theme.panel if rng.random() < 0.6 else theme.page, 3)
    face = style.face("sans", int(rng.integers(10, 16)))
    radius = int(rng.integers(0, 9))
    edge = mix(theme.panel, theme.text, float(rng.uniform(0.15, 0.5)))
    height = face.height + int(rng.integers(6, 16))
    y = int(rng.integers(-20, 14))
    while y < side:
        x = int(rng.integers(-30, 14))
        while x < side:
            width, form = int(rng.integers(50, 120)), rng.integers(6)
            box = (x, y, x + width, y + height)
            top = y + (height - face.height) / 2
            if form == 0:
                canvas.rectangle(box, style.accent(), radius=radius)
                canvas.text((x + width / 2, top), phrase(rng, 1), face, theme.page, anchor="m")
            elif form == 1:
                canvas.rectangle(box, theme.page, outline=edge, radius=radius)
                canvas.text((x + width / 2, top), phrase(rng, 1), face, theme.text, anchor="m")
            elif form == 2:
                canvas.rectangle(box, theme.page, outline=edge, radius=min(radius, 3))
                canvas.text((x + 6, top), phrase(rng, 2)[: width // 8], face, theme.muted)
            elif form == 3:
                color = style.accent() if rng.random() < 0.5 else edge
                knob = y + height / 2
                canvas.rectangle((x, knob - 8, x + 32, knob + 8), color, radius=8)
                canvas.ellipse((x + 8 + 16 * int(rng.integers(2)), knob), (6, 6), theme.page)
            elif form == 4:
                knob = y + height / 2
                canvas.rectangle((x, knob - 2, x + width, knob + 2), edge, radius=2)
                at = x + width * rng.random()
                canvas.rectangle((x, knob - 2, at, knob + 2), style.accent(), radius=2)
                canvas.ellipse((at, knob), (7, 7), theme.page, edge)
            else:
                canvas.text((x, top), phrase(rng, 2), face, theme.text)
            x += width + int(rng.integers(6, 24))
        y += height + int(rng.integers(6, 24))
        if rng.random() < 0.15:
            canvas.rectangle((0, y - 4, side, y - 3), edge)
    return canvas.finish()


def icons(side: int, rng: Generator, style: Style) -> np.ndarray:
    """A launcher: pictograms on tiles, with names below."""
    theme = style.theme
    canvas = Canvas(side, theme.page, 3)
    if rng.random() < 0.3:
        canvas.paste(linear_field(side, rng), 0, 0)
    size = int(rng.integers(28, 72))
    pitch = size + int(rng.integers(10, 36))
    face = style.face("sans", int(rng.integers(9, 13)))
    x0, y0 = (int(v) for v in rng.integers(-size, 12, 2))
    radius = size * float(rng.uniform(0, 0.5))
    for y in range(y0, side, pitch + 8):
        for x in range(x0, side, pitch):
            canvas.rectangle((x, y, x + size, y + size), style.accent(), radius=radius)
            canvas.icon((x + size // 4, y + size // 4), size // 2, theme.page, style)
            canvas.text((x + size / 2, y + size + 2), phrase(rng, 1), face, theme.text, anchor="m")
    return canvas.finish()


def dialog(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a question with a soft shadow over a darkened page."""
    theme = style.theme
    ground = mix(theme.page, (0, 0, 0), float(rng.uniform(0, 0.6)))
    canvas = Canvas(side, ground, 3)
    x, y = (int(v) for v in rng.integers(-30, 50, 2))
    right, foot = x + int(rng.integers(140, 260)), y + int(rng.integers(90, 160))
    for blur in range(10, 0, -1):
        box = (x - blur, y - blur + 3, right + blur, foot + blur + 3)
        canvas.rectangle(box, mix(ground, (0, 0, 0), 0.25 * (1 - blur / 10)), radius=8 + blur)
    canvas.rectangle((x, y, right, foot), theme.page, radius=8)
    face = style.face("sans", 13)
    canvas.text((x + 16, y + 12), phrase(rng, 3), style.face("bold", 16), theme.text)
    for k in range(rng.integers(1, 4)):
        box = (x + 16, y + 42 + 20 * k, x + 30, y + 56 + 20 * k)
        canvas.rectangle(box, style.accent() if k else None, outline=theme.muted, radius=3)
        canvas.text((x + 36, y + 40 + 20 * k), phrase(rng, 3), face, theme.text)
    for k in range(2):
        box = (right - 84 - 90 * k, foot - 34, right - 10 - 90 * k, foot - 8)
        canvas.rectangle(box, theme.panel if k else style.accent(), radius=5)
        canvas.text((box[0] + 37, foot - 29), phrase(rng, 1), face, theme.text, anchor="m")
    return canvas.finish()


def cards(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: a dashboard of cards with figures and bars of progress."""
    theme = style.theme
    canvas = Canvas(side, theme.panel, 3)
    width, height = int(rng.integers(80, 150)), int(rng.integers(60, 110))
    x0, y0 = -int(rng.integers(width)), -int(rng.integers(height))
    for y in range(y0, side, height + 12):
        for x in range(x0, side, width + 12):
            canvas.rectangle((x, y, x + width, y + height), theme.page, radius=6)
            canvas.text((x + 10, y + 8), phrase(rng, 1), style.face("sans", 11), theme.muted)
            canvas.text(
                (x + 10, y + 22), number(rng)[: width // 14], style.face("bold", 22), theme.text
            )
            canvas.rectangle(
                (x + 10, y + height - 14, x + width - 10, y + height - 8), theme.panel, radius=3
            )
            end = x + 14 + (width - 24) * rng.random()
            canvas.rectangle(
                (x + 10, y + height - 14, end, y + height - 8), style.accent(), radius=3
            )
    return canvas.finish()


def bar_code(side: int, rng: Generator, style: Style) -> np.ndarray:
    """Held out: squares or bars of two colors."""
    cell = int(rng.integers(2, 9))
    count = side // cell + 1
    bits = rng.integers(2, size=(count, count if rng.random() < 0.6 else 1), dtype=np.uint8)
    whole = np.broadcast_to(bits, (count, count)).T.repeat(cell, 0).repeat(cell, 1)
    colors = np.array([style.theme.page, style.theme.text], np.uint8)
    pixels = colors[whole[:side, :side]]
    quiet = int(rng.integers(0, side // 4))
    pixels[:quiet], pixels[:, :quiet] = style.theme.page, style.theme.page
    return pixels
