"""§7: activations quantized after training, "never competitive": relu-float-32 made integer.

    posthoc.py --steps 5000 [LAMBDA ...]

Kernels by Eq. 5 and 9 with K = 8 (or a little coarser, where c would be even), activations in 8
bits over the range that they have on training crops; nothing is trained. Writes
runs/STEPS/relu-posthoc-32-LAMBDA.intactm, an exact model, which evaluate.py measures as the others.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import torch
from arms import ARMS, LAMBDAS, STEPS
from paper_b import RUNS
from torch import Tensor

from intact import files
from intact.freeze.hyperprior import freeze
from intact.train import checkpoint, start
from intact.train.balle2019 import Balle2019, kernel_scale
from intact.train.codecs.hyperprior import HyperpriorNet
from intact.train.codecs.hyperprior_graphs import BUILDERS
from intact.train.graph import Conv
from intact.train.integer import MAX_DIVISOR, IntegerNetwork, Parameters
from train import DATA

BITS = 8
CROPS = 16
"""Of 8 crops each: whose activations are observed."""
QUANTILE = 0.9999
"""Of activations: what the largest integer stands for."""


@dataclass(frozen=True)
class Fixed(Balle2019):
    """Integers that are given. A parametrization without parameters.

    Attributes:
        given: by the name of a convolution's result.
    """

    given: dict[str, Parameters] = field(default_factory=dict)

    def integers(self, network: IntegerNetwork, node: Conv) -> Parameters:
        """As they were given, o of Eq. 20 taken off."""
        p = self.given[node.target]
        center = None
        if node.coded:
            center = torch.round(network.get(node.target, "offset") * p.divisor)
        return Parameters(p.weight, p.bias, None, p.divisor, center)


def observe(net: HyperpriorNet, data: start.ImageFolder) -> dict[tuple[str, str], float]:
    """The size of the activations of each ReLU layer, in real units, on training crops."""
    sizes: dict[tuple[str, str], float] = {}

    def watch(role: str):  # noqa: ANN202
        def observer(node: Conv, _: Tensor, out: Tensor) -> None:
            if node.activation == "relu":
                count = max(int((1 - QUANTILE) * out.numel()), 1)
                size = float(out.flatten().topk(count).values[-1])
                sizes[role, node.target] = max(sizes.get((role, node.target), 0.0), size)

        return observer

    observers = {role: watch(role) for role in net.networks}
    for number in range(CROPS):
        crops = torch.from_numpy(data.crops(range(8), 128, 0, 2**31 - 2 - number))
        net(crops, torch.zeros(len(crops)), None, hard=True, observers=observers)
    return sizes


@torch.no_grad()
def convert(net: HyperpriorNet, data: start.ImageFolder) -> HyperpriorNet:
    """The integer codec of a float one without hyperprior."""
    sizes = observe(net, data)
    config = net.own.__class__(
        transform=net.config.__class__(**{**vars(net.config), "profile": "exact"}),
        rate=net.own.rate,
    )
    result = HyperpriorNet(config)
    for role in result.networks:
        float_network, given = net.network(role), {}
        graph = BUILDERS[role](result.config)
        units = {i.target: 1 / 255 if i.target == "pixels" else 1.0 for i in graph.inputs}
        for node in graph.nodes:
            if not isinstance(node, Conv):
                units[node.target] = units[node.source]  # type: ignore[union-attr]
                continue
            h = float_network.get(node.target, "weight")
            s = kernel_scale(h, BITS)
            largest = graph.ranges[node.target][1]
            out = sizes[role, node.target] / largest if node.activation == "relu" else 1.0
            out = 1 / 255 if node.target == "pixels" else out
            source = units[node.source]
            out = max(out, float(s.max()) * source)  # c is at least 1
            # c is the largest odd number below; s grows to the scale whose quotient is odd.
            divisor = 2 * torch.floor((out / (s * source) - 1) / 2) + 1
            divisor = divisor.clamp(1, MAX_DIVISOR)
            s = out / (divisor * source)
            weight = torch.round(h / s[:, None, None, None])
            bias = torch.round(float_network.get(node.target, "bias") / (s * source))
            given[node.target] = Parameters(weight, bias, None, divisor)
            units[node.target] = out
        result.networks[role] = IntegerNetwork(graph, Fixed(BITS, given=given))
    result.prior.load_state_dict(net.prior.state_dict())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="*", type=float, metavar="LAMBDA", default=LAMBDAS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for weight in args.weights:
        arm = ARMS[f"relu-float-32-{weight:g}"]
        folder = RUNS / str(args.steps) / arm.name
        if not checkpoint.exists(folder):
            print(f"{arm.name} is not trained")
            continue
        net = start.codec_of(*checkpoint.read(folder))
        assert isinstance(net, HyperpriorNet)
        images = start.image_folder(arm.config(args.steps, folder, args.data))
        name = f"relu-posthoc-32-{weight:g}"
        model = freeze(convert(net, images), name, [], {"integer training": "none"})
        files.replace(RUNS / str(args.steps) / f"{name}.intactm", model.to_bytes())
        print(name, model.id.hex(), flush=True)


if __name__ == "__main__":
    main()
