"""The walls of one process: plain data that is handed to the child as text."""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Walls:
    """What is left outside of these is not there, or refused.

    run: folders and files it may read and execute: interpreter, libraries, code. list: folders it may list.
    see: files and folders it may only read; files are copied into the view, owned by `user`.
    write: its own folders; it starts in `folder`. binds: folders of its own under another name (`source`, `name`),
    which it may write to and run from. shows: folders under another name that it may only read.
    contents: a file (and its inode) with files for the view, readable by `user` alone, and the command's environment,
    as `packed` makes it; without, the command has the launcher's.
    ports: the only ones it may listen on. user: the OS user it becomes, None to stay. account: what that
    user is called, empty when it has no name.
    view: `root` mounts as root does, `user` inside a user namespace, empty not at all. `stage` is an empty folder to
    build it on, `hide` what must not be seen through a folder of `run`.
    landlock: the ABI to use, 0 for none. terminal: it has one. group: neither it nor what it starts can leave its
    process group. files, processes: how many at most, 0 for no limit.
    """

    run: tuple[str, ...] = ()
    list: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    binds: tuple[tuple[str, str], ...] = ()
    shows: tuple[tuple[str, str], ...] = ()
    contents: tuple[str, int] = ("", 0)
    folder: str = "/"
    ports: tuple[int, ...] = ()
    user: int | None = None
    account: str = ""
    view: str = ""
    stage: str = ""
    hide: tuple[str, ...] = ()
    landlock: int = 0
    seccomp: bool = True
    terminal: bool = False
    group: bool = False
    files: int = 65_536
    processes: int = 0

    def text(self) -> str:
        """The walls as an argument of the launcher. Not JSON: reading that would cost each start more than all walls
        do.
        """
        return marshal.dumps(asdict(self)).hex()

    def but(self, **changes: Any) -> Walls:
        """The same walls but for these."""
        return replace(self, **changes)


def packed(files: Mapping[str, bytes], env: Mapping[str, str]) -> bytes:
    """Content by path, and the environment of the command, as the launcher reads them from `contents`.

    What people may choose of an environment comes this way alone: as variables of the launcher, LD_PRELOAD and its
    like would run their code before any wall stands.
    """
    return marshal.dumps((dict(files), dict(env)))
