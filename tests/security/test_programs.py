"""Programs of people behind their walls: what an attacker would try from inside, in a real sandbox of the process
runtime, built by root and without root; and what happens where a machine has no walls for them.

Run by root, the cases of the second kind become an ordinary user first, as in `test_isolation`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from clouds import a_port
from security.test_isolation import NOBODY, PACKAGES, SECRET, _able, _user_namespaces

from controller.runtime.driver import File, Volume, Workload
from controller.runtime.process.process_host import LocalProcessHost
from controller.runtime.process.programs import missing_walls
from controller.runtime.process.sandboxing import Sandbox, Unwalled
from controller.runtime.sandbox import landlock, seccomp
from controller.runtime.sandbox.abilities import Abilities, launched
from controller.runtime.sandbox.users import FIRST, give
from controller.runtime.sandbox.walls import Walls
from crds.kinds.service_programs import WORKING_FOLDER
from crds.meta import ObjectKey

ATTEMPTS = Path(__file__).parent / "program_attempts.py"
KEY, OTHER = (ObjectKey("aerekos.cloud", "services", "acme", name) for name in ("web", "other"))
PORT, CONDUCTORS = a_port(), a_port()
REFUSED = {"EACCES", "EPERM", "ENOENT", "EROFS", "ESRCH", "ENOTDIR"}
# A process of its own, because it may have to be another user: makes the sandbox, and starts the command in it.
START = """
import json, subprocess, sys
from pathlib import Path
from controller.runtime.driver import File, Volume, Workload
from controller.runtime.process import programs
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.sandbox.abilities import Abilities
from crds.meta import ObjectKey

told = json.loads(sys.argv[1])
sandbox = Sandbox(Path(told["home"]), [Path(each) for each in told["packages"]], ())
sandbox._abilities = Abilities(*told["able"])
wish = Workload(ObjectKey(*told["key"]), "uid", "one", 1, program=True, secret_env={"PASSWORD": "hunter2"},
                volumes=(Volume("data", "/data"),), files=(File("/app/note.txt", b"kept in memory", secret=True),))
sandbox.prepare(wish, told["instance"])
env = {**programs.environment(wish, told["instance"], {}), **told["env"]}
inside = sandbox.command(wish, told["instance"], told["command"], ports=(told["port"],), env=env)
outer = programs.outer_environment()
sys.exit(subprocess.run(inside, env=outer, cwd="/", stdin=subprocess.DEVNULL).returncode)
"""


@dataclass
class Cloud:
    """A home with everything in it; `become`: whether programs are started by an ordinary user."""

    home: Path
    able: Abilities
    become: bool

    def start(
        self, *command: str, key: ObjectKey = KEY, instance: str = "acme.web-0", **env: str
    ) -> subprocess.Popen[str]:
        able = [self.able.view, self.able.users, self.able.landlock, self.able.seccomp]
        told = {"home": str(self.home), "packages": [str(each) for each in PACKAGES], "able": able, "key": list(key),
                "instance": instance, "command": command, "port": PORT, "env": env}  # fmt: skip
        outside = (sys.executable, "-P", "-c", START, json.dumps(told))
        pipe = subprocess.PIPE
        return subprocess.Popen(self._as(outside), stdout=pipe, stderr=pipe, text=True, cwd=PACKAGES[0].parent)

    def _as(self, command: tuple[str, ...]) -> tuple[str, ...]:
        if not self.become or os.geteuid() != 0:
            return command
        give(self.home, NOBODY)
        stage = self.home.with_name("stage")
        stage.mkdir(exist_ok=True)
        run = (*Sandbox(self.home, PACKAGES, ())._run, "/etc")
        home, folder = str(self.home), str(PACKAGES[0].parent)
        walls = Walls(run=run, binds=((home, home),), folder=folder, view="root", user=NOBODY, seccomp=False)
        outer = walls.but(stage=str(stage))
        return launched(outer, command)


@pytest.fixture(params=["root", "ordinary user"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Cloud:
    if landlock.abi() < 6 or not seccomp.is_known():
        pytest.skip(f"Landlock {landlock.abi()} and {os.uname().machine} are not enough for all of this")
    as_root = request.param == "root"
    if as_root and os.geteuid() != 0:
        pytest.skip("needs root")
    if not as_root and not _user_namespaces():
        pytest.skip("this machine gives no user namespaces")
    home = tmp_path / "home"
    for name in (*SECRET, "secrets/root-key", "data/acme.other/data/object"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("secret")
        (home / name).chmod(0o600)
    return Cloud(home, _able("root" if as_root else "user", users=as_root), become=not as_root)


@contextmanager
def neighbour(cloud: Cloud) -> Iterator[subprocess.Popen[str]]:
    """Another tenant's program, which runs."""
    running = cloud.start("sh", "-c", "echo runs; sleep 60", key=OTHER, instance="acme.other-0")
    assert running.stdout is not None
    line = running.stdout.readline()
    assert line == "runs\n", (line, running.stderr.read() if running.stderr else "")
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def descendants(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(deeper for each in found for deeper in descendants(each))]


def attempted(cloud: Cloud, others: list[int]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as abstract:
        named.bind(str(cloud.home / "run" / "door"))
        (cloud.home / "run" / "door").chmod(0o777)
        abstract.bind(f"\0{cloud.home}")
        for each in (named, abstract):
            each.listen()
        told = {
            "secret": [
                str(cloud.home / each) for each in (*SECRET, "secrets/root-key", "data/acme.other/data/object")
            ]
            + ["/etc/shadow", "/etc/sudoers", "/root/.bashrc"],
            "folders": [str(cloud.home), str(cloud.home / "data"), "/root", "/home", "/var", "/run"],
            "others": others,
            "named_socket": str(cloud.home / "run" / "door"),
            "abstract_socket": f"\0{cloud.home}",
            "conductor_port": CONDUCTORS,
            "port": PORT,
            "bomb": 2000,
            "file": "/app/note.txt",
            "volume": "/data",
        }
        command = ("python3", "-P", "-c", ATTEMPTS.read_text(), json.dumps(told))
        said, errors = (running := cloud.start(*command)).communicate(timeout=120)
    assert running.returncode == 0, errors
    return dict(json.loads(said))


def test_no_attack_works_and_all_a_program_needs_does(cloud: Cloud) -> None:
    with neighbour(cloud) as other:
        seen = attempted(cloud, [os.getpid(), *descendants(other.pid)])
        assert other.poll() is None, "nobody ended it"
    allowed = {"listen on its port", "read its file", "list the folder of its file", "keep something",
               "keep something for now", "share memory",
               "write a temporary file", "run what it wrote"}  # fmt: skip
    me = seen.pop("is")
    for name, came in seen.items():
        if name in allowed:
            assert came == "ok", f"{name}: {came}"
        elif name == "import the cloud":
            assert came == "ImportError"
        elif name == "fork bomb":
            assert came == "EAGAIN"
        else:
            assert came in REFUSED, f"{name}: {came}"
    assert me["folder"] == "/work" and me["environment"]["PASSWORD"] == "hunter2"
    assert str(cloud.home) not in json.dumps(me["environment"]), "it need not know where the cloud lives"
    if cloud.able.users:
        assert me["user"] >= FIRST


def test_what_may_be_secret_is_never_on_the_disk(cloud: Cloud) -> None:
    running = cloud.start("cat", "/app/note.txt")
    said, errors = running.communicate(timeout=60)
    assert said == "kept in memory", errors
    kept = [each for each in cloud.home.rglob("*") if each.is_file() and b"kept in memory" in each.read_bytes()]
    assert kept == []


def test_no_variable_of_its_own_reaches_what_builds_the_walls(cloud: Cloud) -> None:
    """LD_PRELOAD would be loaded by the launcher, which is still the conductor's user and has no walls yet."""
    running = cloud.start("true", LD_PRELOAD="/data/evil.so", LD_LIBRARY_PATH="/data", PYTHONHOME="/data")
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0 and errors.count("evil.so") == 1, (
        "the program itself looks for it, and nobody else"
    )


def test_what_a_program_says_of_its_environment_is_not_what_it_is_started_in(tmp_path: Path) -> None:
    machine = LocalProcessHost(tmp_path, Sandbox(tmp_path, PACKAGES, ()))
    wish = Workload(KEY, "uid", "one", 1, program=True, env={"LD_PRELOAD": "x"}, secret_env={"BASH_ENV": "x"})
    assert set(machine.env(wish, "acme.web-0", 1)) == {"PATH"}


def test_what_it_keeps_is_there_at_the_next_start_and_the_rest_is_not(cloud: Cloud) -> None:
    first = cloud.start("sh", "-c", f"echo lasts > /data/a; echo goes > {WORKING_FOLDER}/b; echo goes > /tmp/c")
    assert first.wait(60) == 0
    second = cloud.start("sh", "-c", f"cat /data/a; cat {WORKING_FOLDER}/b; cat /tmp/c")
    said, _ = second.communicate(timeout=60)
    assert said == "lasts\n"


def walls_of(home: Path, able: Abilities, **parts: Any) -> Walls:
    sandbox = Sandbox(home, PACKAGES, ())
    sandbox._abilities = able
    wish = Workload(KEY, "uid", "one", 1, program=True, **parts)
    return sandbox._program_walls(wish, "acme.web-0", (), {}, terminal=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("where", ["secrets/root-key", "run/tmp/acme.web-0/x", "data/acme.web/data/x", ""])
def test_no_path_of_the_home_can_be_named(tmp_path: Path, where: str) -> None:
    """What root makes there for it could be led elsewhere by a link that the program laid."""
    path = str(tmp_path / "home" / where).rstrip("/")
    able = _able("root", users=True)
    with pytest.raises(Unwalled, match="a path of the cloud itself"):
        walls_of(tmp_path / "home", able, files=(File(path, b"x"),))
    with pytest.raises(Unwalled, match="a path of the cloud itself"):
        walls_of(tmp_path / "home", able, volumes=(Volume("a", path),))


FULL = Abilities("root", True, 7, True)


@pytest.mark.parametrize(
    ("able", "root", "lacks"),
    [
        (FULL, True, ""),
        (replace(FULL, landlock=4), True, ""),
        (replace(FULL, landlock=3), True, r"Landlock 4 \(Linux 6.7, and lsm= must name it; here it is 3\)"),
        (replace(FULL, landlock=0), True, "here it is absent"),
        (replace(FULL, seccomp=False), True, "a system call filter"),
        (replace(FULL, users=False), True, "a user of its own for each Service"),
        (replace(FULL, users=False, view="user"), True, "a user of its own for each Service"),
        (replace(FULL, users=False, view="user"), False, ""),
        (replace(FULL, users=False, view="user", landlock=5), False, r"Landlock 6 \(Linux 6.12, or 6.7 with"),
        (replace(FULL, users=False, view=""), False, "a view of the files without those of others"),
        (Abilities(), False, "a view of the files"),
        (Abilities(), True, "a user of its own"),
    ],
)
def test_without_every_wall_no_program_runs_and_what_is_missing_is_named(
    able: Abilities, root: bool, lacks: str
) -> None:
    said = missing_walls(able, root=root)
    assert bool(said) == bool(lacks) and re.search(lacks, said), said


@pytest.mark.parametrize("able", [Abilities(), replace(FULL, landlock=0), replace(FULL, seccomp=False)])
def test_the_sandbox_itself_starts_none_either(tmp_path: Path, able: Abilities) -> None:
    """A program that ran before may meet a machine with fewer walls after a restart."""
    with pytest.raises(Unwalled, match="this machine lacks"):
        walls_of(tmp_path, able)
