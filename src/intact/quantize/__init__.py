"""Soft-to-hard quantization for any network's training loop: Agustsson et al. 2017, §3.

A torch room that imports nothing of ours but the errors. `Quantizer` is the module; everything
that it is made of is public, too. docs/quantize.md is the tutorial.

Shapes: points are [g, n, k]: g groups, each with a histogram of its own, n points, k numbers to
a point. Centers are [1, L, k], one codebook for all groups, or [g, L, k]. Entropies are in bits
per symbol.
"""

from intact.quantize.anneal import Exponential, Fixed, GapControlled
from intact.quantize.centers import (
    Fit,
    fit_centers,
    grid_centers,
    kmeans_centers,
    sample_centers,
)
from intact.quantize.entropy import (
    MovingHistogram,
    entropy,
    entropy_of_p_by_q,
    entropy_of_q_by_p,
    hard_counts,
    hard_histogram,
    soft_histogram,
)
from intact.quantize.gumbel import GumbelQuantizer
from intact.quantize.hard import hard_assign, hard_quantize, look_up
from intact.quantize.layout import Blocks, Layout, Patches, Positions, to_map, to_points
from intact.quantize.quantizer import Quantized, Quantizer, Stage, clip_gradient
from intact.quantize.soft import Soft, soft_assign, soft_quantize

__all__ = [
    "Quantizer",
    "GumbelQuantizer",
    "Quantized",
    "Stage",
    "Layout",
    "Patches",
    "Positions",
    "Blocks",
    "to_points",
    "to_map",
    "soft_assign",
    "soft_quantize",
    "Soft",
    "hard_assign",
    "hard_quantize",
    "look_up",
    "hard_counts",
    "hard_histogram",
    "soft_histogram",
    "entropy",
    "entropy_of_p_by_q",
    "entropy_of_q_by_p",
    "MovingHistogram",
    "Fixed",
    "Exponential",
    "GapControlled",
    "sample_centers",
    "fit_centers",
    "grid_centers",
    "kmeans_centers",
    "Fit",
    "clip_gradient",
]
