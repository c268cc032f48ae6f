"""Real kubectl programs for tests: those this machine has, and Debian's own, unpacked into the virtualenv.

The package `kubernetes-client` cannot be installed beside another `kubectl`, so it is downloaded and unpacked.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clouds import Cloud, Said, run

CACHE = Path(sys.prefix) / "kubectl"
PACKAGE = "kubernetes-client"


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


@functools.cache
def programs() -> dict[tuple[int, int], Path]:
    """Every kubectl there is, by its minor version."""
    found = [path for path in (shutil.which("kubectl"), _debian()) if path]
    beside = [each for path in found for each in Path(path).resolve().parent.glob("kubectl*")]
    return {version: path for path in beside if (version := _version(path))}


def oldest_and_newest() -> list[Path]:
    """Two that differ most; one, or none, when there are no two."""
    known = programs()
    return [known[version] for version in sorted({min(known), max(known)})] if known else []


def _version(program: Path) -> tuple[int, int] | None:
    try:
        said = subprocess.run(
            [program, "version", "--client", "-o", "json"], capture_output=True, timeout=20, check=True
        )
        told = json.loads(said.stdout)["clientVersion"]
        return int(told["major"]), int(re.sub(r"\D", "", told["minor"]))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


def _debian() -> str | None:
    """The unpacked program of Debian's package, or None where there is no apt, or no network."""
    program = CACHE / "usr" / "bin" / "kubectl"
    if program.exists():
        return str(program)
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        download = ["apt-get", "download", "-q", PACKAGE]
        subprocess.run(download, cwd=CACHE, capture_output=True, timeout=60, check=True)
        package = next(CACHE.glob(f"{PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=CACHE, capture_output=True, timeout=60, check=True)
        package.unlink()
    except (OSError, StopIteration, subprocess.SubprocessError):
        return None
    return str(program) if program.exists() else None
