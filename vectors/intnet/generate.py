"""Writes the golden vectors of Ballé 2019's second example, §2. Run by hand only; needs PyTorch.

PYTHONPATH=src python vectors/intnet/generate.py

H 4 bits signed, b and v 16 bits signed, c 16 bits unsigned, w 4 bits signed, Q(7 tanh(v / 15)):
three layers are trained by Eq. 5 to 10 and frozen. Their integers are the vector, so that who
trains on another machine, to other weights, changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from intact.freeze.program import to_program
from intact.intnet import ops
from intact.intnet.tree import program_to_tree
from intact.train.balle2019 import Balle2019
from intact.train.graph import Graph
from intact.train.integer import IntegerNetwork

HERE = Path(__file__).parent
SIZES = ((1, 1), (5, 3), (6, 9))


def network() -> IntegerNetwork:
    """Two 3x3 layers and a 1x1, all of 4 bits."""
    g = Graph("qtanh", {})
    u = g.input("u", 2, -7, 7, 1.0)
    u = g.conv(u, "w0", 8, "tanh", kernel=3)
    u = g.conv(u, "w1", 8, "tanh", kernel=3)
    g.output(g.conv(u, "w2", 2, "tanh"), 1.0)
    return IntegerNetwork(g, Balle2019(bits=4), torch.Generator().manual_seed(2))


def train(net: IntegerNetwork, steps: int = 150) -> float:
    """Learn the mean of two neighbors; returns the last squared error."""
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    random = np.random.default_rng(1)
    loss = torch.zeros(())
    for _ in range(steps):
        u = torch.from_numpy(random.integers(-7, 8, (1, 12, 12, 2))).float()
        wanted = (u + F.pad(u, (0, 0, 1, 0))[:, :, :-1]) / 2
        loss = (net.run({"u": u}, torch.zeros(1))["w2"] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def plain(value: Any) -> Any:
    """Arrays as lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def main() -> None:
    """Write one JSON file."""
    net = network()
    error = train(net)
    program = to_program(net)
    random = np.random.default_rng(9)
    cases = []
    for height, width in SIZES:
        u = random.integers(-7, 8, (height, width, 2)).astype(np.int8)
        cases.append({"u": plain(u), "w2": plain(ops.run(program, {"u": u})["w2"])})
    content = {"program": plain(program_to_tree(program)), "cases": cases}
    (HERE / "qtanh.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"squared error after training: {error:.3f}")


if __name__ == "__main__":
    main()
