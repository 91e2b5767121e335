"""Chains of layers whose units are free: the same function with the gain spread evenly.

Where a training starts (`intact.train.start`, thawing). What must stay: the network's function.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from intact.train.graph import Add, Conv, Graph
from intact.train.network import Network

FREE = frozenset({"relu", "linear"})
"""Activations of layers of few bits: a factor on their outputs passes through, and the next layer's
filters can undo it."""


@torch.no_grad()
def balance(network: Network) -> None:
    """Give the layers of each chain filters of the same norm; the function stays.

    An optimizer moves all weights by the same amount. Thawed integers leave what training has made
    of a chain to its last layer (norms of hyper_analysis: 1.4, 1.4, 75), where a training of that
    chain goes on so. A step in its first layer then moves z by ten symbols: three trainings broke.

    Args:
        network: a float one. Filters of a chain's layers get the geometric mean of their norms, a
            norm being the root of the filters' mean square norm. A second time changes nothing.
    """
    readers = _readers(network.graph)
    convs = [node for node in network.graph.nodes if isinstance(node, Conv)]
    free = {node.target for node in convs if _is_free(network.graph, node, readers)}
    for node in convs:
        if node.target not in free or node.source in free:
            continue  # layers behind free ones are reached from the first
        chain = [node]
        while len(after := readers[chain[-1].target]) == 1 and after[0].target in free:
            chain.append(after[0])
        norms = [*(_norm(network, [layer]) for layer in chain), _norm(network, after)]
        each = math.prod(norms) ** (1 / len(norms))
        gain = 1.0
        for layer, norm in zip(chain, norms, strict=False):
            gain *= each / norm
            network.get(layer.target, "weight").mul_(each / norm)
            for what in ("bias", "slope"):
                network.get(layer.target, what).mul_(gain)
        for layer in after:
            network.get(layer.target, "weight").div_(gain)


def _readers(graph: Graph) -> dict[str, list[Conv]]:
    """Convolutions by what they read, where nothing else reads it."""
    found: dict[str, list[Conv]] = {}
    others: set[str] = set(graph.outputs)
    for node in graph.nodes:
        if isinstance(node, Conv):
            found.setdefault(node.source, []).append(node)
        else:
            others |= {node.left, node.right} if isinstance(node, Add) else {node.source}
    return {name: convs for name, convs in found.items() if name not in others}


def _is_free(graph: Graph, node: Conv, readers: dict[str, list[Conv]]) -> bool:
    given = graph.units.get(node.activation)
    return node.activation in FREE and given is None and node.target in readers


def _norm(network: Network, layers: list[Conv]) -> float:
    filters: list[Tensor] = [network.get(layer.target, "weight").flatten(1) for layer in layers]
    squares = torch.cat([rows.square().sum(1) for rows in filters])
    return max(float(squares.mean().sqrt()), 1e-6)
