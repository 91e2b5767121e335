"""Compression after training from a few batches: GPTQ's compensation, and batch norm counted again.

Weights of a layer are rounded column by column; the error of one is made good by those that are
still to come, as the second moments of the layer's inputs say (Frantar et al. 2023). All layers
weigh the same: importance from gradients starves late layers of a network that has fitted its
training set. Where a smaller symbol costs fewer bits than it adds error, it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from intact.errors import ArgumentError, DivergedError
from intact.weights.coded import Coded, counts
from intact.weights.modes import modes_kept
from intact.weights.pieces import root_mean_square

Layer = nn.Conv2d | nn.Linear
Forward = Callable[[nn.Module, Any], Any]
DAMPING = 0.01
"""Added to the diagonal of second moments, whose mean is 1."""
FINER = 0.25
"""Steps go with this power of a tensor's size. On a ResNet-32 0.25 gives a loss of 0.132 at 1.80
bits, 0.5 of 0.123 at 1.91, 0 of 0.157 at 1.75 (1,500 held-out training images)."""
LARGEST = 1 << 20
"""Of a symbol's magnitude."""


def compensated(model: nn.Module) -> dict[str, Layer]:
    """Layers that `second_moments` knows: Conv2d without groups, and Linear; by weight's name."""
    return {
        f"{name}.weight" if name else "weight": layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
        or (isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros")
    }


@torch.no_grad()
def second_moments(model: nn.Module, batches: Iterable[Any], forward: Forward) -> dict[str, Tensor]:
    """For each layer the mean of x x^T over inputs x of its weight's rows; [columns, columns].

    Args:
        model: put into evaluation meanwhile.
        batches: a few; what they are is for ``forward`` to know.
        forward: runs the model on a batch.

    Raises:
        ArgumentError: there are no batches.
        DivergedError: an input of a layer is not finite.
    """
    found: dict[str, Tensor] = {}
    handles = []
    for name, layer in compensated(model).items():

        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            rows = _rows(layer, inputs[0].float())
            product = rows.T @ rows / len(rows)
            found[name] = found[name] + product if name in found else product

        handles.append(layer.register_forward_pre_hook(hook))
    runs = 0
    try:
        with modes_kept(model):
            model.eval()
            for batch in batches:
                forward(model, batch)
                runs += 1
    finally:
        for handle in handles:
            handle.remove()
    if not runs:
        raise ArgumentError("no batches to see inputs of layers with; a few hundred items serve")
    for name, moments in found.items():
        if not bool(torch.isfinite(moments).all()):
            raise DivergedError(f"inputs of the layer with {name} are not all finite")
    return {name: moments / runs for name, moments in found.items()}


def _rows(layer: nn.Module, x: Tensor) -> Tensor:
    """Inputs of a layer as its weight's rows see them: [n, columns]."""
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, x.shape[-1])
    assert isinstance(layer, nn.Conv2d)
    padding = layer.padding
    if isinstance(padding, str):
        size = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if padding == "same":  # the odd pixel of an even kernel goes behind
            sides = [size[1] // 2, size[1] - size[1] // 2, size[0] // 2, size[0] - size[0] // 2]
            x = F.pad(x, sides)
        padding = 0
    parts = F.unfold(x.contiguous(), layer.kernel_size, layer.dilation, padding, layer.stride)
    return parts.transpose(1, 2).reshape(-1, parts.shape[1])


def prices(symbols: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """Bits of a symbol by one histogram of all, each counted half a time more than it is there."""
    lowest = min(int(s.min()) for s in symbols)
    found = torch.from_numpy(counts(symbols)).double() + 0.5
    bits = -(found / (found.sum() + 1)).log2()
    rare = float(bits.max()) + 1

    def price(symbol: Tensor) -> Tensor:
        place = symbol.long() - lowest
        inside = (place >= 0) & (place < len(bits))
        return torch.where(inside, bits[place.clamp(0, len(bits) - 1)], rare).float()

    return price


@torch.no_grad()
def round_compensated(
    weight: Tensor,
    moments: Tensor | None,
    step: float,
    *,
    price: Callable[[Tensor], Tensor] | None = None,
    trade: float = 0.05,
) -> Tensor:
    """Symbols of a weight: multiples of ``step`` that leave the layer's outputs as they were.

    Args:
        weight: [out, ...].
        moments: [columns, columns] of `second_moments`; None rounds each weight by itself.
        step: above 0.
        price: bits of a symbol; None takes the nearest.
        trade: error in squared steps that a bit is worth.

    Returns:
        int32 of the weight's shape.
    """
    left = weight.detach().float().reshape(len(weight), -1) / step
    columns = left.shape[1]
    if moments is None:
        return _decide(left, price, trade).int().reshape(weight.shape)
    mean = moments.diagonal().mean()
    # Equal layers: whatever its inputs' size, a layer's second moments are 1 on average.
    even = moments.double() / mean if float(mean) > 0 else torch.eye(columns).double()
    even = even + DAMPING * torch.eye(columns, dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(even))
    solved = torch.linalg.cholesky(inverse, upper=True).float()
    symbols = torch.empty(left.shape, dtype=torch.int32)
    for j in range(columns):
        wanted = left[:, j]
        chosen = _decide(wanted, price, trade)
        symbols[:, j] = chosen.int()
        error = (wanted - chosen) / solved[j, j]
        left[:, j + 1 :] -= error[:, None] * solved[j, j + 1 :]
    return symbols.reshape(weight.shape)


def _decide(wanted: Tensor, price: Callable[[Tensor], Tensor] | None, trade: float) -> Tensor:
    """The symbol for each of some values in steps: squared error + trade times bits."""
    nearest = wanted.round().clamp(-LARGEST, LARGEST)
    if price is None:
        return nearest
    toward = nearest - nearest.sign()
    choices = torch.stack([nearest, toward, torch.zeros_like(nearest)])
    costs = (choices - wanted).square() + trade * price(choices)
    return choices.gather(0, costs.argmin(0, keepdim=True))[0]


def quantize(
    weights: dict[str, Tensor],
    moments: dict[str, Tensor],
    share: float,
    *,
    trade: float = 0.05,
    passes: int = 2,
) -> dict[str, Coded]:
    """All weights of a network as multiples of steps: shares of their root mean squares.

    The largest tensor's step is ``share`` of its own; smaller ones, which cost few bits, have
    finer steps (`FINER`).

    Args:
        weights: by name.
        moments: of `second_moments`; a weight without is rounded by itself.
        share: step over root mean square, above 0.
        trade: see `round_compensated`.
        passes: with prices from the histogram of the one before; after a first without prices.
    """
    largest = max(w.numel() for w in weights.values())
    steps = {
        name: max(float(root_mean_square(w.detach().float())) * share, 1e-30)
        * (w.numel() / largest) ** FINER
        for name, w in weights.items()
    }
    symbols: dict[str, Tensor] = {}
    price = None
    for _ in range(passes + 1):
        symbols = {
            name: round_compensated(w, moments.get(name), steps[name], price=price, trade=trade)
            for name, w in weights.items()
        }
        price = prices(list(symbols.values()))
    return {name: Coded(symbols[name], step=steps[name]) for name in weights}


def recalibrate(model: nn.Module, batches: Iterable[Any], forward: Forward) -> None:
    """Count means and variances of batch norm again, as the mean over ``batches``."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [m for m in norms if m.track_running_stats]
    momenta = [m.momentum for m in norms]
    try:
        with modes_kept(model), torch.no_grad():
            model.eval()
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean
                norm.train()
            for batch in batches:
                forward(model, batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
