"""Configuration that a running program reads again when it is told to: a folder on the disk for each instance, which
its view shows read only. What may be secret is never among it. Blocking.

Each file takes the place of the one before at once, so that nobody reads half of one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from controller.runtime.driver import Workload
from crds.engines import CONFIG_FOLDER

_HALF = ".half"


def folder(home: Path, instance: str) -> Path:
    """Where an instance's lie."""
    return home / "run" / "config" / instance


def live_files(workload: Workload) -> dict[str, bytes]:
    """The live files, by path inside the folder."""
    return {each.path.removeprefix(f"{CONFIG_FOLDER}/"): each.content for each in workload.files if each.live}


def put(home: Path, instance: str, workload: Workload, user: int) -> bool:
    """Make the folder hold them and nothing else, readable by that user alone. Whether anything changed.

    Raises OSError.
    """
    root, wanted = folder(home, instance), live_files(workload)
    _make(root, user)
    kept = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if not path.is_dir()}
    gone = [path for name, path in kept.items() if name not in wanted]
    for path in gone:
        path.unlink()
    changed = [name for name, content in wanted.items() if not _holds(kept.get(name), content)]
    for name in changed:
        _write(root, name, wanted[name], user)
    return bool(gone or changed)


def drop(home: Path, instance: str) -> None:
    """Remove the files of an instance that is not wanted any more."""
    shutil.rmtree(folder(home, instance), ignore_errors=True)


def _write(root: Path, name: str, content: bytes, user: int) -> None:
    for parent in reversed(list((root / name).relative_to(root).parents)[:-1]):
        _make(root / parent, user)
    half = (root / name).with_name(f"{Path(name).name}{_HALF}")
    half.write_bytes(content)
    half.chmod(0o400)
    os.chown(half, user, user if os.geteuid() == 0 else -1)
    half.rename(root / name)


def _make(folder: Path, user: int) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chown(folder, user, user if os.geteuid() == 0 else -1)


def _holds(path: Path | None, content: bytes) -> bool:
    return path is not None and path.read_bytes() == content


def shown(home: Path, instance: str, workload: Workload) -> Mapping[str, str]:
    """The folder of an instance and its name inside; nothing for a program that reads nothing again."""
    return {str(folder(home, instance)): CONFIG_FOLDER} if workload.reload_signal else {}
