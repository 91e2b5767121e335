"""Encoding to a size or to a quality in decibels: the level that meets it, found by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from intact.codec import arguments
from intact.codec.encoder import Encoded, Encoder
from intact.errors import ArgumentError, UnreachableError

SEARCHES = 7
"""Encodes that a target takes at most, with 64 levels."""
NEAR = 2
"""Levels that are refined for a target: refined at the same one, a file is a little larger."""


@dataclass(frozen=True)
class Target:
    """What to aim for; exactly one is given.

    Attributes:
        bpp: at most so many bits per pixel, at the best quality.
        size: at most so many bytes, likewise.
        psnr: at least so many dB over the color channels, in the smallest file.

    Raises:
        TypeError: one is no number.
        ArgumentError: not exactly one is given, or it is no positive number.
    """

    bpp: float | None = None
    size: int | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise ArgumentError("give one of target_bpp, target_size, target_psnr")
        for name, value in given.items():
            number = arguments.number(f"target_{name}", value, 0, math.inf)
            if not 0 < number < math.inf:
                raise ArgumentError(f"target_{name} is {number:g}, must be a positive number")

    def __str__(self) -> str:
        if self.bpp is not None:
            return f"{self.bpp:g} bpp"
        return f"{self.size} bytes" if self.size is not None else f"{self.psnr:g} dB"


def search_level(num_levels: int, fits: Callable[[int], bool]) -> int:
    """The highest level for which ``fits`` holds, 0 if none; ``fits`` falls from true to false."""
    low, high = 0, num_levels - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def search(
    encoder: Encoder, target: Target, tell: Callable[[Encoded], object] = lambda _: None
) -> Encoded:
    """Encode at the level that a target asks for.

    Args:
        encoder: of the image.
        target: what to aim for.
        tell: called with what was tried.

    Raises:
        UnreachableError: no level meets the target.
    """
    area, num_levels = encoder.width * encoder.height, len(encoder.model.levels)
    limit = target.size if target.size is not None else (target.bpp or 0) * area / 8
    scores: dict[int, float] = {}
    best: Encoded | None = None  # no other is kept: each holds the pixels

    def reached(score: float) -> bool:
        return score >= target.psnr if target.psnr is not None else score <= limit

    def meets(level: int) -> bool:
        nonlocal best
        if level in scores:
            return reached(scores[level])
        encoded = encoder.encode(level, plain=True)
        by_psnr = target.psnr is not None
        scores[level] = encoder.psnr(encoded) if by_psnr else len(encoded.data)
        tell(encoded)
        if not reached(scores[level]):
            return False
        if best is None or (level < best.level) == by_psnr:
            best = encoded
        return True

    if target.psnr is not None:
        level = search_level(num_levels, lambda i: not meets(i))
        if not meets(level) and level + 1 < num_levels:
            level += 1
            meets(level)
        best = _refined(encoder, target, best, limit, tell)
        if best is None:
            raise UnreachableError(f"the best level gives {scores[level]:.2f} dB, not {target}")
        return best
    level = search_level(num_levels, meets)
    meets(level)
    best = _refined(encoder, target, best, limit, tell)
    if best is None:
        size = int(scores[level])
        raise UnreachableError(
            f"the lowest level takes {size} bytes ({8 * size / area:.3f} bpp), more than {target}"
        )
    return best


def _refined(
    encoder: Encoder,
    target: Target,
    plain: Encoded | None,
    limit: float,
    tell: Callable[[Encoded], object],
) -> Encoded | None:
    """With an effort: the best that meets the target at levels near the one found without.

    Args:
        encoder: of the image.
        target: what to aim for.
        plain: what was found without the effort; None if no level met the target.
        limit: of bytes.
        tell: called with what was tried.
    """
    if not encoder.effort:
        return plain
    best, by_psnr = plain, target.psnr is not None
    top = len(encoder.model.levels) - 1
    if by_psnr:  # as long as they reach it: the smaller the coarser, as a rule
        start = top if plain is None else plain.level - 1
        levels = range(start, -1, -1)
    elif plain is None:
        levels = range(1)
    else:
        levels = range(plain.level, max(plain.level - NEAR, -1), -1)
    for level in levels:
        encoded = encoder.encode(level)
        tell(encoded)
        fits = (
            encoder.psnr(encoded) >= (target.psnr or 0) if by_psnr else len(encoded.data) <= limit
        )
        if by_psnr and not fits:
            break
        if fits and (best is None or _is_better(encoder, encoded, best, by_psnr=by_psnr)):
            best = encoded
        if fits and not by_psnr:
            break
    return best


def _is_better(encoder: Encoder, one: Encoded, other: Encoded, *, by_psnr: bool) -> bool:
    """Which of two that meet a target: the smaller one, or the one with the higher PSNR."""
    if by_psnr:
        return len(one.data) < len(other.data)
    return encoder.psnr(one) > encoder.psnr(other)
