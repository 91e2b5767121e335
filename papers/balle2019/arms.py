"""The arms of paper B's experiments: what each trains, and which figures it stands in.

All arms of one number of steps have the same crops, noise, optimizer and schedule. N = 32 stands
for the paper's 128, 64 for its 256; hyperprior models have 48 latents for its 192. An arm is known
by its name; what it needs of another one (``parent``) is trained first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intact.train.config import Config

N, LATENTS = 32, 48
LAMBDAS = (0.003, 0.01, 0.03, 0.1)
"""Of figure 3, per squared gray level; `MAIN` is everything else's, about the paper's 0.7 bpp."""
MAIN = 0.03
SCRATCH = 0.01
"""Where the integer prior is trained with its transforms from the first step, too."""
CROPS = {False: ("data.crop=128", "data.batch=8"), True: ("data.crop=256", "data.batch=2")}
"""By whether there is a hyperprior: with crops of 128 z is 2 x 2, and h_s learns borders alone."""
STEPS, SHORT = 5000, 2500
PRIOR = 3
"""Steps of an arm that trains its hyper-synthesis alone, times those of the others: they are small.
"""


@dataclass(frozen=True)
class Arm:
    """One training.

    Attributes:
        name: of its folder, its model and its rows.
        settings: of the configuration, beyond what all share.
        parent: the arm whose transforms it takes and keeps; it trains its hyper-synthesis alone.
        beta: of Eq. 11; (from, to) is annealed geometrically; inf is the clip's own gradient.
        snapshots: whether models are frozen on the way, for figure 4 and the instability.
        seed: of weights, crops and noise.
    """

    name: str
    settings: tuple[str, ...]
    parent: str = ""
    beta: float | tuple[float, float] = 4.0
    snapshots: bool = False
    seed: int = 0

    def beta_at(self, share: float) -> float:
        """Beta after a share of the steps."""
        if not isinstance(self.beta, tuple):
            return self.beta
        low, high = self.beta
        return low * (high / low) ** share

    def steps(self, steps: int) -> int:
        """Its own number of steps, where an arm that trains everything has ``steps``."""
        return PRIOR * steps if self.parent else steps

    def config(self, steps: int, folder: Path, data: Path) -> Config:
        """Its whole configuration."""
        from intact.train.config import load  # needs PyTorch, which the plots can do without

        # Short runs want larger steps; within one number of steps all arms have the same.
        hyper = "transform.hyperprior=false" not in self.settings
        rate = 1e-3 if steps > SHORT else 2e-3
        common = (
            'codec.kind="hyperprior"', f'data.folders=["{data}"]', *CROPS[hyper],
            f"transform.filters={N}", "optimizer.method=adam", f"optimizer.learning_rate={rate}",
            "optimizer.warmup=50", "optimizer.precision=float32",
            f"optimizer.steps={self.steps(steps)}",
            f"optimizer.seed={self.seed}", "output.checkpoint_every=250",
            "output.log_every=50", f"output.folder={folder}",
        )  # fmt: skip
        return load(None, [*common, *self.settings])


def _hyperprior(profile: str, weight: float) -> tuple[str, ...]:
    return (
        f"transform.profile={profile}", f"transform.latents={LATENTS}", f"rate.rd_weight={weight}",
    )  # fmt: skip


def _relu(profile: str, weight: float, filters: int = N, *more: str) -> tuple[str, ...]:
    return (
        f"transform.profile={profile}", "transform.hyperprior=false", "transform.activation=relu",
        f"transform.filters={filters}", f"transform.latents={filters}",
        f"rate.rd_weight={weight}", *more,
    )  # fmt: skip


def _name(weight: float) -> str:
    return f"{weight:g}"


JOINT = "float-joint"
FLOAT, INTEGER = "float-prior", "integer-prior"
"""Hyper-syntheses trained alike, from random weights, on the fixed transforms of `JOINT`."""


def _arms() -> dict[str, Arm]:
    found: list[Arm] = []
    for weight in (SCRATCH, *(w for w in (0.03, 0.003, 0.1) if w != SCRATCH)):  # by worth
        number = _name(weight)
        joint = f"{JOINT}-{number}"
        found.append(Arm(joint, _hyperprior("float", weight)))
        found.append(Arm(f"{INTEGER}-{number}", _hyperprior("prior", weight), parent=joint))
        found.append(Arm(f"{FLOAT}-{number}", _hyperprior("float", weight), parent=joint))
    found.append(Arm(f"{INTEGER}-scratch-{_name(SCRATCH)}", _hyperprior("prior", SCRATCH)))
    for weight in (MAIN, *(w for w in LAMBDAS if w != MAIN)):
        number, shots = _name(weight), weight == MAIN
        for name, settings in (
            ("relu-float-32", _relu("prior", weight)),
            ("relu-integer-32", _relu("exact", weight)),
            ("relu-integer-64", _relu("exact", weight, 2 * N)),
        ):
            found.append(Arm(f"{name}-{number}", settings, snapshots=shots))
    plain = _relu("exact", MAIN)
    for seed in (0, 1):  # Eq. 16 against Eq. 18 to 20; seed 0 of the latter is relu-integer-32
        rounded = _relu("exact", MAIN, N, "rate.proxy=rounded noise")
        found.append(Arm(f"eq16-seed{seed}", rounded, snapshots=True, seed=seed))
    found.append(Arm("eq18-seed1", plain, snapshots=True, seed=1))
    found += [
        Arm("beta-2", plain, beta=2.0),
        Arm("beta-8", plain, beta=8.0),
        Arm("beta-infinite", plain, beta=math.inf),
        Arm("beta-2-to-32", plain, beta=(2.0, 32.0)),
    ]
    for weight in (MAIN, *(w for w in LAMBDAS if w != MAIN)):
        settings = _relu("exact", weight, N, "transform.bits=7")
        found.append(Arm(f"relu-integer-32-k7-{_name(weight)}", settings))
    found.append(Arm("relu-rounded-0.03", _relu("exact", MAIN, N, "rate.proxy=rounded")))
    return {arm.name: arm for arm in found}


ARMS = _arms()
"""In the order in which they are worth having."""
