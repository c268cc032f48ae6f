"""A systemd unit for the cloud of one home: started with the machine, begun again when it dies or hangs.

Root gets a system unit; anybody else a user unit, with lingering: no login is needed. What `aerekos down` ended
stays down until the next start: only failures are begun again.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.health.finding import Code, Finding
from controller.kit.libraries import library_path
from controller.main.errors import UserError
from controller.main.settings import default_home

WATCHDOG_SECONDS, START_SECONDS, STOP_SECONDS = 30, 120, 60
_UNIT_SECONDS = 60.0
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The systemd unit of a home: where it lies, and what is in it. `system`: of the machine, not of one user."""

    home: Path
    system: bool
    folder: Path

    @property
    def name(self) -> str:
        """Each home has a unit of its own."""
        if self.home == default_home({}):
            return "aerekos.service"
        words = (
            "-".join(_PLAIN.findall(self.home.parent.name if self.home.name == "home" else self.home.name)) or "home"
        )
        return f"aerekos-{words[:40]}-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:6]}.service"

    @property
    def file(self) -> Path:
        return self.folder / self.name

    def text(self, python: str, path: str) -> str:
        """The unit file. systemd.exec(5): KillMode=process leaves services alone, which the next conductor adopts."""
        command = " ".join(
            map(quoted, (python, "-P", "-m", "aerekos_cloud", "up", "--foreground", "--home", str(self.home)))
        )
        target, after = ("multi-user.target", "network-online.target") if self.system else ("default.target", "")
        told = {"PATH": path, **library_path(), "PYTHONUNBUFFERED": "1"}
        variables = " ".join(quoted(f"{name}={value}", expands=False) for name, value in told.items())
        wants = f"After={after}\nWants={after}\n" if after else ""
        return f"""[Unit]
Description=aerekos cloud ({specifiers_escaped(str(self.home))})
{wants}StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
WorkingDirectory={specifiers_escaped(str(self.home))}
Environment={variables}
StandardOutput=append:{specifiers_escaped(str(self.home / "logs" / "conductor.log"))}
StandardError=inherit
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2
WatchdogSec={WATCHDOG_SECONDS}
TimeoutStartSec={START_SECONDS}
TimeoutStopSec={STOP_SECONDS}
KillMode=process
Delegate=yes

[Install]
WantedBy={target}
"""

    def systemctl(self, *words: str) -> list[str]:
        """The command that says that to the systemd which has this unit."""
        return ["systemctl", *([] if self.system else ["--user"]), *words]


def quoted(word: str, *, expands: bool = True) -> str:
    """One word of a command line in a unit file. Source: systemd.service(5), COMMAND LINES; systemd.syntax(7)."""
    escaped = specifiers_escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if expands else escaped}"'


def specifiers_escaped(text: str) -> str:
    """Raises UserError for what no unit file can say."""
    if any(each in text for each in "\n\r\0"):
        raise UserError("a path with a line break in it cannot be written into a unit file", hint="give another home")
    return text.replace("%", "%%")


def unit_of(home: Path, *, root: bool | None = None) -> Unit:
    """The unit this user would have for that home."""
    system = os.geteuid() == 0 if root is None else root
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Unit(home, system, Path("/etc/systemd/system") if system else config / "systemd" / "user")


def is_there() -> bool:
    """Whether systemd runs this machine. Source: sd_booted(3)."""
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def is_installed(home: Path) -> bool:
    """Whether the cloud of that home starts with the machine, by a unit of this user or of the machine."""
    return any(unit_of(home, root=root).file.exists() for root in (True, False))


def findings(home: Path) -> Iterator[Finding]:
    """A finding where nothing starts the cloud of that home with the machine, and systemd could."""
    if is_there() and not is_installed(home):
        text = "the cloud does not start with this machine"
        yield Finding("info", Code.AUTOSTART_MISSING, text, "aerekos service install")


def install(home: Path, run: Run | None = None) -> Unit:
    """Write the unit, and have it started with the machine. May be repeated. Raises UserError."""
    run, unit = run or _run, unit_of(home)
    _require_systemd()
    unit.folder.mkdir(parents=True, exist_ok=True)
    unit.file.write_text(unit.text(sys.executable, os.environ.get("PATH", os.defpath)))
    if not unit.system:
        _do(run, ["loginctl", "enable-linger", getpass.getuser()])
    _do(run, unit.systemctl("daemon-reload"))
    _do(run, unit.systemctl("enable", unit.name))
    return unit


def remove(home: Path, run: Run | None = None) -> Unit | None:
    """The unit that was there; None when there was none. A cloud that runs goes on running. Raises UserError."""
    run, unit = run or _run, unit_of(home)
    if not unit.file.exists():
        return None
    if is_there():
        _do(run, unit.systemctl("disable", unit.name))
    unit.file.unlink(missing_ok=True)
    if is_there():
        _do(run, unit.systemctl("daemon-reload"))
    return unit


def begin(home: Path) -> bool:
    """Have systemd start the cloud of that home, when its unit is installed; whether it was. Raises UserError."""
    unit = unit_of(home)
    if not (unit.file.exists() and is_there()):
        return False
    # `--no-block`: whoever starts it waits for more than systemd does, and shows what it waits for.
    _do(_run, unit.systemctl("start", "--no-block", unit.name))
    return True


def has_failed(home: Path) -> bool:
    """Whether systemd gave up on the unit of that home."""
    unit = unit_of(home)
    return _run(unit.systemctl("is-failed", "--quiet", unit.name)).returncode == 0


def _require_systemd() -> None:
    if not is_there():
        raise UserError(
            "this machine is not run by systemd, so there is nothing to install a unit in",
            hint="have your init run `aerekos up --foreground`; aerekos service install --dry-run shows a unit",
        )


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(list(command), capture_output=True, text=True, timeout=_UNIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(command), 1, "", str(error))


def _do(run: Run, command: Sequence[str]) -> None:
    done = run(command)
    if done.returncode:
        told = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise UserError(f"{' '.join(command)}: {told}", hint="aerekos service install --dry-run shows what is tried")
