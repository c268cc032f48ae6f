"""Gives each instance its walls: which Service may see what on this machine, as which user.

Managed services see our code and their own folders of the home. People's programs see the system, an empty working
folder, their volumes and their files, under names of their own choice, and nothing of the home.
Blocking: called on the blocking executor.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from controller.runtime.driver import Workload
from controller.runtime.process import live_files
from controller.runtime.process.contents import Contents
from controller.runtime.process.planning import base_name
from controller.runtime.process.programs import missing_walls
from controller.runtime.sandbox import interpreter
from controller.runtime.sandbox.abilities import Abilities, examine, launched
from controller.runtime.sandbox.users import ServiceUsers, give
from controller.runtime.sandbox.walls import Walls
from crds.kinds.service_programs import WORKING_FOLDER
from crds.meta import ObjectKey

MOST_PROCESSES = 1024


class Unwalled(OSError):
    """This machine cannot wall in what would have to be walled in."""


_TRIAL = (sys.executable, "-P", "-c", "import services.sdk, orjson")


class Sandbox:
    """`packages`: folders of the code services run; `modules`: what they import at their start."""

    def __init__(self, home: Path, packages: Sequence[Path], modules: Sequence[str]) -> None:
        self._home, self._packages, self._modules = home, tuple(packages), tuple(modules)
        self._users = ServiceUsers(home / "run" / "users.json")
        self._run = interpreter.to_run(self._packages, home.resolve())
        self._programs_run = interpreter.for_programs(home.resolve())
        self._contents = Contents()
        self._list = interpreter.to_list(self._packages)
        self._hide = tuple(dict.fromkeys([str(home), str(home.resolve())]))
        self._lock = threading.Lock()
        self._abilities: Abilities | None = None

    @property
    def abilities(self) -> Abilities:
        """What this machine can do; found out at the first call. Raises OSError when it is too busy to tell."""
        with self._lock:
            if self._abilities is None:
                interpreter.warm(self._modules)
                self._abilities = self._examined()
            return self._abilities

    def command(
        self,
        workload: Workload,
        instance: str,
        command: Sequence[str],
        *,
        ports: Sequence[int],
        env: Mapping[str, str],
        terminal: bool = False,
    ) -> tuple[str, ...]:
        """`command`, within the walls of that instance; `env` is what a program shall find in its environment.

        Raises OSError, Unwalled for a program.
        """
        if workload.program:
            walls = self._program_walls(workload, instance, tuple(ports), env, terminal=terminal)
        else:
            walls = self.walls(workload, instance, tuple(ports), terminal=terminal)
        return launched(walls, command)

    def refuses_programs(self) -> str:
        """Why no program of people can run on this machine; empty when it can. Raises OSError."""
        return missing_walls(self.abilities, root=os.geteuid() == 0)

    def env(self, workload: Workload, instance: str) -> dict[str, str]:
        """What must be different inside: the folders of the conductor's user are not there."""
        return {"TMPDIR": str(self._temporary(instance)), "HOME": str(self._data(workload)), "PYTHONSAFEPATH": "1"}

    def prepare(self, workload: Workload, instance: str) -> None:
        """Make the folders, given to its user; nothing temporary is left from before. Raises OSError."""
        user = self._user(workload)
        shutil.rmtree(self._temporary(instance), ignore_errors=True)
        lasting = (
            [self._volume(workload, each.name) for each in workload.volumes]
            if workload.program
            else [self._data(workload)]
        )
        for folder in (*lasting, self._temporary(instance)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            give(folder, os.getuid() if user is None else user)
        if workload.reload_signal:
            self.put_live_files(workload, instance)
        self._stage.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put_live_files(self, workload: Workload, instance: str) -> bool:
        """What that instance is to read again. Whether it is another content than before. Raises OSError."""
        user = self._user(workload)
        return live_files.put(self._home, instance, workload, os.getuid() if user is None else user)

    def discard(self, instance: str) -> None:
        """Drop what was kept for a workload that is no longer wanted."""
        shutil.rmtree(self._temporary(instance), ignore_errors=True)
        self._contents.drop(instance)
        live_files.drop(self._home, instance)

    def forget(self, key: ObjectKey) -> None:
        """Nothing of that Service runs any more. Its user stays its own as long as it has data. Raises OSError."""
        if not (self._home / "data" / base_name(key)).exists():
            self._users.give_back(base_name(key))

    @property
    def _stage(self) -> Path:
        return self._home / "run" / "view"

    def _data(self, workload: Workload) -> Path:
        return self._home / "data" / base_name(workload.key)

    def _volume(self, workload: Workload, name: str) -> Path:
        return self._data(workload) / name

    def _temporary(self, instance: str) -> Path:
        return self._home / "run" / "tmp" / instance

    def _user(self, workload: Workload) -> int | None:
        return self._users.of(base_name(workload.key)) if self.abilities.users else None

    def walls(self, workload: Workload, instance: str, ports: tuple[int, ...], *, terminal: bool = False) -> Walls:
        """The walls of an instance of a managed service. Raises OSError."""
        data = str(self._data(workload))
        return replace(
            self._around(workload, ports, terminal=terminal),
            run=self._run,
            list=self._list,
            see=workload.reads,
            write=(data, str(self._temporary(instance))),
            folder=data,
            processes=MOST_PROCESSES if self.abilities.users else 0,
        )

    def _program_walls(
        self, workload: Workload, instance: str, ports: tuple[int, ...], env: Mapping[str, str], *, terminal: bool
    ) -> Walls:
        if lacking := self.refuses_programs():
            raise Unwalled(f"this machine lacks {lacking}")
        volumes = [(str(self._volume(workload, each.name)), each.path) for each in workload.volumes]
        self._refuse_paths_of_the_home(workload)
        return replace(
            self._around(workload, ports, terminal=terminal),
            run=(*self._programs_run, *workload.programs),
            account=workload.account,
            binds=((str(self._temporary(instance)), WORKING_FOLDER), *volumes),
            shows=tuple(live_files.shown(self._home, instance, workload).items()),
            contents=self._contents.keep(
                instance, {each.path: each.content for each in workload.files if not each.live}, env
            ),
            folder=WORKING_FOLDER,
            group=not terminal,
            processes=MOST_PROCESSES,
        )

    def _around(self, workload: Workload, ports: tuple[int, ...], *, terminal: bool) -> Walls:
        """What is the same for whoever is walled in."""
        able = self.abilities
        return Walls(
            ports=ports,
            user=self._user(workload),
            view=able.view,
            stage=str(self._stage),
            hide=self._hide,
            landlock=able.landlock,
            seccomp=able.seccomp,
            terminal=terminal,
        )

    def _refuse_paths_of_the_home(self, workload: Workload) -> None:
        """What it names is made as root, before it is locked in: never where it, or another, can lay a link."""
        homes = [Path(each) for each in self._hide]
        for path in (*(each.path for each in workload.volumes), *(each.path for each in workload.files)):
            if any(Path(path).is_relative_to(home) or home.is_relative_to(path) for home in homes):
                raise Unwalled(f"{path} is a path of the cloud itself; choose another")

    def _examined(self) -> Abilities:
        self._stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        walls = Walls(run=self._run, list=self._list, stage=str(self._stage), hide=self._hide)
        return examine(walls, self._users.trial() if os.geteuid() == 0 else None, _TRIAL)
