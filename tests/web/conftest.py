"""The browser decoder is built once for all tests here, which skip where a tool is missing.

``make test-web`` installs the tools.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="session")
def need():
    """Called with names of programs: skips without one of them."""

    def check(*tools):
        for tool in tools:
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is missing: make test-web installs it")

    return check


@pytest.fixture(scope="session")
def built(need):
    """The folder web/, with dist/ built from its sources."""
    need("node")
    if not (WEB / "node_modules" / "esbuild").is_dir():
        pytest.skip("web/node_modules is missing: make test-web installs it")
    subprocess.run(["node", "build.mjs"], cwd=WEB, check=True, timeout=120)
    return WEB
