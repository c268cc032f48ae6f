"""What a restore leaves in the folder of a server when it is killed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from services.db_manager.backups.restoring import _CLEAR

_KILLED = """#!/bin/sh
for each in "$@"; do
  if [ -d "$each" ]; then "$RM" "$each/PG_VERSION"; kill -9 $PPID; fi
done
"""


def run(folder: Path, path: str) -> int:
    env = {"PATH": path, "RM": "/bin/rm"}
    return subprocess.run(["/bin/sh", "-c", _CLEAR], cwd=folder, env=env, check=False).returncode


def test_what_is_half_removed_has_no_name_that_a_server_takes(tmp_path: Path) -> None:
    before, data, programs = tmp_path / ".restored", tmp_path / "15", tmp_path / "bin"
    for each in (before, data, programs):
        each.mkdir()
    (before / "PG_VERSION").write_text("15")
    (programs / "rm").write_text(_KILLED)
    (programs / "rm").chmod(0o755)
    usual = os.environ["PATH"]
    assert run(data, f"{programs}{os.pathsep}{usual}") != 0, "killed as it removes"
    assert not before.exists() or (before / "PG_VERSION").exists()
    assert run(data, usual) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == [".restoring", "15", "bin"]
    assert (tmp_path / ".restoring/cluster").is_dir()
