"""Histograms and soft entropies: Agustsson 2017, eq. 4, 5 and 8.

Entropies are in *bits per symbol*, the logarithm to base 2: times ln 2 they are in nats, and a
beta for nats divided by ln 2 is one for bits. The rate term of eq. 6 is ``beta * m * H``, m the
symbols of an item (an image; for weights the network).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from intact.errors import ArgumentError
from intact.quantize.checks import check_floats, check_symbols, positive, whole

_LEAST = 1e-30  # below it q is taken as this in a logarithm; a center that is not used has no rate
_MOST = 1.01  # of a probability, with the rounding of half precision


def hard_counts(symbols: Tensor, size: int) -> Tensor:
    """How often each symbol occurs.

    Args:
        symbols: integers [g, n], 0..size-1.
        size: L.

    Returns:
        int64 [g, size].

    Raises:
        ArgumentError: symbols are not [g, n], or out of range.
    """
    whole(size, "size")
    symbols = check_symbols(symbols, size)
    offsets = size * torch.arange(len(symbols), device=symbols.device)[:, None]
    counts = torch.bincount((symbols + offsets).flatten(), minlength=len(symbols) * size)
    return counts.reshape(-1, size)


def hard_histogram(symbols: Tensor, size: int) -> Tensor:
    """p_j, the share of symbols that are j: eq. 4.

    Args and errors are those of `hard_counts`.

    Returns:
        float32 [g, size], each row summing to 1.
    """
    return hard_counts(symbols, size) / max(symbols.shape[-1], 1)


def soft_histogram(phi: Tensor) -> Tensor:
    """q_j, the mean of phi_j; §3.2. `intact.quantize.soft_quantize` gives it without phi.

    Args:
        phi: [g, n, L].

    Returns:
        [g, L].

    Raises:
        ArgumentError: the shape is another, or there are no points.
    """
    check_floats(phi, "assignments")
    if phi.dim() != 3:
        raise ArgumentError(f"assignments have shape {list(phi.shape)}, not [g, n, L]")
    return phi.mean(1)


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum of p_j log2 p_j, bits per symbol; eq. 5. Of [g, L] the result is [g].

    Raises:
        ArgumentError: something in p is no probability.
    """
    _check_probabilities(p, "p", zero=True)
    return torch.special.entr(p).sum(-1) / math.log(2)


def entropy_of_p_by_q(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = -sum of p_j log2 q_j: at least H(p). §3.2; for weights.

    p is held constant. All symbols must be in q: it is no mean over batches.

    Args:
        p: hard histogram [g, L].
        q: soft histogram [g, L]. Where p is 0, q may be.

    Returns:
        [g], bits per symbol.

    Raises:
        ArgumentError: the shapes differ, or something in p is no probability.
    """
    _same_shape(p, q)
    _check_probabilities(p, "p", zero=True)
    log_q = torch.log2(q.clamp(min=_LEAST))
    return -(p.detach().to(q.dtype) * log_q).sum(-1)


def entropy_of_q_by_p(q: Tensor, p: Tensor) -> Tensor:
    """H(q, p) = -sum of q_j log2 p_j: eq. 8, additive over items; for features.

    p is held constant.

    Args:
        q: soft histogram of the batch [g, L].
        p: histogram [g, L] of many items, all of it above 0, as `MovingHistogram.p` returns it.

    Returns:
        [g], bits per symbol.

    Raises:
        ArgumentError: the shapes differ, something in p is no probability (counts are none), or
            p has a 0: -log p would be infinite.
    """
    _same_shape(p, q)
    p = p.detach()
    _check_probabilities(p, "p", zero=False)
    return -(q * torch.log2(p.to(q.dtype))).sum(-1)


def _check_probabilities(p: Tensor, name: str, *, zero: bool) -> None:
    """All of p is in 0..1, but for rounding; 0 itself only where that is allowed."""
    check_floats(p, name)
    p = p.detach()
    bad = ~((p >= 0 if zero else p > 0) & (p <= _MOST))
    if not bool(bad.any()):
        return
    first = tuple(bad.nonzero()[0].tolist())
    place = f"group {first[0]}, symbol {first[1]}" if len(first) == 2 else f"{first}"
    why = "" if zero else ", and -log 0 is infinite; MovingHistogram.p has no 0"
    raise ArgumentError(
        f"{int(bad.sum())} of {p.numel()} values of {name} are no probabilities, the first, of "
        f"{place}, is {float(p[first]):g}; legal is {'from 0' if zero else 'above 0'} to 1{why}"
    )


def _same_shape(p: Tensor, q: Tensor) -> None:
    check_floats(p, "p")
    check_floats(q, "q")
    if p.shape != q.shape:
        raise ArgumentError(f"p has shape {list(p.shape)}, q {list(q.shape)}; they must be equal")


class MovingHistogram(nn.Module):
    """The hard histogram over the last images: p of eq. 8; §4.

    Kept as counts of the last ``images / batch`` batches, in buffers: 4 g L bytes a batch (43 MB
    for the paper's 5,000 images in batches of 15, 32 channels and 1,000 centers).

    Args:
        groups: g.
        size: L.
        images: N, how many images the window holds, once that many were seen; 5,000 in the paper.
        batch: images (crops) of a batch; 15 in the paper.
        every: counts every so many calls of `update`; 10 in the paper.
        prior: what a symbol counts before it was seen, above 0: no probability is 0.

    Raises:
        ArgumentError: an argument is out of its range.
    """

    def __init__(
        self,
        groups: int,
        size: int,
        *,
        images: int = 5000,
        batch: int = 15,
        every: int = 10,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        slots = math.ceil(whole(images, "images") / whole(batch, "batch"))
        self.every, self.prior = whole(every, "every"), positive(prior, "prior")
        shape = (whole(groups, "groups"), whole(size, "size", 2))
        self.window: Tensor
        self.total: Tensor
        self.calls: Tensor
        self.register_buffer("window", torch.zeros((slots, *shape), dtype=torch.int32))
        self.register_buffer("total", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, symbols: Tensor) -> None:
        """Count a batch's symbols [g, n], if it is one of every ``every`` (the first one is).

        Raises:
            ArgumentError: symbols are not [g, n], or out of range.
        """
        call = int(self.calls)
        self.calls += 1
        if call % self.every:
            return
        counts = hard_counts(symbols, self.total.shape[1])
        if counts.shape != self.total.shape:
            raise ArgumentError(f"symbols have {len(counts)} groups, not {len(self.total)}")
        slot = self.window[(call // self.every) % len(self.window)]
        self.total += counts - slot
        slot.copy_(counts)

    def p(self) -> Tensor:
        """float32 [g, L], all above 0, each row summing to 1."""
        counts = self.total.double() + self.prior
        return (counts / counts.sum(1, keepdim=True)).float()
