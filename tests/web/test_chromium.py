"""The decoder and the page in headless Chromium: web/browser/, and what intact view serves."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from intact.web.server import Server

ROOT = Path(__file__).parents[2]


def test_the_tests_of_the_page_pass_in_chromium(built, need):
    need("chromium")
    if not (built / "node_modules" / "playwright-core").is_dir():
        pytest.skip("playwright-core is missing: make test-web installs it")
    files = [ROOT / "vectors" / "image" / "finest.intact", ROOT / "gone.intact"]
    with Server(files, models=[ROOT / "vectors" / "image" / "tiny.intactm"]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = subprocess.run(
            ["node", "--test", "browser/"], cwd=built, capture_output=True, text=True, check=False,
            timeout=600, env={**os.environ, "INTACT_VIEW_URL": server.url},
        )  # fmt: skip
        server.shutdown()
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    assert "# fail 0" in found.stdout
    assert "# skipped 0" in found.stdout
