"""Start-up time of the command line, as CSV: the goal is `intact --version` under 0.3 s.

    python benchmarks/startup.py [runs]

A benchmark and no test on purpose: a time limit fails on a busy machine and proves nothing there.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "numpy": [sys.executable, "-c", "import numpy"],
    "intact.codec": [sys.executable, "-c", "import intact.codec"],
    "intact --version": [str(Path(sys.executable).with_name("intact")), "--version"],
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print("command,best_s,median_s,runs,python,machine")
    for name, command in COMMANDS.items():
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        best, median = min(times), sorted(times)[runs // 2]
        machine = f"{platform.machine()} {platform.system()}"
        print(f"{name},{best:.3f},{median:.3f},{runs},{platform.python_version()},{machine}")


if __name__ == "__main__":
    main()
