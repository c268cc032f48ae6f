"""A mount namespace in which there is nothing but what the walls name, at the paths it always had.

The folders on the way to a path are made anew and open to all, so an interpreter below /root (0700) can be reached by
an ordinary user, and nothing beside it can. Runs as root of its own (user or machine) namespace, before rights go.
"""

from __future__ import annotations

import os

from controller.runtime.sandbox.calls import (
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_BIND,
    MS_MOVE,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    mount,
    syscall,
    unmount,
    unshare,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from controller.runtime.sandbox.walls import Walls

    Put = Callable[[], None]

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_SIZE, _FOLDERS = "mode=0755,size={},nr_inodes=4096", 4 * 2**20
_TEMPORARY = "mode=1777,size=64m,nr_inodes=4096"
_FLAGS = (
    (os.ST_RDONLY, MS_RDONLY),
    (os.ST_NODEV, MS_NODEV),
    (os.ST_NOEXEC, MS_NOEXEC),
    (os.ST_NOATIME, MS_NOATIME),
    (os.ST_NODIRATIME, MS_NODIRATIME),
    (os.ST_RELATIME, MS_RELATIME),
)
_FIXED = MS_REMOUNT | MS_BIND | MS_NOSUID


def build(walls: Walls, contents: Mapping[str, bytes]) -> None:
    """Afterwards this process sees the view, `contents` in it, and stands at its root. Raises OSError."""
    files = {**{path: _content(path) for path in walls.see if os.path.isfile(path)}, **contents}
    accounts = _accounts(walls)
    _new_namespaces(walls)
    mount("", "/", "", MS_REC | MS_PRIVATE)
    _tmpfs(walls.stage, _SIZE.format(_FOLDERS + 2 * sum(map(len, contents.values()))))
    puts: list[tuple[str, Put]] = [(path, _masking(walls, path)) for path in walls.hide]
    puts += [(path, _binding(walls, path, MS_RDONLY | MS_NODEV)) for path in _existing(walls.run)]
    puts += [(path, _binding(walls, path, MS_RDONLY | MS_NODEV | MS_NOEXEC)) for path in walls.see
             if os.path.isdir(path)]  # fmt: skip
    puts += [(path, _binding(walls, path, MS_NODEV | MS_NOEXEC)) for path in walls.write]
    puts += [(name, _naming(walls, source, name, MS_NODEV)) for source, name in walls.binds]
    puts += [(name, _naming(walls, source, name, MS_NODEV | MS_NOEXEC | MS_RDONLY)) for source, name in walls.shows]
    puts += [(path, _writing(walls, path, content)) for path, content in files.items()]
    puts += [(path, _covering(walls, path, content)) for path, content in accounts.items()]
    puts += [(path, _binding(walls, path, MS_NOEXEC)) for path in _existing(DEVICES)]
    if walls.terminal:
        puts.append(("/dev/pts", _binding(walls, "/dev/pts", MS_NOEXEC)))
    puts.append(("/proc", lambda: _processes(walls)))
    puts += [(path, _emptying(walls, path)) for path in in_memory(walls)]
    # Parents first: what lies deeper is put on top of what lies above it.
    for _, put in sorted(puts, key=lambda each: each[0].count("/")):
        put()
    _links(walls)
    _turn(walls.stage)
    mount("", "/", "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def in_memory(walls: Walls) -> tuple[str, ...]:
    """Folders for everybody's short-lived files, which are in memory and its own. Somebody's own program may well use
    shared memory."""
    return ("/tmp", "/dev/shm") if walls.binds else ("/tmp",)


def _new_namespaces(walls: Walls) -> None:
    if walls.view == "root":
        unshare(CLONE_NEWNS | CLONE_NEWIPC)
        return
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _existing(paths: Iterable[str]) -> list[str]:
    """Those that are there, /etc as a whole (each mount takes its time; Landlock knows what of it may be read).

    Links in the system's root are made again, not mounted.
    """
    places = dict.fromkeys("/etc" if path.startswith("/etc/") else path for path in paths)
    return [path for path in places if os.path.exists(path) and not _is_top_link(path)]


def _is_top_link(path: str) -> bool:
    return path.count("/") == 1 and os.path.islink(path)


def _inside(walls: Walls, path: str, *, folder: bool = True) -> str:
    """Where `path` will be, made if it is not there. Ways to it are open to all: what they lead to is not."""
    target = walls.stage + path
    if not os.path.lexists(target):
        way = target if folder else os.path.dirname(target)
        os.makedirs(way, mode=0o755, exist_ok=True)
        if not folder:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return target


def _binding(walls: Walls, path: str, flags: int) -> Put:
    return lambda: _bind(path, _inside(walls, path, folder=os.path.isdir(path)), flags)


def _naming(walls: Walls, source: str, name: str, flags: int) -> Put:
    return lambda: _bind(source, _inside(walls, name), flags)


def _emptying(walls: Walls, path: str) -> Put:
    return lambda: _tmpfs(_inside(walls, path), _TEMPORARY)


def _bind(source: str, target: str, flags: int) -> None:
    mount(source, target, "", MS_BIND | MS_REC)
    mount("", target, "", _FIXED | flags | _kept(target))


def _kept(target: str) -> int:
    """Flags of the mount it comes from: in a user namespace they may be added to, never taken away."""
    there = os.statvfs(target).f_flag
    return sum(ours for theirs, ours in _FLAGS if there & theirs)


def _masking(walls: Walls, path: str) -> Put:
    def put() -> None:
        if os.path.isdir(walls.stage + path):  # seen through a folder that holds it
            _tmpfs(walls.stage + path, _SIZE.format(_FOLDERS))

    return put


def _tmpfs(target: str, options: str) -> None:
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options)


def _writing(walls: Walls, path: str, content: bytes) -> Put:
    def put() -> None:
        target = _inside(walls, path, folder=False)
        with open(target, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o400)
            if walls.user is not None:
                os.fchown(file.fileno(), walls.user, walls.user)

    return put


def _accounts(walls: Walls) -> dict[str, bytes]:
    """This machine's users and groups, with the one this process is: some programs refuse to be nobody."""
    number, passwd = os.getuid() if walls.user is None else walls.user, _content("/etc/passwd")
    if not walls.account or any(line.split(b":")[2:3] == [b"%d" % number] for line in passwd.splitlines()):
        return {}
    user = f"{walls.account}:x:{number}:{number}::{walls.folder}:/bin/sh\n".encode()
    group = f"{walls.account}:x:{number}:\n".encode()
    return {"/etc/passwd": user + passwd, "/etc/group": group + _content("/etc/group")}


def _covering(walls: Walls, path: str, content: bytes) -> Put:
    """Another content for a file of a folder that is mounted."""

    def put() -> None:
        source = f"{walls.stage}/.covering"
        with open(source, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o444)
        _bind(source, walls.stage + path, MS_RDONLY | MS_NODEV | MS_NOEXEC)
        os.unlink(source)

    return put


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _processes(walls: Walls) -> None:
    """As root, without the processes of others; a user namespace may only show what there is."""
    target = _inside(walls, "/proc")
    if walls.view == "root":
        mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2")
        return
    mount("/proc", target, "", MS_BIND | MS_REC)


def _links(walls: Walls) -> None:
    """`/bin -> usr/bin` and its like."""
    for path in walls.run:
        if _is_top_link(path) and not os.path.lexists(walls.stage + path):
            os.symlink(os.readlink(path), walls.stage + path)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{walls.stage}/dev/{name}")
    os.symlink("/proc/self/fd", f"{walls.stage}/dev/fd")


def _turn(stage: str) -> None:
    """The stage becomes the root, and the old root is gone."""
    os.chdir(stage)
    old = f"{stage}/.old"
    os.mkdir(old, 0o700)
    try:
        _pivot(stage, old)
    except OSError:  # on an initramfs there is nothing to pivot away from
        mount(stage, "/", "", MS_MOVE)
        os.chroot(".")
        os.chdir("/")
        return
    os.chdir("/")
    unmount("/.old")
    os.rmdir("/.old")


def _pivot(stage: str, old: str) -> None:
    number = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
    if number is None:
        raise OSError("pivot_root is not known here")
    syscall("pivot_root", number, stage.encode(), old.encode())
