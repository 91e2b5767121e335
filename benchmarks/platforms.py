r"""The same files and pixels on processors that are not here: emulated, but whole.

    apt-get install qemu-user-static debootstrap gcc-aarch64-linux-gnu gcc-s390x-linux-gnu \
        gcc-arm-linux-gnueabihf gcc-powerpc64le-linux-gnu
    python benchmarks/platforms.py [--arch arm64 s390x armhf ppc64el] [--work /tmp/platforms]

For each architecture: Debian's own Python, NumPy and Pillow for it (debootstrap; nothing is
configured or run natively), our C compiled for it, and `benchmarks/platform_check.py` under
qemu-user: all golden images, the demo's photograph decoded and encoded again, with every backend.
arm64 has NEON, armhf and s390x are 32-bit and big-endian. Emulation says nothing of speed.
Writes benchmarks/results/platforms.csv, other architectures' rows kept; exit code 1 if any differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import threadpoolctl

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "platforms.csv"
MIRROR = "http://deb.debian.org/debian"
RELEASE = "bookworm"
PACKAGES = "python3,python3-numpy,python3-pil,libblas3,liblapack3,libgfortran5"
ARCHITECTURES = {
    # Debian's name: (qemu's name, compiler's and libraries' triplet)
    "arm64": ("aarch64", "aarch64-linux-gnu"),
    "armhf": ("arm", "arm-linux-gnueabihf"),
    "s390x": ("s390x", "s390x-linux-gnu"),
    "ppc64el": ("ppc64le", "powerpc64le-linux-gnu"),
}


def install(arch: str, root: Path) -> None:
    """Unpack Debian's Python for an architecture below ``root``, once."""
    done = root / ".unpacked"
    if done.exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    options = ["--foreign", f"--arch={arch}", "--variant=minbase", f"--include={PACKAGES}"]
    subprocess.run(["debootstrap", *options, RELEASE, str(root), MIRROR], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    done.touch()


def build(triplet: str, site: Path) -> None:
    """Copy the package and compile its C for another processor."""
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "intact", site / "intact",
                    ignore=shutil.ignore_patterns("_native*", "__pycache__"))  # fmt: skip
    shutil.copy(threadpoolctl.__file__, site)  # one file, pure Python
    sources = sorted(str(p) for p in (ROOT / "native").glob("*.c") if p.name != "module.c")
    flags = ["-O3", "-g0", "-std=c11", "-fPIC", "-shared", f"-I{ROOT / 'native'}"]
    target = str(site / "intact" / "_native.abi3.so")
    subprocess.run([f"{triplet}-gcc", *flags, *sources, "-o", target], check=True)


def check(qemu: str, triplet: str, root: Path, site: Path) -> list[dict[str, str]]:
    """Run the check under emulation; one row per backend."""
    libraries = root / "usr/lib" / triplet
    python = next((root / "usr/bin").glob("python3.*[0-9]"))
    environment = {
        **os.environ,
        "QEMU_LD_PREFIX": str(root),
        "QEMU_SET_ENV": f"LD_LIBRARY_PATH={libraries}/blas:{libraries}/lapack",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": f"{site}:{root / 'usr/lib/python3/dist-packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("LD_LIBRARY_PATH", None)
    script = str(ROOT / "benchmarks" / "platform_check.py")
    rows = []
    for options in ([], ["--without-extension"]):
        command = [f"qemu-{qemu}-static", str(python), script, *options]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        rows += [r for r in json.loads(done.stdout) if not options or r["backend"] == "numpy"]
    return rows


def is_exact(row: dict[str, str]) -> bool:
    """Whether everything that was run came out the same."""
    golden = row["golden_images"].split()  # "9 of 9", with another word when it was not alone
    verdicts = {row["model_file"], row["encoded_file"], row["decoded_pixels"]}
    agree = len(golden) == 3 and golden[0] == golden[2]
    return agree and verdicts <= {"same", "not run"}


def main() -> int:
    """Check and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", nargs="+", default=list(ARCHITECTURES), choices=ARCHITECTURES)
    parser.add_argument("--work", type=Path, default=Path("/tmp/platforms"))
    args = parser.parse_args()
    rows: list[dict[str, str]] = []
    exact = True
    for arch in args.arch:
        qemu, triplet = ARCHITECTURES[arch]
        root, site = args.work / arch / "root", args.work / arch / "site"
        root.parent.mkdir(parents=True, exist_ok=True)
        install(arch, root)
        build(triplet, site)
        for row in check(qemu, triplet, root, site):
            rows.append({"architecture": arch, **row})
            exact = exact and is_exact(row)
            print(*rows[-1].values(), sep="  ", flush=True)
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            rows += [r for r in csv.DictReader(file) if r["architecture"] not in args.arch]
    rows.sort(key=lambda row: row["architecture"])
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return 0 if exact else 1


if __name__ == "__main__":
    raise SystemExit(main())
