"""`aerekos engine install`: the Debian package of an engine, so that nothing of it is started by the system.

A Service that waits for the program finds it by itself, a few seconds later.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cli.output import complain, say
from controller.main.errors import Misuse, UserError
from controller.runtime.engines.finder import EngineFinder
from crds.engines import ENGINES, Engine

# Asked by every package that would start a daemon: 101 means that it may not (invoke-rc.d(8)).
_POLICY, _NOTHING_STARTS = "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"
_PROGRESS = re.compile(r"(?:dl|pm)status:[^:]*:([0-9.]+):(.*)")
_STEP = 20.0
_CAUSES = (
    ("Could not get lock", "another package manager is at work; wait for it, then again"),
    ("Unable to locate package", "this distribution has no such package; install the program by hand, then look: "
                                 "aerekos engine list"),
    ("Could not resolve", "connect this machine to its package mirrors, then again"),
    ("Failed to fetch", "connect this machine to its package mirrors, then again"),
    ("No space left", "free some space (df -h), then again"),
)  # fmt: skip


def engine_of(name: str) -> Engine:
    """Raises Misuse for one that is not known."""
    if name not in ENGINES:
        raise Misuse(f"there is no engine {name}", hint=f"one of {', '.join(sorted(ENGINES))}")
    return ENGINES[name]


def install(engine: Engine, version: str, finder: EngineFinder) -> None:
    """Raises UserError naming what stands in the way."""
    if there := finder.find(engine, version):
        say(f"{engine.name} {there.version} is installed already: {there.program}")
        return
    package = engine.packages(version)
    _require_apt(engine, package)
    with _in_place({_POLICY: _NOTHING_STARTS, **engine.while_installing}):
        if not _is_known(package):
            complain("... the lists of packages are old; updating them")
            _apt("update")
        complain(f"... installing {package}")
        _apt("install", "-y", "--no-install-recommends", package)
    _keep_off(engine)
    there = finder.find(engine, version)
    if there is None:
        has = ", ".join(each.version for each in finder.all(engine)) or "no version that was found"
        raise UserError(
            f"{package} is installed and has {has}, not {version or 'a program'}",
            hint=f"ask for that version in spec.engine.version; or look: dpkg -L {package}",
        )
    say(f"{engine.name} {there.version} is installed: {there.program}")
    say("Services that wait for it start by themselves")


def _require_apt(engine: Engine, package: str) -> None:
    """Raises UserError."""
    wheels = [each.distribution for each in engine.wheels]
    else_ = f"; without root: pip install {wheels[0]}, into the environment of aerekos" if wheels else ""
    if shutil.which("apt-get") is None:
        text = f"this machine has no apt-get, so {package} cannot be installed from here"
        raise UserError(text, hint=f"install {engine.title} as this system does it, then: aerekos engine list{else_}")
    if os.geteuid() != 0:
        raise UserError(
            f"installing {package} takes root", hint=f"sudo $(command -v aerekos) engine install {engine.name}{else_}"
        )


@contextmanager
def _in_place(files: Mapping[str, str]) -> Iterator[None]:
    """Those files are there meanwhile; one that was there before stays as it is."""
    made: list[Path] = []
    try:
        for name, text in files.items():
            path = Path(name)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                made.append(path)
                path.write_text(text)
                path.chmod(0o755)
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _is_known(package: str) -> bool:
    asked = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return asked.returncode == 0


def _apt(*arguments: str) -> None:
    """Tells of its progress every so often. Raises UserError with what apt says."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    command = ["apt-get", "-q", "-o", "APT::Status-Fd=1", *arguments]
    running = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    errors, told = [], 0.0
    for line in running.stdout:
        if line.startswith("E: "):
            errors.append(line[3:].strip())
        found = _PROGRESS.match(line)
        if found is None:
            continue
        percent = float(found[1])
        told = min(told, percent)  # fetching comes to 100 %, and unpacking begins anew
        if percent >= told + _STEP:
            told = percent
            complain(f"... {percent:3.0f} %  {found[2].strip()}")
    if running.wait() != 0:
        said = "; ".join(errors) or f"exit code {running.returncode}"
        hint = next((fix for sign, fix in _CAUSES if sign in said), f"see what it says: {' '.join(command[:1])} "
                    f"{' '.join(arguments)}")  # fmt: skip
        raise UserError(f"apt-get {arguments[0]} failed: {said}", hint=hint)


def _keep_off(engine: Engine) -> None:
    """What Debian would start at the next boot is not wanted: the cloud starts it."""
    if shutil.which("systemctl") is None:
        return
    for unit in engine.units:
        subprocess.run(["systemctl", "disable", "--quiet", unit], capture_output=True, check=False)
