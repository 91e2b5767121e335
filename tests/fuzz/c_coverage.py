"""Which lines of the C code the fuzzers and the tests of the kernels run, by gcov.

    python tests/fuzz/c_coverage.py [--runs 300] [--folder /tmp/intact-coverage]

Builds the extension with ``--coverage`` beside the sources (in the folder, not here), runs some
fuzzing of native code and `tests/intnet`, `tests/bits` with each set of instructions that this
processor has, and prints the share of each file. The goal is 95 % of what this processor can run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ISAS = ("portable", "avx2", "avx512", "amx")
TESTS = ("tests/intnet", "tests/bits", "tests/container/test_model_file.py")
GOAL = 95.0
ENVIRONMENT = os.environ | {"PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
FUZZ = """
import sys, logging
sys.path[:0] = ["tests", "src"]
logging.disable(logging.WARNING)
from fuzz import edges, fuzz_files
for index in range(RUNS):
    if edges.CHECKS[index % len(edges.CHECKS)][0].startswith("native"):
        edges.run(5, index)
fuzzer = fuzz_files.Fuzzer(5)
for index in range(RUNS):
    fuzzer.run(index)
sys.exit(bool(fuzzer.report.failures))
"""


def build(folder: Path) -> None:
    """Copy what is needed and build the extension with counters."""
    for name in ("src", "tests", "native", "vectors"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    flags = {"CFLAGS": "--coverage", "LDFLAGS": "--coverage"}
    line = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"]
    subprocess.run(line, cwd=folder, env=os.environ | flags, check=True)


def fuzz(folder: Path, runs: int, isa: str) -> int:
    """Fuzz native code with one set of instructions at most; the exit code."""
    env = ENVIRONMENT | {"INTACT_MAX_ISA": isa}
    line = [sys.executable, "-c", FUZZ.replace("RUNS", str(runs))]
    return subprocess.run(line, cwd=folder, env=env).returncode


def test(folder: Path) -> int:
    """The tests of the kernels, which ask for each set of instructions by themselves."""
    line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    return subprocess.run(line, cwd=folder, env=ENVIRONMENT).returncode


def shares(folder: Path) -> dict[str, tuple[float, int]]:
    """Percent of the lines that ran, and how many there are, by file."""
    objects = [str(path) for path in folder.rglob("*.gcno")]
    out = subprocess.run(
        ["gcov", "-n", "-r", *objects], cwd=folder, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    found = {}
    for name, percent, count in re.findall(
        r"File '([^']+)'\nLines executed:([\d.]+)% of (\d+)", out
    ):
        if float(percent) >= found.get(name, (0.0, 0))[0]:
            found[name] = (float(percent), int(count))
    return found


def main() -> int:
    """Print a table; 1 if anything failed or a file is below the goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        build(folder)
        sys.path.insert(0, str(ROOT / "src"))
        from intact.intnet.backends.native import run as native_run

        best = ISAS.index(native_run.isa())
        failed = [isa for isa in ISAS[: best + 1] if fuzz(folder, options.runs, isa)]
        failed += ["the tests"] if test(folder) else []
        found = shares(folder)
    for name, (percent, count) in sorted(found.items()):
        sys.stdout.write(f"{name:32} {percent:6.2f} % of {count} lines\n")
    sys.stdout.write(f"failed with: {', '.join(failed) or 'none'}\n")
    return int(bool(failed) or any(percent < GOAL for percent, _ in found.values()))


if __name__ == "__main__":
    sys.exit(main())
