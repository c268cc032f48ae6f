"""A process tries each forbidden thing, in a real sandbox of the process runtime: built by root, and without root,
around a program that is started and around a child of the fork server.

Run by root, the tests of the second kind become an ordinary user first (in a view of its own, since Python may lie
below /root). What a machine cannot do is skipped here, and told by the condition Isolated there.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from clouds import a_port

import controller
import crds
import services
from controller.kit.clock import SystemClock
from controller.runtime.driver import Workload
from controller.runtime.forking import running_server
from controller.runtime.forking.client import ForkOrder, ForkServer
from controller.runtime.forking.running_server import server_command
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.sandbox import abilities, landlock, seccomp
from controller.runtime.sandbox.abilities import Abilities, launched
from controller.runtime.sandbox.users import BLOCK, BLOCKS, FIRST, TRIAL, ServiceUsers, give
from controller.runtime.sandbox.walls import Walls
from crds.meta import ObjectKey

BODIES = Path(__file__).parent / "bodies"
ATTEMPTS = Path(__file__).parent / "attempts.py"
PACKAGES = [Path(str(each.__file__)).parent for each in (controller, crds, services)]
KEY = ObjectKey("aerekos.cloud", "services", "default", "key-manager")
NOBODY, PORT, OTHER_PORT = 65_534, a_port(), a_port()
REFUSED = {"EACCES", "EPERM", "ENOENT", "EROFS"}
SECRET = (
    "secrets/master-key",
    "secrets/store-key",
    "tls/ca.key",
    "tls/admin.crt",
    "tls/admin.key",
    "store/records.db",
    "credentials/storage-manager.json",
    "data/storage-manager/object",
    "run/instances/storage-manager-0.json",
    "logs/audit.log",
)
OWN = ("secrets/root-key", "tls/ca.crt", "credentials/key-manager.json")


@dataclass
class House:
    """A home with everything in it, and how a command gets into one of its sandboxes."""

    home: Path
    able: Abilities
    become: tuple[str, ...] = ()
    forks: bool = False
    sandbox: Sandbox = field(init=False)

    def __post_init__(self) -> None:
        for name in (*SECRET, *OWN):
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text("secret")
            (self.home / name).chmod(0o600)
        self.sandbox = Sandbox(self.home, PACKAGES, ())
        self.sandbox._abilities = self.able
        self.wish = Workload(KEY, "uid", "one", 1, reads=tuple(str(self.home / each) for each in OWN))
        self.sandbox.prepare(self.wish, "key-manager-0")

    def run(self, *command: str, wish: Workload | None = None) -> subprocess.CompletedProcess[str]:
        wish = wish or self.wish
        if self.forks:
            return self._forked(self.sandbox.walls(wish, "key-manager-0", (PORT,)), command, wish)
        inside = self.sandbox.command(wish, "key-manager-0", command, ports=(PORT,), env={})
        own = {"PATH": os.environ["PATH"], **self.sandbox.env(wish, "key-manager-0")}
        return subprocess.run(
            self._as(inside), env=own, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, cwd="/"
        )

    def _forked(self, walls: Walls, command: tuple[str, ...], wish: Workload) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(BODIES), *filter(None, sys.path)])
        server = ForkServer(["forked"], {"PATH": os.environ["PATH"], "PYTHONPATH": path}, SystemClock())
        env = {"PATH": os.environ["PATH"], **self.sandbox.env(wish, "key-manager-0")}
        log, (hears, says) = self.home.with_name("log"), os.pipe()
        with log.open("wb") as file, pytest.MonkeyPatch.context() as patch:
            patch.setattr(running_server, "server_command", lambda number: self._as(server_command(number)))
            pid, reap = server.fork(ForkOrder("forked", command, env, walls.text()), hears, file.fileno())
            gone = os.pidfd_open(pid)
            os.write(says, b"go\n")
            assert select.select([gone], [], [], 60)[0]
            for each in (hears, says, gone):
                os.close(each)
            status = reap()
        server.close()
        assert status is not None
        code, text = os.waitstatus_to_exitcode(status), log.read_text()
        return subprocess.CompletedProcess(command, code, *(("", text) if code else (text, "")))

    def _as(self, inside: tuple[str, ...]) -> tuple[str, ...]:
        if not self.become:
            return inside
        if os.geteuid() != 0:
            return inside
        give(self.home, NOBODY)
        stage = self.home.with_name(f"{self.home.name}-stage")
        stage.mkdir(exist_ok=True)
        run = (*self.sandbox._run, "/etc", str(BODIES))
        outer = Walls(run=run, write=(str(self.home),), view="root", user=NOBODY, stage=str(stage), seccomp=False)
        return launched(outer, inside)

    def attempts(self, **facts: Any) -> dict[str, Any]:
        with socket.socket() as reachable:
            reachable.bind(("127.0.0.1", 0))
            reachable.listen()
            told = {
                "secret": [str(self.home / each) for each in SECRET],
                "own": [str(self.home / each) for each in OWN],
                "written": [str(PACKAGES[0] / "evil.py"), "/usr/evil", "/etc/evil", str(self.home / "evil"), "/evil"],
                "outside": os.getpid(),
                "port": PORT,
                "other_port": OTHER_PORT,
                "reachable": reachable.getsockname()[1],
                **facts,
            }
            done = self.run(sys.executable, "-P", "-c", ATTEMPTS.read_text(), json.dumps(told))
        assert done.returncode == 0, done
        return dict(json.loads(done.stdout))


@cache
def _user_namespaces() -> bool:
    try:
        done = subprocess.run(["unshare", "-Ur", "true"], capture_output=True, timeout=10, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _able(view: str, *, users: bool) -> Abilities:
    return Abilities(view, users, landlock.abi(), seccomp.is_known())


USERS = ("root", "ordinary user", "ordinary user, Landlock alone")


@pytest.fixture(params=[*USERS, *(f"{each}, forked" for each in USERS)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    if landlock.abi() < 6 or not seccomp.is_known():
        pytest.skip(f"Landlock {landlock.abi()} and {os.uname().machine} are not enough for all of this")
    home, forks = tmp_path / "home", "forked" in request.param
    if request.param.startswith("root"):
        if os.geteuid() != 0:
            pytest.skip("needs root")
        yield House(home, _able("root", users=True), forks=forks)
        return
    if "alone" not in request.param and not _user_namespaces():
        pytest.skip("this machine gives no user namespaces")
    yield House(home, _able("" if "alone" in request.param else "user", users=False), become=("nobody",), forks=forks)


def test_nothing_forbidden_works_and_all_it_needs_does(house: House) -> None:
    seen = house.attempts()
    sees_all = house.able.view == ""
    allowed = {f"read {house.home / each}" for each in OWN} | {
        "listen on its port", "speak to others", "write its data", "write temporary files", "start a thread",
        "start a program", "import the code",
    }  # fmt: skip
    for name, came in seen.items():
        if name == "is" or (name.startswith("stat ") and sees_all):
            continue  # Landlock alone keeps nobody from asking whether a file is there
        if name in allowed:
            assert came == "ok", f"{name}: {came}"
        elif name == "become root":
            assert came in ("EPERM", "EINVAL"), came  # EINVAL: there is no root in its user namespace
        elif name == "clone3":
            assert came == "ENOSYS"
        elif name == "type into a terminal":
            assert came == "EPERM"
        elif name.startswith(("call ", "clone", "crypto", "packet")):
            assert came == "EPERM", f"{name}: {came}"
        elif name == f"write {house.home / 'evil'}" and house.able.view == "user":
            continue  # its own, in memory: the home of a user's view is as empty as it was made
        else:
            assert came in REFUSED, f"{name}: {came}"

    assert not any(Path(each.removeprefix("write ")).exists() for each in seen if each.startswith("write /"))


def test_who_and_what_it_is(house: House) -> None:
    me = house.attempts()["is"]
    assert me["no_new_privs"] == 1 and me["seccomp"] == 2
    assert me["core"] == [0, 0] and 0 < me["files"] <= 65_536
    assert me["umask"] == 0o077 and me["folder"] == str(house.home / "data" / "key-manager")
    assert me["descriptors"] == [0, 1, 2], "nothing of the conductor's is open in it"
    assert set(me["capabilities"][:2]) | {me["capabilities"][3]} == {"0" * 16}
    if house.able.users:
        assert FIRST <= me["user"] < FIRST + BLOCK * BLOCKS and me["groups"] == []
        assert me["capabilities"][2] == "0" * 16 and me["processes"] == 1024


def test_a_secret_the_manifest_does_not_ask_for_is_not_there(house: House) -> None:
    without = Workload(KEY, "uid", "one", 1, reads=(str(house.home / "tls" / "ca.crt"),))
    done = house.run("cat", str(house.home / "secrets" / "root-key"), wish=without)
    assert done.returncode != 0 and not done.stdout
    assert house.run("cat", str(house.home / "secrets" / "root-key")).stdout == "secret"


def test_a_wall_that_cannot_be_put_up_ends_the_start(house: House) -> None:
    """Nothing runs with fewer walls than it was told."""
    walls = house.sandbox.walls(house.wish, "key-manager-0", (PORT,))
    for broken in (walls.but(view="root", stage="/nowhere", user=None), walls.but(folder="/nowhere")):
        if house.forks:
            done = house._forked(broken, ("echo", "ran"), house.wish)
        else:
            command = house._as(launched(broken, ("echo", "ran")))
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 126 and "ran" not in done.stdout and "sandbox could not be made" in done.stderr


def test_a_busy_machine_is_asked_again_not_left_with_fewer_walls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(tmp_path, PACKAGES, ())
    with monkeypatch.context() as busy:
        busy.setattr(abilities, "_TRIAL_SECONDS", 0.0001)
        with pytest.raises(TimeoutError, match="tried again"):
            _ = sandbox.abilities
    able = sandbox.abilities
    assert able.view or able.lacking, "found out now, and what is missing is told"
    if os.geteuid() != 0:
        assert not able.users and any("only root" in each for each in able.lacking)


def test_what_is_not_there_is_named(house: House) -> None:
    if house.forks:
        return  # a fork starts no program
    done = house.run("no-such-program")
    assert done.returncode == 127 and "no-such-program cannot be started" in done.stderr


def test_each_service_keeps_its_user_and_no_two_share_one(tmp_path: Path) -> None:
    users = ServiceUsers(tmp_path / "users.json")
    first = {name: users.of(name) for name in ("key-manager", "storage-manager", "acme.key-manager")}
    assert len(set(first.values())) == 3 and users.trial() not in first.values()
    again = ServiceUsers(tmp_path / "users.json")
    assert {name: again.of(name) for name in reversed(first)} == first
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600
    other = ServiceUsers(tmp_path / "other.json")
    other.of("key-manager")
    assert set(first.values()).isdisjoint({other.of("key-manager")}), "another cloud, other users"


def test_a_user_that_was_given_back_is_nobodys_and_may_be_anothers(tmp_path: Path) -> None:
    """Services come and go for years: their numbers must not run out."""
    users = ServiceUsers(tmp_path / "users.json")
    kept = users.of("kept")
    for number in range(2 * BLOCK):
        gone = users.of(f"s{number}")
        assert gone != kept
        users.give_back(f"s{number}")
    users.give_back("nobody-knows-it")
    assert users.of("kept") == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_who_has_data_keeps_its_user_and_nothing_runs_under_one_that_was_given_back(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, PACKAGES, ())
    user = sandbox._users.of("key-manager")
    (tmp_path / "data" / "key-manager").mkdir(parents=True)
    sandbox.forget(KEY)
    assert sandbox._users.of("key-manager") == user
    (tmp_path / "data" / "key-manager").rmdir()
    left = subprocess.Popen(["sleep", "60"], user=user, group=user, extra_groups=[])
    sandbox.forget(KEY)
    assert left.wait(10) == -9


def test_users_are_not_given_twice_when_none_is_left(tmp_path: Path) -> None:
    users = ServiceUsers(tmp_path / "users.json")
    for number in range(TRIAL):
        users.of(f"s{number}")
    with pytest.raises(OSError, match="given out"):
        users.of("one-too-many")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_giving_a_folder_follows_no_link(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "data"
    outside.write_text("x")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "link").symlink_to(outside)
    (folder / "deep" / "file").write_text("x")
    give(folder, FIRST)
    assert outside.stat().st_uid == os.getuid()
    assert (folder / "deep" / "file").stat().st_uid == FIRST and folder.stat().st_mode & 0o777 == 0o700


def test_the_filter_is_made_for_every_architecture_we_know() -> None:
    for machine, denied in seccomp.DENIED.items():
        code = seccomp.program(machine)
        assert len(code) % 8 == 0 and len(code) // 8 < 4096
        assert {"ptrace", "mount", "bpf", "keyctl", "unshare", "setns", "userfaultfd", "io_uring_setup"} <= set(
            denied
        )
        assert len(set(denied.values())) == len(denied), "a number that stands for two calls"
