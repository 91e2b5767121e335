"""Trains the arms of paper B's experiments and freezes them; resumes where it was stopped.

    train.py --steps 5000 [--minutes 30] [ARM ...]     all arms in the order of arms.py by default
    train.py --list

Writes runs/STEPS/ARM (checkpoints) and, when an arm is done, runs/STEPS/ARM.intactm, both outside
of git (BALLE_RUNS names another place than runs/), and results/STEPS/training/ARM.csv. An arm that
has both is not trained again.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from arms import ARMS, STEPS, Arm
from paper_b import RESULTS, RUNS, SHARED, read_rows, write_rows
from torch import Tensor, nn

from intact import files
from intact.cli.train import keep_memory
from intact.codec.model import Model
from intact.freeze.hyperprior import freeze
from intact.train import checkpoint, start
from intact.train.codecs.hyperprior import HyperpriorNet
from intact.train.codecs.hyperprior_graphs import PIXEL_UNIT
from intact.train.codecs.task import ImageTask
from intact.train.config import Config, to_dict
from intact.train.entropy import gaussian_bits
from intact.train.gradients import lower_bound
from intact.train.integer import IntegerNetwork
from intact.train.loop import Trainer
from intact.train.noise import Noise
from intact.train.task import Share

DATA = SHARED / "data" / "train"
BATCHES = 250
"""Of crops that an arm sees which trains the prior alone, at most: their latents are kept. In short
runs it sees each about six times."""
SHOTS = 10
"""Models frozen on the way, at equal distances."""


class PaperTask(ImageTask):
    """An arm's training: beta of Eq. 11 can change, and transforms can be another arm's, fixed.

    Args:
        config: the run.
        codec: with its weights.
        data: the images.
        arm: which.
    """

    def __init__(
        self, config: Config, codec: HyperpriorNet, data: start.ImageFolder, arm: Arm
    ) -> None:
        super().__init__(config, codec, data)
        self.arm = arm
        self._known: dict[int, tuple[Tensor, Tensor]] = {}
        if arm.parent:
            for name, parameter in codec.named_parameters():
                parameter.requires_grad_("hyper_synthesis" in name)

    def groups(self) -> list[dict[str, object]]:
        """What is trained."""
        trained = [p for p in self.codec.parameters() if p.requires_grad]
        return [{"params": trained, "factor": 1.0}]

    def forward(self, step: int, share: Share) -> dict[str, Tensor]:
        """All of the loss; or, where only the prior is trained, its part of the rate."""
        return self._prior_alone(step, share) if self.arm.parent else super().forward(step, share)

    def _prior_alone(self, step: int, share: Share) -> dict[str, Tensor]:
        """Eq. 14 and 15 on latents whose networks are fixed, of a batch that comes again."""
        codec, settings = self.codec, self.config
        assert isinstance(codec, HyperpriorNet)
        codec.center()
        y, z = self._latents(step % max(1, min(BATCHES, settings.optimizer.steps // 6)))
        noise = Noise(settings.optimizer.seed, step, share.of(settings.data.batch))
        network = codec.networks["hyper_synthesis"]
        real = {"real": True} if isinstance(network, IntegerNetwork) else {}
        theta = network({"z": z + noise.like(z)}, torch.zeros(len(z)), None, **real)["theta"]
        theta = lower_bound(theta, 0.0).clamp(max=codec.config.scales - 1)
        bits = gaussian_bits(y + noise.like(y), codec.config.sigma(theta)).sum()
        bpp = bits / (len(y) * settings.data.crop**2)
        return {"loss": bpp, "bpp": bpp.detach(), "mse": torch.zeros(())}

    @torch.no_grad()
    def _latents(self, number: int) -> tuple[Tensor, Tensor]:
        """Latents y and z of a batch of crops, before rounding."""
        if number not in self._known:
            data, seed = self.config.data, self.config.optimizer.seed
            crops = self.data.crops(range(data.batch), data.crop, seed, number)
            level = torch.zeros(data.batch)
            pixels = (torch.from_numpy(crops).float() - 128) * PIXEL_UNIT
            y = self.codec.networks["analysis"]({"pixels": pixels}, level)["y"]
            self._known[number] = y, self.codec.networks["hyper_analysis"]({"y": y}, level)["z"]
        return self._known[number]

    def before(self, step: int) -> None:
        """Set beta."""
        beta = self.arm.beta_at(step / self.config.optimizer.steps)
        for network in self.codec.networks.values():
            if isinstance(network, IntegerNetwork):
                network.beta = beta


def trainer_of(arm: Arm, steps: int, data: Path) -> Trainer[PaperTask]:
    """A trainer at its first step, or where the arm's checkpoint is."""
    folder = RUNS / str(steps) / arm.name
    config = arm.config(steps, folder, data)
    images = start.image_folder(config)
    net = config.kind.build(config.own, arm.seed)
    assert isinstance(net, HyperpriorNet)
    if arm.parent:
        take_transforms(net, start.codec_of(*checkpoint.read(RUNS / str(steps) / arm.parent)))
    task = PaperTask(config, net, images, arm)
    settings = config.optimizer, config.output, torch.device("cpu")
    trainer = Trainer(task, *settings, precision=torch.float32, config=to_dict(config))
    if checkpoint.exists(folder):
        trainer.load(*checkpoint.read(folder))
    trainer.parent = arm.parent
    return trainer


@torch.no_grad()
def take_transforms(net: nn.Module, parent: nn.Module) -> None:
    """Copy everything but the hyper-synthesis."""
    theirs = parent.state_dict()
    for name, value in net.state_dict().items():
        if "hyper_synthesis" not in name:
            value.copy_(theirs[name])


def bfloat16_transforms(net: HyperpriorNet) -> None:
    """Round float weights beside the hyper-synthesis to bfloat16 values: half the size of a file.

    The prior under test keeps all of float32.
    """
    with torch.no_grad():
        for role, network in net.networks.items():
            if role != "hyper_synthesis" and not isinstance(network, IntegerNetwork):
                for parameter in network.parameters():
                    parameter.copy_(parameter.to(torch.bfloat16).float())


def frozen(config: Config, weights: dict[str, Tensor], name: str, info: dict[str, str]) -> Model:
    """The model of some weights."""
    net = config.kind.build(config.own, config.optimizer.seed)
    assert isinstance(net, HyperpriorNet)
    net.load_state_dict(weights)
    bfloat16_transforms(net)
    return freeze(net, name, [], info)


def snapshot(trainer: Trainer[PaperTask], steps: int) -> None:
    """Freeze the weights themselves, as the paper's figure 4 has them, not their average."""
    arm, step = trainer.task.arm, trainer.step
    weights = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    model = frozen(trainer.task.config, weights, f"{arm.name} {step}", {})
    path = RUNS / str(steps) / arm.name / f"step{step:05}.intactm"
    files.replace(path, model.to_bytes())


def prior_parameters(net: nn.Module) -> Tensor:
    """The unregularized nonparametric prior's, in one vector."""
    return torch.cat([p.detach().flatten() for n, p in net.named_parameters() if "prior." in n])


class Log:
    """An arm's scalars, a row each log step; goes on behind the step of a checkpoint."""

    def __init__(self, path: Path, trainer: Trainer[PaperTask]) -> None:
        self.path, self.trainer = path, trainer
        self.rows = [row for row in read_rows(path) if int(row["step"]) <= trainer.step]
        self.before = prior_parameters(trainer.net)
        self.cpu = time.process_time()

    def __call__(self, step: int, scalars: dict[str, float]) -> None:
        """Add a row."""
        now = prior_parameters(self.trainer.net)
        change = float((now - self.before).norm() / now.norm())
        self.before = now
        spent, self.cpu = time.process_time() - self.cpu, time.process_time()
        row = {"step": str(step), "prior_change": f"{change:.6f}", "cpu_s": f"{spent:.2f}"}
        row |= {k: f"{scalars[k]:.6g}" for k in ("loss", "bpp", "mse", "gradient_norm")}
        self.rows.append(row)
        print(self.trainer.task.arm.name, row, flush=True)
        write_rows(self.path, self.rows)


def train(arm: Arm, steps: int, data: Path, deadline: float) -> bool:
    """Train an arm to its end and freeze it; whether it came there."""
    model_path = RUNS / str(steps) / f"{arm.name}.intactm"
    log_path = RESULTS / str(steps) / "training" / f"{arm.name}.csv"
    if model_path.exists() and log_path.exists():
        return True
    trainer = trainer_of(arm, steps, data)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log = Log(RUNS / str(steps) / arm.name / "log.csv", trainer)
    if arm.snapshots and trainer.step == 0:
        trainer.save()
        snapshot(trainer, steps)
    for shot in range(1, SHOTS + 1):
        until = arm.steps(steps) * shot // SHOTS
        if trainer.step < until:
            trainer.run(log, until=until, deadline=deadline)
            if trainer.step < until:
                return False
            if arm.snapshots:
                snapshot(trainer, steps)
    info = {"trained": f"{arm.steps(steps)} steps", "N": "32 for 128"}
    model = frozen(trainer.task.config, trainer.average, arm.name, info)
    files.replace(log_path, log.path.read_bytes())
    files.replace(model_path, model.to_bytes())
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arms", nargs="*", metavar="ARM")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(ARMS))
        return
    torch.set_num_threads(1)
    keep_memory()
    deadline = time.monotonic() + 60 * args.minutes
    for name in args.arms or ARMS:
        parent = ARMS[name].parent
        for arm in [ARMS[key] for key in (parent, name) if key]:
            if not train(arm, args.steps, args.data, deadline):
                print(f"{arm.name} is not done; call again to go on", flush=True)
                return


if __name__ == "__main__":
    main()
