"""Real kubectl programs for tests: those this machine has, and Debian's own, unpacked into the virtualenv by `make`.

Nothing is fetched here: test processes that look at different times must find the same programs.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from clouds import Cloud, Said, run

UNPACKED = Path(sys.prefix) / "kubectl"


@dataclass(frozen=True)
class Kubectl:
    """One kubectl speaking to one cloud, in the namespace it is given."""

    program: Path
    cloud: Cloud
    config: Path
    cache: Path

    def say(self, *arguments: str, text: str | None = None, timeout: float = 60, **env: str) -> Said:
        """Whatever comes of `kubectl <arguments>`."""
        own = [str(self.program), "--kubeconfig", str(self.config), "--cache-dir", str(self.cache)]
        return run([*own, *arguments], {**self.cloud.env, **env}, text, timeout)

    def do(self, *arguments: str, text: str | None = None) -> str:
        """What a successful `kubectl <arguments>` prints."""
        said = self.say(*arguments, text=text)
        assert said.code == 0, f"kubectl {' '.join(arguments)} → {said}"
        return said.out


def kubectl_for(cloud: Cloud, program: Path, folder: Path) -> Kubectl:
    """With a kubeconfig made by `aerekos kubeconfig`, and a cache of its own."""
    config = folder / "kubeconfig"
    config.write_text(cloud.do("kubeconfig"))
    return Kubectl(program, cloud, config, folder / "cache")


def following(
    kubectl: Kubectl, *arguments: str, stderr: int | None = None
) -> tuple[subprocess.Popen[str], list[str]]:
    """A kubectl that goes on, and its lines as they come."""
    own = ["--kubeconfig", str(kubectl.config), "--cache-dir", str(kubectl.cache)]
    command = [str(kubectl.program), *own, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=kubectl.cloud.env)
    lines: list[str] = []
    assert process.stdout is not None
    threading.Thread(target=lambda out=process.stdout: lines.extend(out), daemon=True).start()
    return process, lines


@functools.cache
def programs() -> dict[tuple[int, int], Path]:
    """Every kubectl there is, by its minor version."""
    found = [path for path in (shutil.which("kubectl"), _debian()) if path]
    beside = [each for path in found for each in Path(path).resolve().parent.glob("kubectl*")]
    return {version: path for path in beside if (version := _version(path))}


def oldest_or_newest(which: str) -> Path:
    """The two that differ most. Skips the test that asks where there is no such program."""
    known = programs()
    if not known:
        pytest.skip("no kubectl here, and Debian's package could not be unpacked")
    if which == "newest" and len(known) == 1:
        pytest.skip("the only kubectl here was tried as the oldest one")
    return known[min(known) if which == "oldest" else max(known)]


def _version(program: Path) -> tuple[int, int] | None:
    try:
        said = subprocess.run(
            [program, "version", "--client", "-o", "json"], capture_output=True, timeout=60, check=True
        )
        told = json.loads(said.stdout)["clientVersion"]
        return int(told["major"]), int(re.sub(r"\D", "", told["minor"]))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


def _debian() -> str | None:
    """The program of Debian's package, when `make` could unpack it (Makefile: KUBECTL)."""
    program = UNPACKED / "usr" / "bin" / "kubectl"
    return str(program) if program.exists() else None
