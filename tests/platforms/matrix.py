"""Which platforms there are: an instruction set or processor with a library and its version.

A platform here is a way to start `worker.py`: an interpreter, an environment, perhaps an emulator.
Thread counts and settings that leave floating point alone are no platforms of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from platforms import foreign

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Platform:
    """A way to run the worker.

    Attributes:
        name: for tables; a library's version is added when it ran.
        backend: of Intact.
        library: the module that an interpreter must have; "" for none.
        environment: that makes it what it is.
        needs: flags of /proc/cpuinfo, all of them.
        cpu: of qemu-user's x86-64; "" without an emulator.
        arch: Debian's name of another architecture, emulated; "" for this one.
        options: of the worker.
        slow: for golden vectors alone, not for the table.
    """

    name: str
    backend: str
    library: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    cpu: str = ""
    arch: str = ""
    options: tuple[str, ...] = ()
    slow: bool = False

    @property
    def emulated(self) -> bool:
        """Whether an emulator runs it: it says nothing of speed."""
        return bool(self.cpu or self.arch)

    @property
    def key(self) -> str:
        """A file's name."""
        return "".join(c if c.isalnum() else "-" for c in self.name).strip("-").lower()


def _native(name: str, isa: str, *needs: str) -> Platform:
    return Platform(f"native {name}", "native", environment={"INTACT_MAX_ISA": isa}, needs=needs)


def _numpy(name: str, core: str, *needs: str, off: str = "") -> Platform:
    environment = {"OPENBLAS_CORETYPE": core}
    if off:
        environment["NPY_DISABLE_CPU_FEATURES"] = off
    return Platform(f"NumPy {name}", "numpy", environment=environment, needs=needs)


def _torch(
    name: str, onednn: str, aten: str, *needs: str, mkl: str = "", off: bool = False
) -> Platform:
    environment = {"ONEDNN_MAX_CPU_ISA": onednn, "ATEN_CPU_CAPABILITY": aten}
    if mkl:
        environment["MKL_ENABLE_INSTRUCTIONS"] = mkl
    options = ("--mkldnn-off",) if off else ()
    return Platform(f"torch {name}", "torch", "torch", environment, needs, options=options)


def _emulated(name: str, cpu: str = "", arch: str = "") -> list[Platform]:
    found = [
        Platform(f"{name} (emulated), native", "native", cpu=cpu, arch=arch),
        Platform(f"{name} (emulated), NumPy", "numpy", cpu=cpu, arch=arch),
    ]
    if cpu:
        found.append(Platform(f"{name} (emulated), ONNX Runtime", "onnx", "onnxruntime", cpu=cpu))
    else:
        without = ("--without-extension",)
        found.append(
            Platform(
                f"{name} (emulated), without C", "numpy", arch=arch, options=without, slow=True
            )
        )
    return found


AVX512 = "avx512_vnni"
PLATFORMS = [
    _native("AMX", "amx", "amx_int8"),
    _native("AVX-512 VNNI", "avx512vnni", AVX512),
    _native("AVX2", "avx2", "avx2"),
    _native("portable C", "portable"),
    _numpy("AVX-512", "SkylakeX", "avx512f"),
    _numpy("AVX2", "Haswell", "avx2", off="X86_V4"),
    _numpy("SSE", "Nehalem", off="X86_V4 X86_V3"),
    _torch("AMX", "AVX512_CORE_AMX", "avx512", "amx_int8"),
    _torch("AVX-512 VNNI", "AVX512_CORE_VNNI", "avx512", AVX512),
    _torch("AVX2", "AVX2", "avx2", "avx2", mkl="AVX2"),
    _torch("SSE4.1", "SSE41", "default", mkl="SSE4_2"),
    _torch("without oneDNN", "SSE41", "default", mkl="SSE4_2", off=True),
    Platform("without C", "numpy", options=("--without-extension",), slow=True),
    Platform("ONNX Runtime AVX-512", "onnx", "onnxruntime", needs=("avx512f",)),
    Platform("Node, WebAssembly", "node"),
    *_emulated("Haswell", cpu="Haswell"),
    *_emulated("Nehalem", cpu="Nehalem"),
    *_emulated("aarch64", arch="arm64"),
    *_emulated("s390x, big-endian,", arch="s390x"),
    *_emulated("riscv64", arch="riscv64"),
    *_emulated("armhf, 32 bits,", arch="armhf"),
    *_emulated("ppc64el", arch="ppc64el"),
]


@cache
def _flags() -> frozenset[str]:
    info = Path("/proc/cpuinfo")
    return frozenset(info.read_text().split() if info.exists() else ())


@cache
def interpreter(library: str, candidates: tuple[str, ...]) -> str:
    """The first interpreter that has NumPy and a library; "" if none has."""
    code = f"import numpy, {library}" if library else "import numpy"
    for python in candidates:
        if subprocess.run([python, "-c", code], capture_output=True).returncode == 0:
            return python
    return ""


def absent(platform: Platform, pythons: Sequence[str], work: Path) -> str:
    """Why a platform cannot be run here; "" if it can."""
    if lacking := [flag for flag in platform.needs if flag not in _flags()]:
        return f"this processor has no {', '.join(lacking)}"
    if platform.arch:
        return foreign.absent(platform.arch, work)
    if platform.cpu and not shutil.which("qemu-x86_64-static"):
        return "qemu-x86_64-static is not installed"
    if not interpreter(platform.library, (sys.executable, *pythons)):
        return f"no interpreter has {platform.library}"
    return ""


def start(
    platform: Platform, arguments: Sequence[str], pythons: Sequence[str], work: Path
) -> subprocess.CompletedProcess[str]:
    """Run the worker on a platform to its end.

    Args:
        platform: one that is not absent.
        arguments: of the worker.
        pythons: interpreters to look for libraries in, beside this one.
        work: folder for what is built.
    """
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", **platform.environment,
    }  # fmt: skip
    if platform.arch:
        command, more = foreign.command(platform.arch, work)
        environment |= more
    else:
        command = [interpreter(platform.library, (sys.executable, *pythons))]
        if platform.cpu:
            command = ["qemu-x86_64-static", "-cpu", platform.cpu, *command]
    command += [str(WORKER), *arguments, *platform.options]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
