"""Notes in what is built which version and commit it is: an installed program has no git to ask."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NOTE = Path("controller", "kit", "_build.py")


class BuildNote(BuildHookInterface[Any]):
    """Writes `controller/kit/_build.py`, which `controller.kit.version` reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        command = ["git", "-C", str(root), "rev-parse", "--short=9", "HEAD"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            commit = ""  # a copy without its history
        (root / NOTE).write_text(f"version = {self.metadata.version!r}\ncommit = {commit!r}\n")
