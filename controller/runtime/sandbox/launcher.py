"""Inside the child: puts up the walls, then becomes the command. `python -I -S launcher.py <walls> <command...>`.

Runs before every start of a program, so it imports as little as it can; a child of the fork server puts up the same
walls. Whatever wall was asked for and cannot be put up ends the start with 126 and a line that names it: nothing runs
with fewer walls than it was told.
"""

from __future__ import annotations

import os
import resource
import sys

TYPE_CHECKING = False  # what it would cost to import typing for
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from controller.runtime.sandbox.walls import Walls

CANNOT_WALL, NOT_FOUND = 126, 127


def main(arguments: list[str]) -> None:
    """Never returns."""
    command = arguments[1:]
    env = put_up(walls_of(arguments[0]))
    try:
        os.execvpe(command[0], command, env)  # noqa: S606
    except OSError as error:
        _end(NOT_FOUND, f"{command[0]} cannot be started: {error.strerror}")


def put_up(walls: Walls) -> dict[str, str]:
    """Put up all of them, around this process. The environment it shall have behind them; does not return when one
    cannot be put up.
    """
    try:
        contents, env = _contents(walls)
        _put_up(walls, contents)
    except (OSError, KeyError) as error:
        _end(CANNOT_WALL, f"its sandbox could not be made: {error}")
    return env


def walls_of(text: str) -> Walls:
    """The walls that `Walls.text` made `text` of."""
    import marshal
    from types import SimpleNamespace

    return SimpleNamespace(**marshal.loads(bytes.fromhex(text)))  # type: ignore[return-value]  # noqa: S302 - our own


def _put_up(walls: Walls, contents: dict[str, bytes]) -> None:
    # All at once and first: what is imported need not be there any more once the walls stand.
    from controller.runtime.sandbox import calls, landlock, seccomp, view  # noqa: F401

    os.umask(0o022)
    if walls.view:
        view.build(walls, contents)
    os.umask(0o077)
    _limit(walls)
    calls.lower_the_bound()
    if walls.user is not None:
        os.setgroups([])
        os.setresgid(walls.user, walls.user, walls.user)
        os.setresuid(walls.user, walls.user, walls.user)
    calls.drop_capabilities()
    calls.prctl("no_new_privs", calls.PR_SET_NO_NEW_PRIVS, 1)
    os.chdir(walls.folder)
    if walls.landlock:
        _lock(walls, contents)
    if walls.seccomp:
        seccomp.enter(group=walls.group)


def _contents(walls: Walls) -> tuple[dict[str, bytes], dict[str, str]]:
    """What is to be put into the view, by path; and the environment of the command."""
    path, inode = walls.contents
    # Where the launcher was started is nothing to the command.
    own = {**os.environ, "PWD": walls.folder}
    if not path:
        return {}, own
    import marshal

    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_ino != inode:
            raise OSError("its files were changed meanwhile")
        files, env = marshal.load(file)  # noqa: S302 - our own
    terminal = {"TERM": own["TERM"]} if walls.terminal and "TERM" in own else {}
    return files, {"PWD": walls.folder, **terminal, **env}


def _limit(walls: Walls) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = walls.files if hard == resource.RLIM_INFINITY else min(hard, walls.files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if walls.processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (walls.processes, walls.processes))


def _lock(walls: Walls, contents: Iterable[str]) -> None:
    from controller.runtime.sandbox import landlock, view

    domain = landlock.Domain(walls.landlock)
    for paths, rights in (
        (walls.run, landlock.RUN),
        (walls.list, landlock.READ_DIR),
        ((*walls.see, *contents), landlock.READ),
        (_tops(contents), landlock.READ_DIR),
        (walls.write, landlock.READ | landlock.CHANGE),
        ([name for _, name in walls.binds], landlock.RUN | landlock.CHANGE),
        ([name for _, name in walls.shows], landlock.READ),
        (("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"), landlock.DEVICE),
        (("/dev/tty", "/dev/pts") if walls.terminal else (), landlock.DEVICE | landlock.READ_DIR),
        # As root, the view's own /proc shows no others. Elsewhere: oneself, and what is nobody's.
        (("/proc",) if walls.view == "root" else _OWN_PROC, landlock.READ),
        (view.in_memory(walls) if walls.view else (), landlock.READ | landlock.CHANGE),
    ):
        for path in paths:
            domain.allow(path, rights)
    for port in walls.ports:
        domain.allow_listening(port)
    domain.enter()


def _tops(contents: Iterable[str]) -> set[str]:
    """`/site` of `/site/css/main.css`: folders that were made for its files, so it may list them."""
    return {"/" + path.split("/")[1] for path in contents if path.count("/") > 1}


_OWN_PROC = ("/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo", "/proc/loadavg", "/proc/filesystems")


def _end(code: int, text: str) -> NoReturn:
    os.write(2, f"{text}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    # -I leaves the way to our own folder out; it is four levels up.
    sys.path.insert(0, os.path.abspath(__file__).rsplit("/", 4)[0])
    main(sys.argv[1:])
