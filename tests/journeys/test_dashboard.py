"""The dashboard's own checks as part of all tests: types, units, weight, and journeys in a real browser.

They need Node and the npm packages, the journeys also Chromium: `make test` brings them where it may.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from keeper import ends_with_pytest

FOLDER = Path(__file__).resolve().parents[2] / "dashboard"
BIN = Path(sys.executable).parent
NODE = BIN / "node"
CHROMIUM = os.environ.get("AEREKOS_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "google-chrome"))), ""
)
MOST_SCRIPT_BYTES = 250_000

needs_node = pytest.mark.skipif(
    not (NODE.exists() and (FOLDER / "node_modules" / ".installed-dev").exists()),
    reason="Node or the npm packages are not here: make dashboard/node_modules/.installed-dev",
)
needs_build = pytest.mark.skipif(
    not (FOLDER / "dist" / ".built").exists(), reason="the dashboard is not built: make dashboard"
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: make browser")


def run(*command: str, seconds: float, env: dict[str, str] | None = None) -> None:
    """Fails with everything the tool said."""
    done = subprocess.run(
        [str(NODE), *command],
        cwd=FOLDER,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@needs_node
def test_types() -> None:
    run("node_modules/typescript/bin/tsc", "--noEmit", seconds=300)


@needs_node
def test_units() -> None:
    run("node_modules/vitest/vitest.mjs", "run", "--reporter=dot", seconds=300)


@needs_node
@needs_build
@needs_chromium
def test_journeys(tmp_path: Path) -> None:
    ends_with_pytest(tmp_path)
    env = {"AEREKOS": str(BIN / "aerekos"), "AEREKOS_CHROMIUM": CHROMIUM, "TMPDIR": str(tmp_path)}
    run("--test", "--test-reporter=spec", "journeys/journeys.test.ts", seconds=1200, env=env)


@needs_build
def test_the_first_load_is_light() -> None:
    page = (FOLDER / "dist" / "index.html").read_text()
    scripts = re.findall(r'(?:src|href)="(/assets/[^"]+\.js)"', page)
    weight = sum(len(gzip.compress((FOLDER / "dist" / each[1:]).read_bytes())) for each in scripts)
    assert scripts
    assert weight <= MOST_SCRIPT_BYTES


def test_the_lock_file_names_no_registry() -> None:
    text = (FOLDER / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert "registry." not in text
