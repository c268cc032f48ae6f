"""Abilities of this machine to wall in, found out once by trying: the best set of walls in which Python and our code
start.

Nothing is left out silently: `lacking` says what cannot be done here, and why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.runtime.sandbox import landlock, launcher, seccomp
from controller.runtime.sandbox.walls import Walls

_TRIAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Abilities:
    """`view`: `root`, `user` or empty, as in `Walls`. `users`: each Service gets an OS user of its own."""

    view: str = ""
    users: bool = False
    landlock: int = 0
    seccomp: bool = False
    lacking: tuple[str, ...] = ()


def launched(walls: Walls, command: Sequence[str]) -> tuple[str, ...]:
    """The command that puts up the walls and then becomes `command`."""
    return (sys.executable, "-I", "-S", str(Path(launcher.__file__)), walls.text(), *command)


def examine(walls: Walls, trial_user: int | None, trial: Sequence[str]) -> Abilities:
    """What of it works here. `trial` must end with 0 inside. Blocks for the time of some starts. Raises OSError."""
    version, filters = landlock.abi(), seccomp.is_known() and Path("/proc/sys/kernel/seccomp").exists()
    lacking: list[str] = []
    if version == 0:
        lacking.append("no Landlock (Linux 5.13, and lsm= must name it): files are not walled off by it")
    elif version < 4:
        lacking.append(f"Landlock {version} is old: 4 would hold a service to its own port, 6 to its own processes")
    if not filters:
        lacking.append(f"no system call filter for {os.uname().machine} on this kernel")
    base = walls.but(landlock=version, seccomp=filters)
    view, users, why = _best_view(base, trial_user, trial)
    return Abilities(view, users, version, filters, (*lacking, *why))


def _best_view(base: Walls, trial_user: int | None, trial: Sequence[str]) -> tuple[str, bool, list[str]]:
    why: list[str] = []
    if trial_user is not None:
        refused = _try(base.but(view="root", user=trial_user), trial)
        if not refused:
            return "root", True, []
        why.append(f"services share the conductor's user: {refused}")
        if not _try(base.but(view="root"), trial):
            return "root", False, why
    else:
        why.append("services share the conductor's user: only root can give each one its own")
        refused = _try(base.but(view="user"), trial)
        if not refused:
            return "user", False, why
    why.append(f"services see the whole file tree, and only Landlock keeps them out: {refused}")
    if refused := _try(base, trial):
        why.append(f"the sandbox does not work here: {refused}")
    return "", False, why


def _try(walls: Walls, trial: Sequence[str]) -> str:
    """Why it does not start; empty when it does. Raises OSError when that cannot be found out now: a machine that is
    busy for a moment must not leave its services with fewer walls until the next start.
    """
    try:
        done = subprocess.run(
            launched(walls, trial),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"no sandbox started within {_TRIAL_SECONDS:g} s; it is tried again") from error
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"exit code {done.returncode}"
