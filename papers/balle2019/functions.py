"""Figure 2, from the functions that training and programs use: writes figure2.csv.

QReLU and Qtanh at 4 bits; the integral of Eq. 11's gradient for several beta, which shows what
training sees; the scaled tanh. Gradients are autograd's own, integrated by the trapezoid rule.
"""

from __future__ import annotations

import argparse
import math

import torch
from paper_b import HERE, write_rows

from intact.train.gradients import qrelu, qtanh

BITS = 4
BETAS = (1.0, 2.0, 4.0, 8.0, math.inf)
"""4 is the paper's; infinity is the clip's own gradient."""
STEPS = 40
"""Of the integral, to a unit of v."""


def integral(values: torch.Tensor, function: object, at_zero: float) -> torch.Tensor:
    """Of a function's gradient over sorted values, shifted to pass through a point at v = 0."""
    v = values.clone().requires_grad_()
    function(v).sum().backward()  # type: ignore[operator]
    assert v.grad is not None
    total = torch.cat([torch.zeros(1), torch.cumulative_trapezoid(v.grad, values)])
    zero = int((values - 0).abs().argmin())
    return total - total[zero] + at_zero


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    v = torch.arange(-10 * STEPS, 26 * STEPS + 1) / STEPS
    curves = {}
    for beta in BETAS:
        raw = integral(v, lambda x, b=beta: qrelu(x, BITS, b), 0.0)
        middle = int((v - (2**BITS - 1) / 2).abs().argmin())  # curves meet in the middle
        curves[beta] = raw - raw[middle] + (2**BITS - 1) / 2
    for i in range(0, len(v), STEPS // 4):
        whole = i % STEPS == 0
        rows += [
            {"function": "QReLU", "beta": "", "v": float(v[i]),
             "w": float(qrelu(v[i : i + 1], BITS)[0])}
        ] * whole  # fmt: skip
        rows += [
            {"function": "integral of Eq. 11", "beta": f"{b:g}", "v": float(v[i]),
             "w": f"{float(c[i]):.5f}"}
            for b, c in curves.items()
        ]  # fmt: skip
    v = torch.arange(-45 * STEPS, 45 * STEPS + 1) / STEPS
    smooth = integral(v, lambda x: qtanh(x, BITS), 0.0)
    for i in range(0, len(v), STEPS // 4):
        if i % STEPS == 0:
            rows.append({"function": "Qtanh", "beta": "", "v": float(v[i]),
                         "w": float(qtanh(v[i : i + 1], BITS)[0])})  # fmt: skip
        rows.append({"function": "scaled tanh", "beta": "", "v": float(v[i]),
                     "w": f"{float(smooth[i]):.5f}"})  # fmt: skip
    write_rows(HERE / "figure2.csv", rows)


if __name__ == "__main__":
    main()
