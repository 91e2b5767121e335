"""In which precision the branches are trained: measured, since processors differ widely."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F


def measure_precision(device: torch.device, seconds: float = 0.5) -> torch.dtype:
    """Time a linear layer and its gradients in float32 and bfloat16; return the faster type.

    Some CPUs run bfloat16 five times faster than float32, others ten times slower.
    """
    best, best_rate = torch.float32, 0.0
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(2048, 192, device=device).to(dtype).requires_grad_()
        w = torch.randn(192, 192, device=device).to(dtype).requires_grad_()
        for _ in range(2):
            F.linear(x, w).sum().backward()
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            F.linear(x, w).sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
            count += 1
        rate = count / (time.perf_counter() - start)
        if rate > best_rate:
            best, best_rate = dtype, rate
    return best
