"""Other processors, emulated but whole: Debian's Python and NumPy for them, and our C, compiled.

    apt-get install qemu-user-static debootstrap gcc-aarch64-linux-gnu gcc-s390x-linux-gnu \
        gcc-riscv64-linux-gnu gcc-arm-linux-gnueabihf gcc-powerpc64le-linux-gnu

Nothing is configured or run natively: packages are unpacked, and qemu-user finds their libraries.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-numpy,python3-pil,libblas3,liblapack3,libgfortran5"
ARCHITECTURES = {
    # Debian's name: (qemu's name, compiler's and libraries' triplet, release that has it)
    "arm64": ("aarch64", "aarch64-linux-gnu", "bookworm"),
    "armhf": ("arm", "arm-linux-gnueabihf", "bookworm"),
    "s390x": ("s390x", "s390x-linux-gnu", "bookworm"),
    "ppc64el": ("ppc64le", "powerpc64le-linux-gnu", "bookworm"),
    "riscv64": ("riscv64", "riscv64-linux-gnu", "trixie"),
}


def absent(arch: str, work: Path) -> str:
    """What is missing to run an architecture; "" if nothing."""
    qemu, triplet, _ = ARCHITECTURES[arch]
    tools = [f"qemu-{qemu}-static", f"{triplet}-gcc"]
    if not (_root(arch, work) / ".unpacked").exists():
        tools.append("debootstrap")
    missing = [tool for tool in tools if not shutil.which(tool)]
    return f"{', '.join(missing)} not installed" if missing else ""


def _root(arch: str, work: Path) -> Path:
    return work / arch / "root"


def _install(arch: str, root: Path) -> None:
    """Unpack Debian's Python for an architecture, once."""
    done = root / ".unpacked"
    if done.exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    options = ["--foreign", f"--arch={arch}", "--variant=minbase", f"--include={PACKAGES}"]
    release = ARCHITECTURES[arch][2]
    subprocess.run(["debootstrap", *options, release, str(root), MIRROR], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    done.touch()


@cache
def _build(arch: str, site: Path) -> None:
    """Copy the package and compile its C for another processor; once in a run."""
    triplet = ARCHITECTURES[arch][1]
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "intact", site / "intact",
                    ignore=shutil.ignore_patterns("_native*", "__pycache__"))  # fmt: skip
    threads = importlib.util.find_spec("threadpoolctl")
    assert threads is not None
    assert threads.origin is not None
    shutil.copy(threads.origin, site)  # one file, pure Python
    sources = sorted(str(p) for p in (ROOT / "native").glob("*.c") if p.name != "module.c")
    flags = ["-O3", "-g0", "-std=c11", "-fPIC", "-shared", f"-I{ROOT / 'native'}"]
    target = str(site / "intact" / "_native.abi3.so")
    subprocess.run([f"{triplet}-gcc", *flags, *sources, "-o", target], check=True)


def command(arch: str, work: Path) -> tuple[list[str], dict[str, str]]:
    """How to start Python for an architecture: the command so far, and its environment."""
    qemu, triplet, _ = ARCHITECTURES[arch]
    root, site = _root(arch, work), work / arch / "site"
    _install(arch, root)
    _build(arch, site)
    libraries = root / "usr/lib" / triplet
    python = next((root / "usr/bin").glob("python3.*[0-9]"))
    environment = {
        "QEMU_LD_PREFIX": str(root),
        "QEMU_SET_ENV": f"LD_LIBRARY_PATH={libraries}/blas:{libraries}/lapack",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{site}:{root / 'usr/lib/python3/dist-packages'}",
        "LD_LIBRARY_PATH": "",
    }
    return [f"qemu-{qemu}-static", str(python)], environment
