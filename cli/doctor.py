"""`aerekos doctor`: everything that must hold for a cloud to work, each with its fix when it does not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from cli import conductor_process, connecting, status
from cli.errors import CliError
from cli.ports import require_free_port
from cli.settings import Settings

_LEAST_DISK, _LITTLE_DISK = 200 * 2**20, 2 * 2**30
_CLOCK_SECONDS = 60
_LEAST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `fix` is what to do about it."""

    level: Literal["ok", "warn", "fail"]
    about: str
    text: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order in which one builds on the other."""
    for check in (_python, _home, _disk, _isolation, _conductor, _certificates, _answers):
        try:
            yield from check(settings)
        except CliError as error:
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
    free = shutil.disk_usage(folder).free
    text, fix = f"{status.human(free)} free", "make room, or move AEREKOS_HOME"
    if free < _LEAST_DISK:
        yield Finding("fail", "disk", text, fix)
    else:
        yield Finding("warn" if free < _LITTLE_DISK else "ok", "disk", text, fix if free < _LITTLE_DISK else "")


def _isolation(settings: Settings) -> Iterator[Finding]:
    """What the process runtime can do for the walls between services, on this machine."""
    from cli.conductor.sandboxes import sandbox_of

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
    found = conductor_process.running(settings)
    if found:
        yield Finding("ok", "conductor", f"pid {found.pid}, port {found.port}")
        return
    yield Finding("fail", "conductor", "not running", f"aerekos up   (its last log: {settings.log_file})")
    require_free_port(settings)
    yield Finding("ok", "port", f"{settings.port} is free")


def _certificates(settings: Settings) -> Iterator[Finding]:
    from cryptography import x509

    for name in ("ca", "server", "admin"):
        file = settings.tls / f"{name}.crt"
        if not file.exists():
            continue
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError) as error:
            yield Finding("fail", f"{name}.crt", str(error), f"move {file} away, aerekos down, aerekos up")
            continue
        yield _dated(name, certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC))


def _dated(name: str, begin: datetime, end: datetime, now: datetime) -> Finding:
    text = f"valid until {end:%Y-%m-%d}"
    if now < begin:
        return Finding(
            "fail", f"{name}.crt", f"valid only from {begin:%Y-%m-%d %H:%M} UTC", "set this machine's clock"
        )
    if now > end:
        return Finding("fail", f"{name}.crt", f"expired {end:%Y-%m-%d}", "aerekos down, aerekos up makes a new one")
    soon = end - now < timedelta(days=30)
    return Finding("warn" if soon else "ok", f"{name}.crt", text, "restart renews it" if soon else "")


def _answers(settings: Settings) -> Iterator[Finding]:
    with connecting.connect(settings) as api:
        answer = api.send("GET", "/health")
        yield Finding("ok", "api", f"answers at {api.server}")
        yield from _clock(answer.headers.get("date"))
        seen = status.look(api)
    yield from map(_worker, seen["workers"])
    yield from map(_service, seen["services"])


def _clock(date: str | None) -> Iterator[Finding]:
    if not date:
        return
    apart = abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    if apart > _CLOCK_SECONDS:
        yield Finding("fail", "clock", f"{apart:.0f} s apart from the conductor's", "set both by NTP")
    else:
        yield Finding("ok", "clock", "agrees with the conductor's")


def _worker(seen: dict[str, object]) -> Finding:
    about = f"worker {seen['name']}"
    if seen["ready"]:
        return Finding("ok", about, str(seen["phase"]))
    return Finding("fail", about, str(seen["phase"]), "is its agent running? is the network up?")


def _service(seen: dict[str, object]) -> Finding:
    about = f"service {seen['name']}"
    if seen["isReady"] or not seen["wanted"]:
        return Finding("ok", about, str(seen["phase"]))
    why = str(seen["because"] or seen["phase"])
    return Finding("fail", about, why, f"aerekos logs {seen['name']}; aerekos describe service {seen['name']}")


def lines(findings: list[Finding]) -> Iterator[str]:
    """`ok    python      3.11.7`, and the fix below what is wrong."""
    width = max(len(each.about) for each in findings)
    for each in findings:
        yield f"{each.level:<5} {each.about:<{width}}  {each.text}"
        if each.fix:
            yield f"{'':<5} {'':<{width}}  fix: {each.fix}"
