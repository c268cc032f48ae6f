"""Where the program of an engine is on this machine, and of which version: on PATH, where distributions keep it, or
in a Python package. Blocking.

What a program says of its version is asked once for each file: the next look costs a few stat calls.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crds.engines import Engine
from crds.engines.engine import Wheel, fits

_ASKED_SECONDS = 10.0
_SEARCHED = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class FoundEngine:
    """`program`: its whole path. `folders`: what must be seen to run it, besides the system's own folders."""

    program: str
    version: str
    folders: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return self.program.rpartition("/")[0]


class EngineFinder:
    """`only`: the folders to look in, instead of those of the system; none means the system's."""

    def __init__(self, only: Sequence[Path] = ()) -> None:
        self._only = tuple(only)
        self._versions: dict[tuple[str, int, int], str] = {}

    @classmethod
    def of_path(cls, path: str) -> EngineFinder:
        """The folders of a text like PATH; the system's, where it is empty."""
        return cls([Path(each) for each in path.split(os.pathsep) if each])

    def find(self, engine: Engine, version: str = "") -> FoundEngine | None:
        """The newest one that is of that version; Python packages only where there is no other."""
        for source in (self._installed, self._in_packages):
            found = [each for each in source(engine) if fits(each.version, version)]
            if found:
                return max(found, key=lambda each: _in_order(each.version))
        return None

    def all(self, engine: Engine) -> list[FoundEngine]:
        """Every one there is, newest first."""
        found = [*self._installed(engine), *self._in_packages(engine)]
        return sorted(found, key=lambda each: _in_order(each.version), reverse=True)

    def _installed(self, engine: Engine) -> Iterator[FoundEngine]:
        for program in self._programs(self._folders(engine), engine):
            if version := self._version(engine, program):
                folder = program.rpartition("/")[0]
                yield FoundEngine(program, version, () if folder.startswith("/usr/") else (folder,))

    def _folders(self, engine: Engine) -> Iterator[Path]:
        if self._only:
            yield from self._only
            return
        yield from map(Path, _SEARCHED)
        for pattern in engine.folders:
            yield from sorted(Path("/").glob(pattern[1:]))

    def _in_packages(self, engine: Engine) -> Iterator[FoundEngine]:
        for wheel in () if self._only else engine.wheels:
            for root in _package_folders(wheel):
                seen = (str(root), *(str(root.parent / each) for each in wheel.beside))
                for program in self._programs([root / wheel.folder], engine):
                    if version := self._version(engine, program):
                        yield FoundEngine(program, version, seen)

    def _programs(self, folders: Iterator[Path] | list[Path], engine: Engine) -> Iterator[str]:
        """Real paths, since a link on PATH may lead to a folder that holds the rest of it; each once."""
        seen: set[str] = set()
        for folder in folders:
            for name in engine.programs:
                link = folder / name
                if not os.access(link, os.X_OK) or not link.is_file():
                    continue
                # What goes by the name of another program (redis-server) must be called by its own.
                path = link.resolve() if link.resolve().name == name else folder.resolve() / name
                whole = all(os.access(path.with_name(each), os.X_OK) for each in engine.others)
                if whole and str(path) not in seen:
                    seen.add(str(path))
                    yield str(path)
                break

    def _version(self, engine: Engine, program: str) -> str:
        try:
            state = Path(program).stat()
        except OSError:
            return ""
        key = (program, state.st_ino, state.st_mtime_ns)
        if key not in self._versions:
            self._versions[key] = engine.read_version(_said(program, engine.version_flag))
        return self._versions[key]


def data_major(engine: Engine, volume: Path) -> str:
    """The major version its data in that volume is of, the newest if there are several; empty when there is none."""
    if not engine.by_major:
        return ""
    try:
        found = [each.name for each in os.scandir(volume) if each.name.isdigit() and each.is_dir()]
    except OSError:
        return ""
    return max(found, key=int, default="")


def _package_folders(wheel: Wheel) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(wheel.module)
    except (ImportError, ValueError):
        spec = None
    known = Path(spec.origin).parent if spec and spec.origin else None
    # What pip has installed meanwhile is not always known to this process yet.
    fresh = Path(sysconfig.get_path("platlib")) / wheel.module
    for each in dict.fromkeys([known, fresh]):
        if each is not None and each.is_dir():
            yield each.resolve()


def _said(program: str, flag: str) -> str:
    try:
        done = subprocess.run(
            [program, flag], capture_output=True, timeout=_ASKED_SECONDS, check=False, cwd="/", text=True
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout


def _in_order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
