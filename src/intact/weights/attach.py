"""Putting `QuantizedWeights` into a network, and taking it out again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from intact.errors import ArgumentError, quoted
from intact.quantize import Blocks, Exponential, Quantizer, grid_centers
from intact.quantize.checks import check_kind
from intact.weights.pieces import Piece, Scale, root_mean_square
from intact.weights.quantized import QuantizedWeights, check_stage


class _Part(nn.Module):
    """The parametrization of one tensor: what the whole says it is now."""

    def __init__(self, whole: QuantizedWeights, index: int) -> None:
        super().__init__()
        # The first part has the whole as a submodule, so that it is in the network's state once.
        # No child of the network has it: a Sequential would call it.
        if index == 0:
            self.whole = whole
        object.__setattr__(self, "_whole", whole)
        self.index = index
        self.ready = False

    def forward(self, original: Tensor) -> Tensor:
        if not self.ready:  # while it is being registered
            return original
        whole: QuantizedWeights = object.__getattribute__(self, "_whole")
        return whole.tensor(self.index)


def quantize_weights(
    model: nn.Module,
    include: Sequence[str] | None = None,
    *,
    exclude: Sequence[str] = (),
    quantizer: Quantizer | None = None,
    scale: Scale = Scale.FORWARD,
) -> QuantizedWeights:
    """Quantize parameters of a network from now on: soft while it trains, hard in evaluation.

    Make the optimizer afterwards: the centers are new parameters. Call ``annealing.step()`` of
    the result's quantizer after each step, and add ``beta * bits()`` or ``beta * entropy()`` to
    the loss. Several calls with different parameters make groups with a codebook each; let them
    share one annealing. A tied parameter is one tensor, under its first name, and stays tied; it
    is excluded if one of its names is. Training or evaluation is what the module of the first
    tensor is in.

    Args:
        model: any network.
        include: patterns of parameter names (as in ``named_parameters``; * is anything); None
            takes those with 2 or more dimensions: convolutions, linear layers, embeddings.
        exclude: patterns of names that are left as they are.
        quantizer: None takes paper A's 75 centers on a grid with spacing 1, sigma 0.4 growing by
            1.001 a step. With k > 1 its layout must be `Blocks(k)`.
        scale: what a tensor is divided by.

    Returns:
        The whole; `weights_of` finds it again.

    Raises:
        ArgumentError: a pattern fits no parameter; one is not floating point, empty or quantized
            already; the quantizer does not fit.
    """
    found = choose(model, include, exclude)
    if quantizer is None:
        quantizer = Quantizer(grid_centers(75), Blocks(1), Exponential(0.4, 1.001))
    check_kind(quantizer, Quantizer, "quantizer", "a Quantizer of intact.quantize, or None")
    check_kind(scale, Scale, "scale", ", ".join(map(str, Scale)))
    check_stage(quantizer)
    if quantizer.layout != Blocks(quantizer.centers.shape[2]):
        raise ArgumentError(f"the quantizer's layout is {quantizer.layout}; weights want Blocks(k)")
    first = next(iter(found.values()))[0].get_parameter(next(iter(found.values()))[1])
    quantizer.to(first.device)
    others = places_of(model)
    pieces = []
    for full, (owner, key) in found.items():
        parameter = owner.get_parameter(key)
        also = tuple(p for p in others[id(parameter)] if p != (owner, key))
        pieces.append(Piece(full, owner, key, parameter.shape, also))
    scales = [root_mean_square(p.owner.get_parameter(p.key).detach().float()) for p in pieces]
    whole = QuantizedWeights(pieces, quantizer, scale)
    if scale is not Scale.NONE:
        whole.scales.copy_(torch.stack(scales))
    parts = [_Part(whole, index) for index in range(len(pieces))]
    for piece, part in zip(pieces, parts, strict=True):
        # unsafe: its check would call a whole that is not yet complete.
        for owner, key in ((piece.owner, piece.key), *piece.also):
            parametrize.register_parametrization(owner, key, part, unsafe=True)
    for part in parts:
        part.ready = True
    whole.train(model.training)
    return whole


def weights_of(model: nn.Module) -> list[QuantizedWeights]:
    """What `quantize_weights` put into a network, or into the one it was copied from."""
    check_network(model)
    return [module for module in model.modules() if isinstance(module, QuantizedWeights)]


def check_network(model: object) -> None:
    """It is a module of torch: no state dict, and no path.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"the network is a {type(model).__name__}; legal is a torch.nn.Module")


def choose(
    model: nn.Module, include: Sequence[str] | None, exclude: Sequence[str]
) -> dict[str, tuple[nn.Module, str]]:
    """Name -> (module, key) of the parameters that are meant, each checked.

    Args and errors are those of `quantize_weights`.
    """
    check_network(model)
    owners: dict[int, list[str]] = {}
    places: dict[str, tuple[nn.Module, str]] = {}
    taken: list[str] = []
    ours = {id(module) for whole in weights_of(model) for module in whole.modules()}
    for prefix, module in model.named_modules():
        if id(module) in ours:
            continue
        if isinstance(module, parametrize.ParametrizationList):
            taken.append(prefix.replace("parametrizations.", ""))
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            full = f"{prefix}.{key}" if prefix else key
            owners.setdefault(id(parameter), []).append(full)
            places[full] = (module, key)
    _check_patterns(include, places, taken, "include")
    _check_patterns(exclude, places, taken, "exclude")
    chosen: dict[str, tuple[nn.Module, str]] = {}
    for full, (module, key) in places.items():
        parameter = module.get_parameter(key)
        if include is None:
            wanted = parameter.dim() >= 2 and parameter.is_floating_point()
        else:
            wanted = any(fnmatchcase(full, pattern) for pattern in include)
        if not wanted or any(fnmatchcase(full, pattern) for pattern in exclude):
            continue
        if isinstance(module, parametrize.ParametrizationList):
            if include is None:
                continue
            raise ArgumentError(f"{full} is parametrized already")
        if not parameter.is_floating_point() or not parameter.numel():
            raise ArgumentError(f"{full} is {parameter.dtype} {list(parameter.shape)}: exclude it")
        names = owners[id(parameter)]
        if any(fnmatchcase(name, pattern) for name in names for pattern in exclude):
            continue
        if not any(name in chosen for name in names):
            chosen[full] = (module, key)
    if not chosen:
        raise ArgumentError("no parameter is left to quantize")
    return chosen


def _check_patterns(
    patterns: Sequence[str] | None, places: Iterable[str], taken: Sequence[str], what: str
) -> None:
    """Each fits a parameter; of those that are parametrized, it may exclude some."""
    if isinstance(patterns, str):
        raise ArgumentError(f"{what} is {quoted(patterns)}; legal is a list of patterns")
    for pattern in patterns or []:
        if any(fnmatchcase(full, pattern) for full in places):
            continue
        found = next((full for full in taken if fnmatchcase(full, pattern)), None)
        if found is None:
            raise ArgumentError(f"no parameter is called {pattern!r}; there are {list(places)}")
        if what == "include":
            raise ArgumentError(f"{quoted(found)} is parametrized already: quantized, or pruned")


def places_of(model: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """All places of each parameter, by its id."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            places.setdefault(id(parameter), []).append((module, key))
    return places


def remove(whole: QuantizedWeights) -> None:
    """Take quantization out of a network; its parameters are then the hard values."""
    whole.eval()
    values = [whole.tensor(i).detach().clone() for i in range(len(whole.pieces))]
    for piece, value in zip(whole.pieces, values, strict=True):
        for owner, key in ((piece.owner, piece.key), *piece.also):
            parametrize.remove_parametrizations(owner, key, leave_parametrized=False)
        with torch.no_grad():
            piece.owner.get_parameter(piece.key).copy_(value)
