"""What the functions of this room ask of their arguments and surroundings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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


def check_points(points: Tensor, centers: Tensor) -> None:
    """Points are [g, n, k] and centers [1 or g, L, k], both floating point, with n, k, L >= 1.

    Raises:
        ArgumentError: a shape or a type is another.
    """
    for name, tensor in (("points", points), ("centers", centers)):
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


def check_finite(tensor: Tensor, name: str) -> None:
    """No entry is NaN or infinite.

    Raises:
        DivergedError: one is; says how many and where the first stands.
    """
    low, high = tensor.detach().aminmax()
    if bool(torch.isfinite(low)) and bool(torch.isfinite(high)):
        return
    bad = ~torch.isfinite(tensor.detach())
    first = tuple(bad.nonzero()[0].tolist())
    raise DivergedError(
        f"{int(bad.sum())} of {bad.numel()} values of the {name} are not finite, the first at "
        f"{first}: {float(tensor[first])}"
    )


def plain(value: float | Tensor) -> float:
    """A number, out of the graph where it is a tensor."""
    return float(value.detach() if isinstance(value, Tensor) else value)


def positive(value: float | Tensor, name: str) -> float:
    """``value`` as a number, which is finite and above 0.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ArgumentError(f"{name} has shape {list(value.shape)}; one number is wanted")
    try:
        number = plain(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {quoted(value)}, not a number") from None
    if not 0 < number < float("inf"):
        raise ArgumentError(f"{name} is {number}; legal is a finite number above 0")
    return number


def whole(value: int, name: str, least: int = 1) -> int:
    """``value``, which is an integer of at least ``least``.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} is {quoted(value)}; legal is an integer from {least}")
    return value
