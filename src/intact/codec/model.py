"""The frozen model of an image codec: six integer programs, two banks of tables, the levels.

Everything here is an integer. A `Model` is validated and proven when it is made: there is no
half-ready state and nothing to update. Its id is the hash of its content, however it was packed.

Latents are fixed point with `LATENT_FRACTION` steps per unit. Level i quantizes them with
``steps[i]`` and moves scale indices by ``shifts[i]``, so that one set of tables serves all levels:

    index = clip((theta - shift + 2) >> 2, 0, NUM_SCALES - 1)

An index below the model's ``skip`` codes nothing: the symbol is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from intact.bits.tables import TableBank
from intact.container import limits
from intact.container.model_file import pack_model, peek_model, unpack_model
from intact.container.tree import model_id
from intact.errors import ModelError
from intact.intnet.certificate import Certificate, prove
from intact.intnet.program import HALF, Add, Conv, Info, Program, Resize, sources

NUM_SCALES = 64
THETA_SHIFT = 2
"""Four theta steps make one table."""
LATENT_PX = 16
HYPER_RATIO = 4
MAX_LEVELS = 64
MAX_HYPER_CHANNELS = 256
"""A hyper-latent's table is its channel's number in 8 bits."""
PROGRAMS = ("analysis", "hyper_analysis", "hyper_synthesis", "prior_a", "prior_b", "synthesis")
DECODING = PROGRAMS[2:]
"""The programs of a decoder; an encoder runs them all."""
FORMAT = "image codec 1"
_KEYS = (
    "format", "name", "info", "programs", "tables_y", "tables_z", "levels", "skip", "predicted",
)  # fmt: skip

_INPUTS = {
    "analysis": ("pixels",),
    "hyper_analysis": ("y",),
    "hyper_synthesis": ("z",),
    "prior_a": ("f",),
    "prior_b": ("f", "y"),
    "synthesis": ("y",),
}
_OUTPUTS = {
    "analysis": ("y",),
    "hyper_analysis": ("z",),
    "hyper_synthesis": ("f",),
    "prior_a": ("mean", "theta"),
    "prior_b": ("mean", "theta"),
    "synthesis": ("pixels",),
}

# Pixels on a side of the square that one position of a program's input stands for.
_DOWNSCALE = {
    "analysis": 1,
    "hyper_analysis": LATENT_PX,
    "hyper_synthesis": LATENT_PX * HYPER_RATIO,
    "prior_a": LATENT_PX,
    "prior_b": LATENT_PX,
    "synthesis": LATENT_PX,
}

# How outputs' sizes follow from inputs' (`Info.steps`).
_STEPS = {
    "hyper_analysis": (HALF, HALF),
    "hyper_synthesis": (Resize(Fraction(HYPER_RATIO)),),
    "prior_a": (),
    "prior_b": (),
    "synthesis": (Resize(Fraction(LATENT_PX)),),
}


@dataclass(frozen=True, eq=False)
class Levels:
    """The quality levels, coarsest first; arrays of equal length, 1..64.

    Attributes:
        steps: int32, the quantization step in latent units, 1..32767, falling.
        shifts: int32, what is subtracted from theta, -255..255.
        parameters: int32, the level given to the programs, -127..127.
        offsets: int32, what the encoder adds before the division of |residual| by the step: half a
            step rounds to the nearest, less makes zeros cheaper (a dead zone); 0..step // 2.
    """

    steps: np.ndarray
    shifts: np.ndarray
    parameters: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        legal = {"steps": (1, 32767), "shifts": (-255, 255), "parameters": (-127, 127)}
        for name in ("steps", "shifts", "parameters", "offsets"):
            array = np.array(getattr(self, name))
            if array.dtype.kind not in "iu" or array.ndim != 1:
                raise ModelError(f"levels: {name} is not a row of integers")
            low, high = legal.get(name, (0, 32767))
            if not 1 <= array.size <= MAX_LEVELS or array.min() < low or array.max() > high:
                raise ModelError(f"levels: {name} has not 1..{MAX_LEVELS} values in {low}..{high}")
            array = array.astype(np.int32)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        sizes = {a.size for a in (self.steps, self.shifts, self.parameters, self.offsets)}
        if len(sizes) != 1:
            raise ModelError(f"levels: arrays of different lengths {sorted(sizes)}")
        if (2 * self.offsets > self.steps).any():
            raise ModelError("levels: an offset is above half its step")

    def __len__(self) -> int:
        return self.steps.size

    def of_quality(self, quality: float) -> int:
        """The level for a quality of 0..100, linear.

        Raises:
            ValueError: the quality is outside 0..100.
        """
        if not 0 <= quality <= 100:
            raise ValueError(f"quality is {quality}, must be in 0..100")
        return int(quality * (len(self) - 1) // 100)


@dataclass(frozen=True, eq=False)
class Model:
    """A frozen image codec.

    Attributes:
        name: for people; not part of the identity's meaning, but of the content.
        programs: the networks by role, exactly `PROGRAMS`.
        tables_y: `NUM_SCALES` tables by scale index.
        tables_z: one table per channel of the hyper-latents.
        levels: the qualities.
        info: how it was made (plain text by key), shown by ``intact models``.
        skip: latents whose table index is below it are not sent, 0..63; their symbol is 0. So small
            a scale hardly ever gives another, and a coder without C is slow.
        predicted: that many leading channels of y are predicted from neighbors
            (`intact.codec.lattice`), 0..min(M, 16).

    Raises:
        ModelError: the parts do not fit, or a bound cannot be proven.
    """

    name: str
    programs: dict[str, Program]
    tables_y: TableBank
    tables_z: TableBank
    levels: Levels
    info: dict[str, str] = field(default_factory=dict)
    skip: int = 0
    predicted: int = 0

    def __post_init__(self) -> None:
        if set(self.programs) != set(PROGRAMS):
            raise ModelError(f"model: programs {sorted(self.programs)}, wanted {sorted(PROGRAMS)}")
        if self.tables_y.num_tables != NUM_SCALES:
            raise ModelError(f"model: {self.tables_y.num_tables} scale tables, not {NUM_SCALES}")
        if not 0 <= self.skip < NUM_SCALES:
            raise ModelError(f"model: skip is {self.skip}, must be in 0..{NUM_SCALES - 1}")
        for name in PROGRAMS:
            self._check_interface(name)
        m, n = self.latent_channels, self.hyper_channels
        if self.tables_z.num_tables != n:
            raise ModelError(f"model: {self.tables_z.num_tables} hyper tables for {n} channels")
        if n > MAX_HYPER_CHANNELS:
            raise ModelError(f"model: {n} hyper-latent channels, at most {MAX_HYPER_CHANNELS}")
        channels = {"y": m, "z": n, "mean": m, "theta": m, "pixels": 3}
        for program, outputs in _OUTPUTS.items():
            for output in outputs:
                info = self.values(program)[output]
                if info.channels != channels.get(output, info.channels):
                    raise ModelError(
                        f"model: {program}.{output} has {info.channels} channels, "
                        f"wanted {channels[output]}"
                    )
        most = min(m, limits.MAX_PREDICTED)
        if not 0 <= self.predicted <= most:
            raise ModelError(f"model: predicted is {self.predicted}, must be in 0..{most}")
        self._check_sizes()
        self._check_ranges()
        self._check_costs()
        for name in PROGRAMS:
            prove(self.programs[name])

    def _check_interface(self, name: str) -> None:
        program = self.programs[name]
        inputs = tuple(v.name for v in program.inputs)
        if inputs != _INPUTS[name] or tuple(program.outputs) != _OUTPUTS[name]:
            raise ModelError(f"model: {name} maps {inputs} to {program.outputs}")

    def _check_sizes(self) -> None:
        """Every program runs on every size of image, and its outputs have the sizes of the spec.

        Resolutions alone do not say so: halving rounds up, so half of double is not always itself.
        """
        for name, program in self.programs.items():
            values = self.values(name)
            for op in program.ops:
                if isinstance(op, Add) and values[op.left].steps != values[op.right].steps:
                    raise ModelError(f"model: {name}: {op.target} adds values of different sizes")
            for value, info in values.items():
                first, later = info.steps[:1], info.steps[1:]
                if name == "analysis":  # its input is a multiple of LATENT_PX
                    fits = not first or not first[0].divides
                    fits = fits or LATENT_PX % first[0].factor.denominator == 0
                else:
                    fits, later = True, info.steps
                if not fits or any(step.divides for step in later):
                    raise ModelError(f"model: {name}: {value} does not fit every size of image")
        for name, wanted in _STEPS.items():
            for output in _OUTPUTS[name]:
                if (steps := self.values(name)[output].steps) != wanted:
                    raise ModelError(f"model: {name}.{output} is sized {steps}, wanted {wanted}")
        info = self.values("analysis")["y"]
        for side in range(1, LATENT_PX + 1):
            if info.size(side * LATENT_PX, side * LATENT_PX) != (side, side):
                raise ModelError(f"model: analysis.y is sized {info.steps}, not a {LATENT_PX}th")

    def _check_ranges(self) -> None:
        m = self.latent_channels
        f = self.values("hyper_synthesis")["f"]
        int16 = (-32768, 32767)
        inputs = {
            "analysis": {"pixels": (3, -128, 127)},
            "hyper_analysis": {"y": (m, *int16)},
            "hyper_synthesis": {"z": (self.hyper_channels, -128, 127)},
            "prior_a": {"f": (f.channels, *int16)},
            "prior_b": {"f": (f.channels, *int16), "y": (m, *int16)},
            "synthesis": {"y": (m, *int16)},
        }
        for name, values in inputs.items():
            for value in self.programs[name].inputs:
                if (value.channels, value.low, value.high) != values[value.name]:
                    raise ModelError(f"model: {name}: input {value.name} is {value}")
        legal = {"theta": (0, 255), "mean": int16, "z": (-128, 127), "y": int16, "f": int16}
        legal["pixels"] = (-128, 127)
        for name in PROGRAMS:
            for output in self.programs[name].outputs:
                info, (low, high) = self.values(name)[output], legal[output]
                if info.low < low or info.high > high:
                    raise ModelError(f"model: {name}.{output} reaches {info.low}..{info.high}")

    def _check_costs(self) -> None:
        """No program needs more memory or time than `intact.container.limits` allow."""
        macs, weights = Fraction(0), 0
        for name, program in self.programs.items():
            values, what = self.values(name), f"model: {name}"
            scale = Fraction(1, _DOWNSCALE[name])  # of its input, relative to the image
            area = {v: (info.resolution * scale) ** 2 for v, info in values.items()}
            size = {v: 2 * info.channels * area[v] for v, info in values.items()}
            touched = [(op.target, *sources(op)) for op in program.ops]
            channels = sum(values[v].channels for names in touched for v in names)
            _at_most(len(program.ops), limits.MAX_PROGRAM_OPS, f"{what}: operations")
            _at_most(channels, limits.MAX_PROGRAM_CHANNELS, f"{what}: channels in all operations")
            last = {v: index for index, names in enumerate(touched) for v in names}
            last |= dict.fromkeys(program.outputs, len(touched))
            live = sum((size[value.name] for value in program.inputs), Fraction(0))
            most = live
            for index, (op, names) in enumerate(zip(program.ops, touched, strict=True)):
                live += size[op.target]
                most = max(most, live)
                live -= sum(size[v] for v in set(names) if last[v] == index)
                if isinstance(op, Conv):
                    macs += op.weight.size * area[op.target]
                    weights += op.weight.size
            _at_most(most, limits.MAX_PROGRAM_BYTES_PER_PIXEL, f"{what}: bytes per pixel")
        _at_most(macs, limits.MAX_MODEL_MACS_PER_PIXEL, "model: multiplications per pixel")
        _at_most(weights, limits.MAX_MODEL_WEIGHTS, "model: weights")

    def values(self, program: str) -> dict[str, Info]:
        """What is known of each value of a program."""
        return self._values[program]

    @cached_property
    def _values(self) -> dict[str, dict[str, Info]]:
        return {name: program.ranges() for name, program in self.programs.items()}

    @property
    def latent_channels(self) -> int:
        """Channels of y."""
        return self.programs["synthesis"].inputs[0].channels

    @property
    def hyper_channels(self) -> int:
        """Channels of z."""
        return self.programs["hyper_synthesis"].inputs[0].channels

    @cached_property
    def tree(self) -> dict[str, Any]:
        """The canonical content; inverse of `from_tree`."""
        levels = {k: getattr(self.levels, k) for k in ("steps", "shifts", "parameters", "offsets")}
        return {
            "format": FORMAT,
            "name": self.name,
            "info": dict(self.info),
            "programs": {name: program.to_tree() for name, program in self.programs.items()},
            "tables_y": _bank_tree(self.tables_y),
            "tables_z": _bank_tree(self.tables_z),
            "levels": levels,
            "skip": self.skip,
            "predicted": self.predicted,
        }

    @cached_property
    def id(self) -> bytes:
        """16 bytes that identify the content."""
        return model_id(self.tree)

    @cached_property
    def certificates(self) -> dict[str, Certificate]:
        """Which arithmetic is exact for each layer, by program."""
        return {name: prove(program) for name, program in self.programs.items()}

    @classmethod
    def from_tree(cls, tree: Any) -> Model:
        """Build and check a model from untrusted content; inverse of `tree`.

        Raises:
            ModelError: anything is missing, too much, or of the wrong kind.
        """
        _check_keys(tree, _KEYS, "model")
        # Any value may stand there, an array too: compare texts only.
        if not isinstance(tree["format"], str) or tree["format"] != FORMAT:
            raise ModelError(f"model: format {tree['format']!r}, this package reads {FORMAT!r}")
        if not isinstance(tree["name"], str) or not isinstance(tree["info"], dict):
            raise ModelError("model: name or info has the wrong kind")
        for key in ("skip", "predicted"):
            if not isinstance(tree[key], int):
                raise ModelError(f"model: {key} is not a number")
        if not all(isinstance(v, str) for v in tree["info"].values()):
            raise ModelError("model: info holds something other than text")
        _check_keys(tree["programs"], PROGRAMS, "programs")
        _check_keys(tree["levels"], ("steps", "shifts", "parameters", "offsets"), "levels")
        return cls(
            name=tree["name"],
            programs={k: Program.from_tree(v) for k, v in tree["programs"].items()},
            tables_y=_bank_from_tree(tree["tables_y"], "tables_y"),
            tables_z=_bank_from_tree(tree["tables_z"], "tables_z"),
            levels=Levels(**tree["levels"]),
            skip=tree["skip"],
            predicted=tree["predicted"],
            info=dict(tree["info"]),
        )

    def to_bytes(self) -> bytes:
        """Pack into a model file; inverse of `from_bytes`."""
        return pack_model(self.tree)

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Read a model file; inverse of `to_bytes`.

        Raises:
            CorruptDataError: the file is damaged.
            ModelError: its content is not a legal model, or is not spelled as `tree` spells it.
        """
        model = cls.from_tree(unpack_model(data))
        # The same numbers in arrays of another type would be a second id of one model.
        if model.id != peek_model(data).model_id:
            raise ModelError("model: an array is not of the type that this package writes")
        return model


def _at_most(number: int | Fraction, limit: int, what: str) -> None:
    if number > limit:
        raise ModelError(f"{what}: {ceil(number)}, at most {limit}")


def _check_keys(tree: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(tree, dict) or set(tree) != set(keys):
        found = sorted(tree) if isinstance(tree, dict) else type(tree).__name__
        raise ModelError(f"{what}: wanted the keys {sorted(keys)}, found {found}")


def _bank_tree(bank: TableBank) -> dict[str, Any]:
    return {
        "minimums": bank.minimums,
        "sizes": bank.sizes,
        "freqs": bank.freqs.astype(np.int16),
    }


def _bank_from_tree(tree: Any, what: str) -> TableBank:
    _check_keys(tree, ("minimums", "sizes", "freqs"), what)
    arrays = {}
    for key, value in tree.items():
        if not isinstance(value, np.ndarray) or value.ndim != 1:
            raise ModelError(f"{what}: {key} is not a row of integers")
        arrays[key] = value.astype(np.int64)
    sizes, freqs = arrays["sizes"], arrays["freqs"]
    if sizes.size == 0 or sizes.min() < 2 or int(sizes.sum()) != freqs.size:
        raise ModelError(f"{what}: sizes do not add up to {freqs.size} frequencies")
    return TableBank.build(arrays["minimums"], np.split(freqs, np.cumsum(sizes)[:-1]))
