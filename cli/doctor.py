"""`aerekos doctor`: everything that must hold for a cloud to work, each with its fix when it does not.

What a running cloud says of itself is its conductor's report, the one of `aerekos status`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from cli import api_client, status
from controller.health import finding as health
from controller.health.machine import certificate_findings, disk_finding, human, room_on
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.gateway_records import read_gateways
from controller.main.ports import require_free_port
from controller.main.settings import Settings

Level = Literal["ok", "note", "warn", "fail"]
_LEVELS: dict[str, Level] = {"critical": "fail", "warning": "warn", "info": "note"}
_LOOKED_AT_HERE = frozenset(
    {
        *(health.Code.DISK_FULL, health.Code.DISK_NEARLY_FULL),
        *(health.Code.CERTIFICATE_UNUSABLE, health.Code.CERTIFICATE_NOT_YET_VALID),
        *(health.Code.CERTIFICATE_EXPIRING, health.Code.CERTIFICATE_EXPIRED),
    }
)
_CLOCK_SECONDS = 60
_LEAST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `fix` is what to do about it."""

    level: Level
    about: str
    text: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order in which one builds on the other."""
    for check in (_python, _home, _disk, _isolation, _conductor, _certificates, _answers):
        try:
            yield from check(settings)
        except UserError as error:
            yield Finding("fail", check.__name__.lstrip("_"), error.message, error.hint)


def _python(_: Settings) -> Iterator[Finding]:
    version = tuple(sys.version_info[:3])
    text = ".".join(map(str, version))
    if version >= _LEAST_PYTHON:
        yield Finding("ok", "python", text)
    else:
        yield Finding("fail", "python", f"{text} is too old", "install Python 3.11 or newer")


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.exists():
        yield Finding("warn", "home", f"{home} does not exist yet", "aerekos up makes it")
    elif os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("ok", "home", str(home))
    else:
        yield Finding("fail", "home", f"cannot write to {home}", f"chown or chmod {home}, or set AEREKOS_HOME")
    private = settings.home / "secrets"
    if private.exists() and private.stat().st_mode & 0o077:
        yield Finding("fail", "secrets", f"{private} can be read by others", f"chmod 700 {private}")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(each for each in (settings.home, *settings.home.parents) if each.exists())
    room = room_on(folder)
    yield from _told("disk", disk_finding("this cloud", room), f"{human(room.free)} free")


def _isolation(settings: Settings) -> Iterator[Finding]:
    """What the process runtime can do for the walls between services, on this machine."""
    from controller.main.sandbox_views import sandbox_of

    if settings.runtime == "swarm" or settings.stack is not None or not settings.home.exists():
        return
    try:
        able = sandbox_of(settings.home, ()).abilities
    except OSError as unknown:
        yield Finding("warn", "isolation", f"cannot be found out: {unknown}", "ask as the user who runs the cloud")
        return
    for each in able.lacking:
        yield Finding("warn", "isolation", each, "docs/architecture.md says what that means")
    if not able.lacking:
        yield Finding("ok", "isolation", f"a user for each service, Landlock {able.landlock}, system calls filtered")


def _conductor(settings: Settings) -> Iterator[Finding]:
    found = running_conductor.running(settings)
    if found:
        yield Finding("ok", "conductor", f"pid {found.pid}, port {found.port}")
        yield from _gateways(settings)
        return
    yield Finding("fail", "conductor", "not running", f"aerekos up   (its last log: {settings.log_file})")
    require_free_port(settings)
    yield Finding("ok", "port", f"{settings.port} is free")


def _gateways(settings: Settings) -> Iterator[Finding]:
    pids = ", ".join(str(each.pid) for each in read_gateways(settings.home))
    if pids:
        yield Finding("ok", "gateways", f"pid {pids}")
    else:
        yield Finding("fail", "gateways", "none runs, so nobody is let in", f"see why: {settings.log_file}")


def _certificates(settings: Settings) -> Iterator[Finding]:
    found = certificate_findings(settings.tls, datetime.now(UTC))
    yield from _told("certificates", found, str(settings.tls))


def _told(what: str, found: Iterable[health.Finding], fine: str) -> Iterator[Finding]:
    """What was found, or one line that says that nothing was."""
    lines = [Finding(_LEVELS[each.severity], what, each.message, each.fix) for each in found]
    yield from lines or [Finding("ok", what, fine)]


def _answers(settings: Settings) -> Iterator[Finding]:
    with api_client.connect(settings) as api:
        answer = api.send("GET", "/health")
        yield Finding("ok", "api", f"answers at {api.server}")
        yield from _clock(answer.headers.get("date"))
        seen = status.look(api)
    yield from _report(seen)


def _report(seen: dict[str, Any]) -> Iterator[Finding]:
    """The conductor's own findings; of its disk and certificates, the lines above have told."""
    for each in seen["findings"]:
        if each["object"]["kind"] != "Conductor" or each["code"] not in _LOOKED_AT_HERE:
            about = " ".join(part for part in (each["object"]["kind"].lower(), each["object"]["name"]) if part)
            yield Finding(_LEVELS[each["severity"]], about, each["message"], each["fix"])
    yield Finding(
        "ok", "report", f"{seen['summary']}; {len(seen['workers'])} workers, {len(seen['services'])} services"
    )


def _clock(date: str | None) -> Iterator[Finding]:
    if not date:
        return
    apart = abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    if apart > _CLOCK_SECONDS:
        yield Finding("fail", "clock", f"{apart:.0f} s apart from the conductor's", "set both by NTP")
    else:
        yield Finding("ok", "clock", "agrees with the conductor's")


def lines(findings: list[Finding]) -> Iterator[str]:
    """`ok    python      3.11.7`, and the fix below what is wrong."""
    width = max(len(each.about) for each in findings)
    for each in findings:
        yield f"{each.level:<5} {each.about:<{width}}  {each.text}"
        if each.fix:
            yield f"{'':<5} {'':<{width}}  fix: {each.fix}"
