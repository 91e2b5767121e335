"""What the functions of this room ask of their arguments and surroundings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from intact.errors import ArgumentError, DivergedError, quoted

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def without_autocast(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function whose products keep the precision of their tensors: distances need it."""

    @functools.wraps(function)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = (*args, *kwargs.values())
        device = next((a.device.type for a in given if isinstance(a, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return wrapped


def check_floats(tensor: Tensor, name: str) -> None:
    """A tensor of floating point with something in it: what people hand to this room.

    Raises:
        ArgumentError: it is something else, or empty.
    """
    _check_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise ArgumentError(f"{name} are {tensor.dtype}, not floating point")
    if not tensor.numel():
        raise ArgumentError(f"{name} have shape {list(tensor.shape)}: there are none")


def check_symbols(symbols: Tensor, size: int) -> Tensor:
    """Symbols [g, n] of any integer type, 0..size-1, as int64.

    Raises:
        ArgumentError: they are something else, or out of range.
    """
    _check_tensor(symbols, "symbols")
    if symbols.dim() != 2 or symbols.is_floating_point() or symbols.is_complex():
        raise ArgumentError(f"symbols are {symbols.dtype} {list(symbols.shape)}, not int64 [g, n]")
    symbols = symbols.long()
    if symbols.numel():
        low, high = (int(x) for x in symbols.aminmax())
        if low < 0 or high >= size:
            raise ArgumentError(f"symbols reach from {low} to {high}; legal is 0..{size - 1}")
    return symbols


def _check_tensor(value: Any, name: str) -> None:
    if not isinstance(value, Tensor):
        raise ArgumentError(f"{name} are a {type(value).__name__}, not a torch.Tensor")


def check_points(points: Tensor, centers: Tensor) -> None:
    """Points are [g, n, k] and centers [1 or g, L, k], both floating point, with n, k, L >= 1.

    Raises:
        ArgumentError: a shape or a type is another.
    """
    for name, tensor in (("points", points), ("centers", centers)):
        _check_tensor(tensor, name)
        if not tensor.is_floating_point():
            raise ArgumentError(f"{name} are {tensor.dtype}, not floating point")
        if tensor.dim() != 3 or tensor.numel() == 0:
            shape = "[g, n, k]" if name == "points" else "[1 or g, L, k]"
            raise ArgumentError(f"{name} have shape {list(tensor.shape)}, not {shape}, none empty")
    if centers.shape[0] not in (1, points.shape[0]) or centers.shape[2] != points.shape[2]:
        raise ArgumentError(
            f"centers {list(centers.shape)} do not fit points {list(points.shape)}: "
            "[1 or g, L, k] and [g, n, k]"
        )


def check_codebook(centers: Tensor, name: str) -> None:
    """Centers are [1 or g, L, k], finite and of floating point, with L >= 2.

    Raises:
        ArgumentError: a shape or a type is another.
        DivergedError: one is not finite.
    """
    _check_tensor(centers, name)
    if centers.dim() != 3 or centers.numel() == 0 or centers.shape[1] < 2:
        raise ArgumentError(
            f"{name} have shape {list(centers.shape)}; legal is [1 or g, L, k], L from 2"
        )
    check_floats(centers, name)
    check_finite(centers, name)


def check_kind(value: object, kind: type, name: str, wanted: str) -> None:
    """``value`` is an object of ours, or one that can stand for it.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(value, kind):
        raise ArgumentError(f"{name} is {quoted(value)}; legal is {wanted}")


def check_finite(tensor: Tensor, name: str) -> float:
    """No entry is NaN or infinite; the largest absolute value.

    Raises:
        DivergedError: one is; says how many and where the first stands.
    """
    low, high = (float(x) for x in tensor.detach().aminmax())
    if math.isfinite(low) and math.isfinite(high):
        return max(-low, high)
    bad = ~torch.isfinite(tensor.detach())
    first = tuple(bad.nonzero()[0].tolist())
    raise DivergedError(
        f"{int(bad.sum())} of {bad.numel()} values of the {name} are not finite, the first at "
        f"{first}: {float(tensor[first])}"
    )


def plain(value: float | Tensor, name: str) -> float:
    """A number, out of the graph where it is a tensor.

    Raises:
        ArgumentError: it is none, or several.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ArgumentError(f"{name} has shape {list(value.shape)}; one number is wanted")
    if isinstance(value, str | bytes | bool):  # float() takes "1e3" and True
        raise ArgumentError(f"{name} is {quoted(value)}, not a number")
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {quoted(value)}, not a number") from None


def positive(value: float | Tensor, name: str) -> float:
    """``value`` as a number, which is finite and above 0.

    Raises:
        ArgumentError: it is not.
    """
    number = plain(value, name)
    if not 0 < number < float("inf"):
        raise ArgumentError(f"{name} is {number}; legal is a finite number above 0")
    return number


def from_zero(value: float | Tensor, name: str, below: float = float("inf")) -> float:
    """``value`` as a number from 0, which is finite and less than ``below``.

    Raises:
        ArgumentError: it is not.
    """
    number = plain(value, name)
    if not 0 <= number < below:
        legal = "a finite number from 0" if below == float("inf") else f"from 0 to below {below:g}"
        raise ArgumentError(f"{name} is {number:g}; legal is {legal}")
    return number


def whole(value: int, name: str, least: int = 1, most: int | None = None) -> int:
    """``value``, which is an integer of at least ``least``, and at most ``most``.

    Raises:
        ArgumentError: it is not.
    """
    wrong = isinstance(value, bool) or not isinstance(value, int)
    if wrong or value < least or (most is not None and value > most):
        legal = f"an integer from {least}" if most is None else f"an integer, {least} .. {most}"
        raise ArgumentError(f"{name} is {quoted(value)}; legal is {legal}")
    return value
