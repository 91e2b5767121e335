"""`compress`: a trained network to a wanted ratio, with a few batches and no training."""

from __future__ import annotations

import copy
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from intact.codec.arguments import flag
from intact.errors import ArgumentError, UnreachableError
from intact.packing.coding import Method
from intact.quantize.checks import check_finite, from_zero, positive, whole
from intact.weights.attach import check_network, choose
from intact.weights.coded import Coded, entropy_bits, first_names, put, side_bits, with_tied
from intact.weights.gptq import Forward, quantize, recalibrate, second_moments
from intact.weights.module import save_module
from intact.weights.norms import fold_batch_norm
from intact.weights.pieces import root_mean_square

Measure = Callable[["Compressed"], float]
TINIEST = 2.0**-100
"""Parameters of one axis that are all smaller stay floats: their step would be no float32."""


@dataclass(frozen=True)
class Compressed:
    """A network of which a file can be made.

    Attributes:
        model: a copy whose parameters are exactly what the file will give back, in evaluation.
        coded: tensors as symbols, by their names in ``model.state_dict()``.
        kept: all others of it, of the types in which they are stored.
        numbers: of the network that it came from: its parameters.
    """

    model: nn.Module
    coded: dict[str, Coded]
    kept: dict[str, Tensor]
    numbers: int

    def entropy_bytes(self) -> float:
        """An estimate of the file: entropy of symbols, steps, all else as it lies.

        One table is for tensors of one axis, one for all others, as `joint` has it. What is tied
        counts once.
        """
        tensors = {id(t): t for t in self.kept.values()}.values()
        kept = sum(t.numel() * t.element_size() for t in tensors)
        symbols = [c.symbols for c in {id(c): c for c in self.coded.values()}.values()]
        tables = [[s for s in symbols if (s.dim() > 1) == many] for many in (True, False)]
        return (sum(map(entropy_bits, tables)) + side_bits(self.coded)) / 8 + kept

    def save(
        self, path: str | os.PathLike[str], *, method: Method = "rows", joint: bool = False
    ) -> int:
        """Write a `.intactw` file: what it gives back is what ``model`` has, bit for bit.

        Args:
            path: of the file.
            method: of coding symbols; see `intact.weights.save`.
            joint: also.

        Returns:
            Bytes of the file.
        """
        state = self.model.state_dict()
        floats = [t for n, t in self.kept.items() if state[n].dtype == torch.float32]
        half = bool(floats) and all(t.dtype == torch.float16 for t in floats)
        return save_module(
            self.model, path, coded=self.coded, method=method, joint=joint,
            narrow_to="F16" if half else None,
        )  # fmt: skip

    def file_bytes(self) -> float:
        """Of the file that `save` writes."""
        with tempfile.TemporaryDirectory() as folder:
            return self.save(os.path.join(folder, "network.intactw"))

    def ratio(self, size: float) -> float:
        """4 bytes for each parameter of the original over a file of that size in bytes."""
        return 4 * self.numbers / size


def run(model: nn.Module, batch: Any) -> Any:
    """A network on a batch: a mapping's items by name, of a tuple or list the first."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch[0] if isinstance(batch, tuple | list) else batch)


def finish(
    model: nn.Module,
    coded: dict[str, Coded],
    *,
    numbers: int | None = None,
    half: bool = True,
    fold: bool = True,
    one_axis_bits: int | None = None,
) -> Compressed:
    """A network with symbols, of whatever method, as it will be stored.

    Args:
        model: without parametrizations; it is copied.
        coded: by names of parameters.
        numbers: parameters of the original; None counts those of ``model``.
        half: store what is not coded as float16 where its range allows, floats as they are
            otherwise.
        fold: store batch norm as a scale and a bias a channel (`fold_batch_norm`) in place of
            scale, bias, mean and variance.
        one_axis_bits: 2 .. 16; float parameters of one axis (biases, folded batch norm) become
            multiples of a step, their largest magnitude over 2^(bits - 1) - 1. At 7 or 8 bits a
            network hardly notices, and entropy coding takes them. Buffers stay floats (a variance
            that is rounded to 0 is divided by), and so do parameters that are 0, not finite, or too
            small for a step. None stores all as floats.

    Raises:
        ArgumentError: ``one_axis_bits`` is out of its range.
    """
    check_network(model)
    _check_storage(half=half, fold=fold, one_axis_bits=one_axis_bits)
    if numbers is None:
        numbers = sum(p.numel() for p in model.parameters())
    model = copy.deepcopy(model).eval()
    if fold:
        fold_batch_norm(model)
    model.requires_grad_(requires_grad=False)
    first, coded = first_names(model), with_tied(model, coded)
    put(model, coded)
    state = model.state_dict()
    if one_axis_bits is not None:
        names = dict(model.named_parameters(remove_duplicate=False)).keys() - coded.keys()
        axes = {n: t for n, t in state.items() if n in names and _is_axis(t)}
        once = {n: _multiples(t, one_axis_bits) for n, t in axes.items() if first.get(n, n) == n}
        side = with_tied(model, once)
        put(model, side)
        coded = coded | side
    kept = {}
    for name, tensor in state.items():
        if name in coded:
            continue
        if first.get(name, name) in kept:
            kept[name] = kept[first[name]]
            continue
        fits = tensor.dtype == torch.float32 and bool((tensor.abs() < 65504).all())
        kept[name] = tensor.half() if half and fits else tensor.clone()
        tensor.copy_(kept[name])
    return Compressed(model, coded, kept, numbers)


def _check_storage(*, half: bool, fold: bool, one_axis_bits: int | None) -> None:
    flag("half", half)
    flag("fold", fold)
    if one_axis_bits is not None:
        whole(one_axis_bits, "one_axis_bits", 2, 16)


def _is_axis(tensor: Tensor) -> bool:
    """Whether there are multiples of a step, a normal float32, that have one axis and are near."""
    if tensor.dim() != 1 or not tensor.is_floating_point() or not tensor.numel():
        return False
    largest = tensor.abs().max().float()  # of NaN it is NaN
    return TINIEST < float(largest) < math.inf


def _multiples(tensor: Tensor, bits: int) -> Coded:
    """The nearest multiples of a step, signed integers of so many bits."""
    step = float(tensor.abs().max().float()) / (2 ** (bits - 1) - 1)
    return Coded((tensor.float() / step).round().int(), step=step)


def _held(batches: Iterable[Any]) -> list[Any]:
    """All of them; a tensor alone would be taken apart along its first axis."""
    try:
        source = None if isinstance(batches, Tensor | Mapping | str) else iter(batches)
    except TypeError:
        source = None
    if source is None:
        raise ArgumentError(
            f"batches is a {type(batches).__name__}; legal is what gives batches: a list of them, "
            "a DataLoader"
        )
    return list(source)


def _share_for(weights: Mapping[str, Tensor], bits: float, low: float, high: float) -> float:
    """The step over root mean squares at which plain rounding has that entropy; where to begin."""
    row = torch.cat([(w / root_mean_square(w)).flatten().float() for w in weights.values()])
    for _ in range(12):
        share = math.sqrt(low * high)
        if entropy_bits([(row / share).round().int()]) > bits * len(row):
            low = share
        else:
            high = share
    return high


def compress(  # noqa: PLR0913 - each has a default that serves
    model: nn.Module,
    batches: Iterable[Any],
    ratio: float = 20.0,
    *,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    forward: Forward = run,
    fold: bool = True,
    half: bool = True,
    one_axis_bits: int | None = None,
    trade: float = 0.05,
    measure: Measure = Compressed.file_bytes,
    tolerance: float = 0.01,
) -> Compressed:
    """Compress a trained network by about ``ratio``, with a few batches of inputs and no labels.

    Weights become multiples of a step, a share of their tensor's root mean square that is finer in
    small tensors; errors are compensated from inputs of each layer (GPTQ), and batch norm is
    counted again. The share is searched for the size.

    Args:
        model: is not changed.
        batches: some hundred items in all, as in training (augmented, too); held in memory.
        ratio: 4 bytes for each parameter over the size.
        include: patterns of parameters to quantize, as `quantize_weights` takes them; None takes
            those of 2 or more dimensions.
        exclude: of those that are left.
        forward: runs the model on a batch; see `run`.
        fold: batch norm is stored folded; otherwise as it is, and the size counts it.
        half: of `finish`.
        one_axis_bits: of `finish`.
        trade: error in squared steps that a bit is worth, from 0.
        measure: bytes of a result; the default writes files.
        tolerance: how far below ``ratio`` is near enough, relative; 0 to below 1.

    Raises:
        ArgumentError: an argument is out of its range, or there are no batches.
        UnreachableError: what is not quantized takes too much for that ratio.
        DivergedError: a weight or an input of a layer is not finite.
    """
    check_network(model)
    ratio, trade = positive(ratio, "ratio"), from_zero(trade, "trade")
    tolerance = from_zero(tolerance, "tolerance", 1)
    _check_storage(half=half, fold=fold, one_axis_bits=one_axis_bits)
    held = _held(batches)
    numbers = sum(p.numel() for p in model.parameters())
    names = choose(model, include, exclude)
    weights = {name: owner.get_parameter(key).detach() for name, (owner, key) in names.items()}
    for name, weight in weights.items():
        check_finite(weight, f"weights {name}")
    size = sum(w.numel() for w in weights.values())
    moments = second_moments(model, held, forward)

    def attempt(share: float) -> tuple[Compressed, float]:
        coded = quantize(weights, moments, share, trade=trade)
        changed = copy.deepcopy(model)
        put(changed, coded)
        recalibrate(changed, held, forward)
        found = finish(
            changed, coded, numbers=numbers, half=half, fold=fold, one_axis_bits=one_axis_bits
        )
        return found, found.ratio(measure(found))

    # Bits fall by about 1 where steps are twice as long; at 2 bits a step is the deviation.
    low, high = 1e-3, 30.0
    others = one_axis_bits or (16 if half else 32)
    wanted = (32 * numbers / ratio - others * (numbers - size)) / size
    share, best, reached = _share_for(weights, wanted, low, high), None, 0.0
    for _ in range(12):
        found, reached = attempt(share)
        enough = reached >= ratio * (1 - tolerance)
        if enough and (best is None or reached < best[1]):
            best = found, reached
        if enough and reached <= ratio * (1 + tolerance):
            break
        low, high = (low, share) if enough else (share, high)
        bits = 32 * numbers / size * (1 / ratio - 1 / reached)
        guess = share * 2 ** -max(-3.0, min(3.0, 1.3 * bits))
        share = guess if low < guess < high else math.sqrt(low * high)
    if best is None:
        raise UnreachableError(
            f"ratio is {ratio:g}; with {numbers - size} of {numbers} parameters kept as they are "
            f"{reached:.4g} was reached: quantize more of them"
            + ("" if half and fold else ", or take half=True, fold=True")
        )
    return best[0]
