"""The version of aerekos-cloud, and the commit it was built from."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed_version
from pathlib import Path

DISTRIBUTION = "aerekos-cloud"
_ROOT = Path(__file__).resolve().parents[2]
_GIT_SECONDS = 5.0


@cache
def version() -> str:
    """`0.2.0`, or `0.2.1.dev3+g1a2b3c4` between two releases; `0` where nothing says it."""
    try:
        return _installed_version(DISTRIBUTION)
    except PackageNotFoundError:
        return _noted("version") or "0"


@cache
def commit() -> str:
    """The short hash: of the checkout this runs from, otherwise what the build noted; empty where nothing tells."""
    if (_ROOT / ".git").exists():
        return _checked_out()
    return _noted("commit")


def _noted(name: str) -> str:
    """What the build wrote beside this file (hatch_build.py)."""
    try:
        from controller.kit import _build  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        return ""
    return str(getattr(_build, name, ""))


def _checked_out() -> str:
    command = ["git", "-C", str(_ROOT), "rev-parse", "--short=9", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
