"""`intact.quantize` against the formulas as they stand, side by side in one run, one thread.

    python benchmarks/quantize_speed.py

Scalars: 464,154 weights and 75 centers (paper A, §5), by interpolation on a grid and exactly.
Vectors: a batch of paper A's §4, 15 crops of 128x128, 8 channels at 1/8, patches of 2x2,
1,000 centers. "plain" is eq. 7 in autograd (`soft_assign`). Times are processor time, forward and
backward, medians in turns; errors are relative root mean squares against plain. Memory is what a
process grows by at its peak (`--memory CASE METHOD` is one measurement).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import RESULTS, Row, machine, write

from intact.quantize import grid_centers, soft_assign, soft_quantize

Result = tuple[torch.Tensor, torch.Tensor]
Run = Callable[[torch.Tensor, torch.Tensor, float], Result]


def plain(z: torch.Tensor, c: torch.Tensor, sigma: float) -> Result:
    phi = soft_assign(z, c, sigma)
    return phi @ c, phi.mean(1)


def exact(z: torch.Tensor, c: torch.Tensor, sigma: float) -> Result:
    return soft_quantize(z, c, sigma, method="exact")[:2]


def grid(z: torch.Tensor, c: torch.Tensor, sigma: float) -> Result:
    return soft_quantize(z, c, sigma, method="grid")[:2]


RUNS: dict[str, Run] = {"plain": plain, "exact": exact, "grid": grid}


def case(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and centers of a case."""
    generator = torch.Generator().manual_seed(0)
    if name == "scalars":
        return torch.randn((1, 464154, 1), generator=generator), grid_centers(75)
    return (
        torch.randn((8, 960, 4), generator=generator),
        torch.randn((1, 1000, 4), generator=generator),
    )


def step(run: Run, z: torch.Tensor, c: torch.Tensor, sigma: float) -> list[torch.Tensor]:
    """Values and gradients of one step."""
    z, c = z.clone().requires_grad_(), c.clone().requires_grad_()
    values, q = run(z, c, sigma)
    (
        (values * torch.cos(z.detach())).sum() + (q * torch.sin(torch.arange(q.shape[1]))).sum()
    ).backward()
    assert z.grad is not None
    assert c.grad is not None
    return [values.detach(), z.grad, c.grad]


def status(key: str) -> int:
    """A line of this process's status, in kB; Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def memory(name: str, method: str) -> float:
    """MB that the process grows by, measured in a process of its own."""
    command = [sys.executable, __file__, "--memory", name, method]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="intact.quantize against the formulas")
    parser.add_argument("--memory", nargs=2, metavar=("CASE", "METHOD"))
    parser.add_argument("--rounds", type=int, default=3, help="1 leaves memory out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        name, method = options.memory
        z, c = case(name)
        step(RUNS[method], z[:, :100], c, 1.0)
        # Not ru_maxrss: a process inherits its parent's.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = status("VmRSS")
        step(RUNS[method], z, c, 4.0)
        print((status("VmHWM") - before) / 1024)
        return
    rows: list[Row] = []
    for name, methods, sigmas in (
        ("scalars", ["plain", "exact", "grid"], [0.4, 8.0]),
        ("vectors", ["plain", "exact"], [4.0]),
    ):
        z, c = case(name)
        grown = {method: memory(name, method) for method in methods} if options.rounds > 1 else {}
        for sigma in sigmas:
            times: dict[str, list[float]] = {method: [] for method in methods}
            results: dict[str, list[torch.Tensor]] = {}
            for _ in range(options.rounds):
                for method in methods:
                    begin = time.process_time()
                    results[method] = step(RUNS[method], z, c, sigma)
                    times[method].append(1e3 * (time.process_time() - begin))
            for method in methods:
                found = statistics.median(times[method])
                row: Row = {
                    "case": name,
                    "sigma": sigma,
                    "method": method,
                    "ms": found,
                    "times_faster": statistics.median(times["plain"]) / found,
                    "memory_mb": grown.get(method, float("nan")),
                }
                for what, a, b in zip(
                    ("value", "dz", "dc"), results[method], results["plain"], strict=True
                ):
                    row[f"error_{what}"] = float((a - b).norm() / b.norm())
                rows.append({**row, "torch": torch.__version__, "machine": machine()})
                print(row)
    write(RESULTS / "quantize_speed.csv", rows)


if __name__ == "__main__":
    main()
