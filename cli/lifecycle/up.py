"""`aerekos up`: starts a conductor in the background and comes back when the cloud is ready.

Safe to repeat: a conductor that runs is left alone, unless it is told something else (cli/lifecycle/restart.py).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from cli import api_client, status
from cli.errors import NotReachable
from cli.lifecycle.renew_ca import require_valid_ca
from cli.lifecycle.restart import differences
from cli.lifecycle.restart import restart as restart_with
from cli.login import trust
from cli.output import Progress, say
from controller.main import autostart, running_conductor, standby_file
from controller.main.errors import INTERRUPTED, UserError
from controller.main.home_folder import FOLDERS, refusal, require_own
from controller.main.ports import require_free_port
from controller.main.remembered_settings import remember
from controller.main.settings import Settings, as_variables

_LOOK_SECONDS = 0.1
_LAST_LINES = 15


def up(settings: Settings, *, timeout: float, restart: bool = False) -> None:
    """Returns when everything that should run is ready. Raises UserError with the reason when it is not. `restart`: a
    cloud that runs with other settings is started anew with these, without asking.
    """
    found = running_conductor.running(settings)
    if found is None:
        prepare_home(settings)
        require_free_port(settings)
        begin(settings, timeout)
        if leader := standby_file.leader(settings):
            say(f"standing by: {leader} leads, and this conductor takes over when that one is gone")
            say(f"{settings.url} answers meanwhile: reads by itself, all else by the one that leads")
            return
    elif changed := differences(found, settings):
        restart_with(settings, found, changed, timeout=timeout, agreed=restart)
    else:
        _already_running(settings, timeout)
    _tell(settings)


def begin(settings: Settings, timeout: float) -> None:
    """Start a conductor and wait for what it starts. Raises UserError with its own words when it ends."""
    require_valid_ca(settings)
    said_before = _size(settings.log_file)
    ended = _start_by_systemd(settings) or _start(settings).poll
    with going_on_when_interrupted(), Progress("starting the conductor") as progress:
        _wait(settings, ended, timeout, progress, said_before)


@contextmanager
def going_on_when_interrupted() -> Iterator[None]:
    """Ctrl-C ends the waiting, not the cloud; that is said."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        hint = "aerekos status shows how far it is; aerekos down stops it"
        raise UserError("interrupted; the cloud goes on starting", hint=hint, code=INTERRUPTED) from stopped


def prepare_home(settings: Settings) -> None:
    """Make the folders a conductor needs before it can write its log. Raises UserError when that fails, Misuse for
    a home that is somebody else's, or no cloud's.
    """
    require_own(settings.home)
    try:
        settings.home.parent.mkdir(parents=True, exist_ok=True)
        for folder in (settings.home, *(settings.home / name for name in FOLDERS)):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
        probe = settings.home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except PermissionError as error:
        raise refusal(settings.home, Path(error.filename or settings.home), error) from error
    except OSError as error:
        message = f"cannot write to {settings.home}: {error.strerror}"
        raise UserError(message, hint="give another folder: AEREKOS_HOME=... aerekos up") from error


def serve(settings: Settings) -> NoReturn:
    """The conductor itself, until it is told to stop. Raises UserError for what it cannot open."""
    from controller.main.conductor import serve as run
    from controller.store.records import NotLeading, StoreAway, StoreBroken, StoreFull

    try:
        run(settings)
    except (StoreFull, StoreAway, NotLeading) as error:
        raise UserError(str(error), hint="then again: aerekos up") from error
    except StoreBroken as error:
        raise UserError(str(error), hint=f"nothing was changed; look at {settings.home / 'store'}") from error
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        raise UserError(f"{about}{error.strerror or error}", hint="aerekos doctor") from error


def _start_by_systemd(settings: Settings) -> Callable[[], int | None] | None:
    """Tells when it has given up; None where no unit is installed for this home, or no cloud was there before."""
    if not (settings.store or settings.store_file.exists()) or not autostart.is_installed(settings.home):
        return None
    remember(settings)  # a unit is told nothing of this shell's variables
    if not autostart.begin(settings.home):
        return None
    return lambda: 1 if autostart.has_failed(settings.home) else None


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    """A session of its own, so that closing the terminal does not end the cloud."""
    command = [sys.executable, "-P", "-m", "cli.main", "up", "--foreground", "--home", str(settings.home)]
    with open(settings.log_file, "ab", opener=_private) as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=settings.home,
            env={**os.environ, **as_variables(settings), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait(
    settings: Settings, ended: Callable[[], int | None], timeout: float, progress: Progress, said_before: int
) -> None:
    deadline = time.monotonic() + timeout
    because = "the conductor does not answer yet"
    while time.monotonic() < deadline:
        # It may have ended because another one runs here, from a start that was interrupted: that one counts.
        if (code := ended()) is not None and running_conductor.running(settings) is None:
            raise _ending(settings.log_file, code, said_before)
        because = _not_ready_because(settings)
        if not because:
            return
        progress.now(because)
        time.sleep(_LOOK_SECONDS)
    message = f"not ready after {timeout:g} s: {because}"
    login = "; the first login: aerekos first-login" if _first_login(settings).exists() else ""
    raise UserError(
        message, hint=f"it goes on starting; see aerekos status, aerekos doctor, or give --timeout{login}"
    )


def _not_ready_because(settings: Settings) -> str:
    """What is still missing; empty when nothing is."""
    if standby_file.leader(settings):
        return ""
    if running_conductor.running(settings) is None or not (settings.tls / "admin.crt").exists():
        return "starting the conductor"
    if settings.store and not standby_file.can_be_asked(settings):
        return "starting the conductor"  # its gateways of before may ask another one meanwhile
    try:
        with api_client.local(settings) as api:
            return status.waiting_for(status.look(api))
    except NotReachable:
        return "starting the conductor"
    except UserError as error:
        return error.message.splitlines()[0]


def _already_running(settings: Settings, timeout: float) -> None:
    found = running_conductor.running(settings)
    say(f"already running (pid {found.pid if found else '?'}, {api_client.local_url(settings)})")
    with going_on_when_interrupted(), Progress("waiting until it is ready") as progress:
        said_before = _size(settings.log_file)
        _wait(settings, lambda: None if running_conductor.running(settings) else 1, timeout, progress, said_before)


def _tell(settings: Settings) -> None:
    """The URL, the first login when nobody has seen it, how things are, and what to try."""
    with api_client.local(settings) as api:
        seen = status.look(api)
        say(f"\nYour cloud is ready:  {api.server}")
    tell_first_login(settings)
    for line in (*trust.how_to_meet(settings), *_starts_at_boot(settings)):
        say(line)
    say("")
    if found := status.render_findings(seen):
        say(f"{found}\n")
    say(status.render(seen))
    say("\nTry:")
    for line in (*_way_to_aerekos(), "aerekos get services", "eval $(aerekos env) && aws kms create-key"):
        say(f"  {line}")
    say("  aws s3 mb s3://first")


def _starts_at_boot(settings: Settings) -> list[str]:
    """That it does not, where it could."""
    missing = autostart.is_there() and not autostart.is_installed(settings.home)
    return ["Starts at boot:       no (aerekos service install)"] if missing else []


def _way_to_aerekos() -> list[str]:
    """The line that puts this `aerekos` on PATH; none when it is what the shell finds anyway."""
    own, found = Path(sys.executable).with_name("aerekos"), shutil.which("aerekos")
    if not own.exists() or (found and Path(found).resolve() == own.resolve()):
        return []
    return [f"export PATH={shlex.quote(str(own.parent))}:$PATH    # for good: put it into ~/.profile"]


def tell_first_login(settings: Settings) -> bool:
    """Said once: the file goes before anything else can read it again. Whether there was one to tell."""
    file = _first_login(settings)
    with suppress(FileNotFoundError, ValueError, KeyError):
        kept: dict[str, Any] = json.loads(file.read_text())
        say(f"Login (shown once):   {kept['username']} / {kept['password']}")
        say(f"                      you then choose your own password; lost: aerekos user passwd {kept['username']}")
        file.unlink()
        return True
    return False


def _first_login(settings: Settings) -> Path:
    return settings.run / "first-login.json"


def _ending(log: Path, code: int, said_before: int) -> UserError:
    """Why the conductor ended: the error it told, or its last lines when it broke without a word."""
    lines = _lines(log, said_before)
    told = next((at for at in reversed(range(len(lines))) if lines[at].startswith("error: ")), None)
    if told is not None:
        message, _, hint = "\n".join(lines[told:]).removeprefix("error: ").partition("\n  try: ")
        return UserError(
            message, hint=hint or f"aerekos doctor; the whole log is {log}", code=code if code > 0 else 1
        )
    if not shutil.disk_usage(log.parent).free:  # the log itself is cut off then, wherever that was
        message = f"the conductor ended with {code} while starting: no space left on the disk of {log.parent.parent}"
        return UserError(message, hint=f"free some space there (df -h {log.parent.parent}), then again")
    shown = "\n".join(f"  {line}" for line in lines)
    message = f"the conductor ended with {code} while starting; its last lines:\n{shown}"
    return UserError(message, hint=f"aerekos doctor; the whole log is {log}")


def _lines(log: Path, said_before: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(said_before)
            return file.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError as error:
        return [f"(no log: {error.strerror})"]


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
