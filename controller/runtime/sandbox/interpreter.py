"""Paths of this Python and of the code of managed services: what every sandbox must let its process run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
# Of /etc, what libraries look up; the rest is the machine's own business.
ETC = tuple(
    f"/etc/{name}"
    for name in (
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "resolv.conf", "hosts", "host.conf", "nsswitch.conf", "gai.conf",
        "localtime", "timezone", "ssl", "pki", "ca-certificates", "crypto-policies", "passwd", "group", "mime.types",
        "alternatives", "services", "protocols", "os-release", "terminfo",
    )
)  # fmt: skip
_SEARCHED = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_WARM_SECONDS = 120.0


def to_run(packages: Sequence[Path], home: Path) -> tuple[str, ...]:
    """Libraries, interpreter, what is installed, and of our own code `packages` alone; never what holds `home`."""
    code = {each.parent for each in packages}
    installed = [Path(each).resolve() for each in sys.path if each and Path(each).exists()]
    roots = [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent]
    found = [str(each) for each in (*roots, *installed) if each not in code and not _holds(each, home)]
    return tuple(dict.fromkeys([*SYSTEM, *ETC, *sorted(found), *map(str, packages)]))


def for_programs(home: Path) -> tuple[str, ...]:
    """The system and a Python: what people's own programs may run. Nothing of ours, and never what holds `home`."""
    roots = [Path(sys.base_prefix), _folder_of_base()]
    return tuple(dict.fromkeys([*SYSTEM, *ETC, *(str(each) for each in roots if not _holds(each, home))]))


def search_path() -> str:
    """PATH of people's own programs: the system's folders, then that of the Python that is surely there."""
    return ":".join(dict.fromkeys([*_SEARCHED, str(_folder_of_base())]))


def _folder_of_base() -> Path:
    return Path(os.path.realpath(sys.executable)).parent


def to_list(packages: Sequence[Path]) -> tuple[str, ...]:
    """Folders whose names must be listed for Python to find those packages."""
    return tuple(sorted({str(each.parent) for each in packages}))


def _holds(folder: Path, home: Path) -> bool:
    """Whether it holds the home, or is in it: a conductor's working folder may be on its path."""
    return home.is_relative_to(folder) or (folder.is_relative_to(home) and not folder.is_relative_to(sys.prefix))


def warm(modules: Sequence[str]) -> None:
    """Have those modules compiled, readable by all: a service cannot write into its code, and would compile it anew
    at every start. Does nothing when they are, or when this Python keeps nothing compiled; never fails.
    """
    if sys.dont_write_bytecode or all(map(_is_warm, modules)):
        return
    # In a process of its own: the conductor has no use for them, and its umask lets nobody read.
    script = "import os, sys\nos.umask(0o022)\n" + "\n".join(f"import {each}" for each in modules) + _OPEN
    try:
        subprocess.run(
            [sys.executable, "-c", script], timeout=_WARM_SECONDS, check=False, capture_output=True, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return


_OPEN = """
for each in list(sys.modules.values()):
    cached = getattr(getattr(each, "__spec__", None), "cached", None)
    try:
        if cached and os.stat(cached).st_mode & 0o044 != 0o044:
            os.chmod(cached, 0o644)
    except OSError:
        pass
"""


def _is_warm(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.cached is None or spec.origin is None:
            return True
        cached = Path(spec.cached).stat()
        return cached.st_mode & 0o044 == 0o044 and cached.st_mtime >= Path(spec.origin).stat().st_mtime
    except (ImportError, OSError, ValueError):
        return False
