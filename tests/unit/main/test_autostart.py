"""The cloud as a unit of systemd: what is written, what is run, and what the conductor tells."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import run as aerekos
from controller.kit.systemd import Notifier
from controller.kit.virtual import VirtualLoop
from controller.main import autostart
from controller.main.errors import UserError
from controller.main.settings import default_home

ODD = Path("/srv/my clouds/50 % $HOME/ü\\x")


@pytest.fixture
def anyio_backend() -> Any:
    return ("asyncio", {"loop_factory": VirtualLoop})


class Systemd:
    """Notes what is asked of it; `refuses`: what it says no to."""

    def __init__(self, refuses: str = "") -> None:
        self.asked: list[str] = []
        self.refuses = refuses

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(command))
        code = 1 if self.refuses and self.refuses in self.asked[-1] else 0
        return subprocess.CompletedProcess(list(command), code, "", "Access denied" if code else "")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that systemd runs, and an ordinary user on it."""
    monkeypatch.setattr(autostart, "is_there", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "systemd" / "user"


def test_a_user_gets_a_unit_that_needs_no_login(there: Path, tmp_path: Path) -> None:
    systemd, home = Systemd(), tmp_path / "mine"
    assert [each.code for each in autostart.findings(home)] == ["AutostartMissing"]
    unit = autostart.install(home, systemd)
    assert autostart.install(home, Systemd()) == unit, "it may be repeated"
    assert unit.file.parent == there and autostart.is_installed(home) and not list(autostart.findings(home))
    enabled = f"systemctl --user enable {unit.name}"
    assert systemd.asked == ["loginctl enable-linger ada", "systemctl --user daemon-reload", enabled]
    assert f'"--home" "{home}"' in unit.file.read_text() and "WantedBy=default.target" in unit.file.read_text()
    assert autostart.remove(home, systemd) == unit and not autostart.is_installed(home)
    assert autostart.remove(home, systemd) is None


def test_root_gets_one_of_the_machine(tmp_path: Path) -> None:
    unit = autostart.unit_of(tmp_path, root=True)
    assert unit.file.parent == Path("/etc/systemd/system")
    assert unit.systemctl("start", "x") == ["systemctl", "start", "x"]
    assert "WantedBy=multi-user.target" in unit.text("/usr/bin/python3", "/usr/bin")


def test_each_home_has_a_unit_of_its_own() -> None:
    homes = [default_home({}), Path("/a/home"), Path("/b/home"), Path("/a/x y"), ODD]
    names = [autostart.unit_of(home).name for home in homes]
    assert names[0] == "aerekos.service" and len(set(names)) == len(names)
    assert all(name.isascii() and " " not in name and len(name) < 80 for name in names)


def test_what_systemd_refuses_is_told(there: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="enable-linger ada: Access denied"):
        autostart.install(tmp_path, Systemd(refuses="linger"))


def test_where_systemd_does_not_run_nothing_is_written(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(autostart, "is_there", lambda: False)
    with pytest.raises(UserError, match="not run by systemd"):
        autostart.install(tmp_path, Systemd())
    assert not there.exists()
    assert aerekos(["service", "install", "--dry-run", "--home", str(tmp_path)]) == 0
    assert "ExecStart=" in capsys.readouterr().out and not there.exists()
    assert aerekos(["service", "status", "--home", str(tmp_path)]) == 1


def test_a_home_that_no_unit_can_name_is_refused() -> None:
    with pytest.raises(UserError, match="line break"):
        autostart.unit_of(Path("/a\nExecStartPre=/bin/evil")).text("python", "/bin")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("home", [Path("/srv/aerekos"), ODD])
def test_systemd_understands_it(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "aerekos.service"
    file.write_text(autostart.unit_of(home, root=True).text("/bin/true", "/usr/bin:/bin"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in done.stderr.splitlines() if "aerekos.service" in line]
    assert not said and (done.returncode == 0 or "aerekos" not in done.stderr), done.stderr


def words_of(line: str) -> list[str]:
    """How systemd reads a command line of quoted words: systemd.syntax(7), systemd.service(5)."""
    words, at = [], 0
    while at < len(line):
        assert line[at] == '"'
        at, word = at + 1, ""
        while line[at] != '"':
            if line[at] == "\\" or line[at : at + 2] in ("%%", "$$"):
                at += 1
            word, at = word + line[at], at + 1
        words.append(word)
        at += 2
    return words


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])), min_size=1))
def test_any_word_comes_back_as_it_was(words: list[str]) -> None:
    assert words_of(" ".join(map(autostart.quoted, words))) == words


@pytest.mark.anyio
@pytest.mark.parametrize("abstract", [False, True])
async def test_the_conductor_tells_that_it_lives(abstract: bool, tmp_path: Path) -> None:
    name = f"@aerekos-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
        notifier = Notifier(env)
        assert env == {"HOME": "/"}, "children are told nothing of it"
        notifier.ready()
        with anyio.move_on_after(50):
            await notifier.keep_alive()
        notifier.stopping()
        told = [systemd.recv(100) for _ in range(6)]
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
    assert told == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.ready()  # nobody listens any more: no fault


@pytest.mark.anyio
@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}])
async def test_without_systemd_nobody_is_told(env: dict[str, str]) -> None:
    notifier = Notifier(dict(env))
    notifier.ready()
    await notifier.keep_alive()
