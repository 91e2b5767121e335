"""SSIMULACRA2 as a differentiable distance.

Jon Sneyers (Cloudinary), 2022, version 2.1 of April 2023: the definition published as
``tools/ssimulacra2.cc`` of libjxl. Pictures in XYB at six scales; per scale and channel three maps
(structural similarity, edges where there were none, edges that are gone), of each the mean and the
4-norm, 108 numbers with weights fitted to people's judgements. The score is ``100 - 10 R^0.6276``;
here R itself is the distance, whose slope goes with that of the squared error.

A test holds `score` to the program of the package ``ssimulacra2``. What differs: borders are
mirrored, since a crop has none of its own (the package mirrors above and below and has zeros at the
sides, libjxl has zeros all around: up to 2 points at a score of 36 on a picture of 768x512), and
scales that a crop is too small for are left out, weights included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from intact.train.gradients import lower_bound
from intact.train.losses.blur import blur
from intact.train.losses.loss import Loss

OPSIN = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
"""Linear red, green, blue to the responses of L, M and S cones: libjxl, ``opsin_params.h``."""
OPSIN_BIAS = 0.0037930732552754493
SSIM_C2 = 0.0009
NUM_SCALES = 6
MIN_SIDE = 8
"""Scales smaller than this are left out."""
NORM_FLOOR = 1e-24
"""Added to a mean of fourth powers, whose fourth root has no finite gradient at 0."""

WEIGHTS = (
    (  # X
        (0, 0.0007376606707406586, 0,
         0, 0.0007793481682867309, 0),
        (0, 0.0004371155730107379, 0,
         1.1041726426657346, 0.00066284834129271, 0.00015231632783718752),
        (0, 0.0016406437456599754, 0,
         1.8422455520539298, 11.441172603757666, 0),
        (0.0007989109436015163, 0.000176816438078653, 0,
         1.8787594979546387, 10.94906990605142, 0),
        (0.0007289346991508072, 0.9677937080626833, 0,
         0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053),
        (0.0004550992113792063, 0, 0,
         0.0013648766163243398, 0, 0),
    ),
    (  # Y
        (0, 0, 0,
         7.466890328078848, 0, 17.445833984131262),
        (0.0006235601634041466, 0, 0,
         6.683678146179332, 0.00037724407979611296, 1.027889937768264),
        (225.20515300849274, 0, 0,
         19.213238186143016, 0.0011401524586618361, 0.001237755635509985),
        (176.39317598450694, 0, 0,
         24.43300999870476, 0.28520802612117757, 0.0004485436923833408),
        (0, 0, 0,
         34.77906344483772, 44.835625328877896, 0),
        (0, 0, 0,
         0, 0, 0),
    ),
    (  # B
        (0, 0.0008680556573291698, 0,
         0, 0, 0),
        (0, 0.0005313191874358747, 0,
         0.00016533814161379112, 0, 0),
        (0, 0, 0,
         0.0004179171803251336, 0.0017290828234722833, 0),
        (0.0020827005846636437, 0, 0,
         8.826982764996862, 23.19243343998926, 0),
        (95.1080498811086, 0.9863978034400682, 0.9834382792465353,
         0.0012286405048278493, 171.2667255897307, 0.9807858872435379),
        (0, 0, 0,
         0.0005130064588990679, 0, 0.00010854057858411537),
    ),
)  # fmt: skip
"""[channel, scale, 6]: of the mean, then of the 4-norm, each of the maps structure, new edges, lost
edges; libjxl ``tools/ssimulacra2.cc``, April 2023."""
SUM_SCALE = 0.9562382616834844
CUBIC = (2.326765642916932, -0.020884521182843837, 6.248496625763138e-05)
"""R of the weighted sum: coefficients of its first, second and third power."""
EXPONENT = 0.6276336467831387


def inside(x: Tensor) -> Tensor:
    """Clamp to 0..255; the gradient passes where it leads back."""
    return -lower_bound(-lower_bound(x, 0.0), -255.0)


def linear_light(pixels: Tensor) -> Tensor:
    """SRGB 0..255 to linear light 0..1, planes first: [b, h, w, 3] to [b, 3, h, w]."""
    x = pixels.permute(0, 3, 1, 2) / 255
    # The power would have an infinite gradient at 0, where the other branch is taken.
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)


def xyb(linear: Tensor) -> Tensor:
    """XYB scaled to about 0..1, with B - Y in the place of B; the same shape."""
    matrix = torch.tensor(OPSIN, device=linear.device)
    cones = torch.einsum("oc,bchw->bohw", matrix, linear) + OPSIN_BIAS
    long, medium, short = (cones ** (1 / 3) - OPSIN_BIAS ** (1 / 3)).unbind(1)
    x, y = (long - medium) / 2, (long + medium) / 2
    return torch.stack([x * 14 + 0.42, y + 0.01, short - y + 0.55], 1)


def _norms(maps: Tensor) -> Tensor:
    """Mean and 4-norm of maps [m, b, 3, h, w]: [b, 3, 2 m]."""
    mean = maps.mean((3, 4))
    fourth = (maps.square().square().mean((3, 4)) + NORM_FLOOR) ** 0.25
    return torch.cat([mean, fourth]).permute(1, 2, 0)


def _scale_terms(a: Tensor, b: Tensor) -> Tensor:
    """The 6 numbers [b, 3, 6] of XYB pictures [b, 3, h, w] at one scale."""
    mean_a, square_a = blur(torch.stack([a, a * a]))
    mean_b, square_b, product = blur(torch.stack([b, b * b, a * b]))
    covariance = 2 * (product - mean_a * mean_b) + SSIM_C2
    variance = square_a - mean_a * mean_a + square_b - mean_b * mean_b + SSIM_C2
    luminance = 1 - (mean_a - mean_b).square()
    structure = (1 - luminance * covariance / variance).clamp(min=0)
    change = (1 + (b - mean_b).abs()) / (1 + (a - mean_a).abs()) - 1
    return _norms(torch.stack([structure, change.clamp(min=0), (-change).clamp(min=0)]))


def distance(reference: Tensor, decoded: Tensor) -> Tensor:
    """R [b]: the weighted sum of SSIMULACRA2 before its last power; 0 for equal pictures.

    Args:
        reference: float [b, h, w, 3], 0..255, sides divisible by 2 at every scale that counts.
        decoded: the same shape; values beyond 0..255 count as these.
    """
    a, b = linear_light(reference), linear_light(inside(decoded))
    weights = torch.tensor(WEIGHTS, device=a.device)
    total = torch.zeros(len(a), device=a.device)
    for scale in range(NUM_SCALES):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        if min(a.shape[2:]) < MIN_SIDE:
            break
        total = total + (_scale_terms(xyb(a), xyb(b)) * weights[:, scale]).sum((1, 2))
    s = SUM_SCALE * total
    return CUBIC[0] * s + CUBIC[1] * s * s + CUBIC[2] * s * s * s


def score(reference: Tensor, decoded: Tensor) -> Tensor:
    """SSIMULACRA2 [b]: 100 for equal pictures, 90 hardly visible, 50 medium quality."""
    return 100 - 10 * distance(reference, decoded) ** EXPONENT


def _worth(step: Tensor) -> Tensor:
    return torch.full_like(step, 3.3)


SSIMULACRA2 = Loss(distance, _worth, min_crop=128)
