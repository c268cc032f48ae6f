"""The machine, and how the cloud was started on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli import audit_verify
from cli.security.finding import Finding
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.settings import Settings

_FEWEST_FILES = 4096


def check_host(settings: Settings) -> Iterator[Finding]:
    """Process limits, and the audit log's settings and seals."""
    yield from _files(settings)
    yield from _audit_settings(settings)
    yield from _audit_seals(settings)
    yield from _login(settings)


def _files(settings: Settings) -> Iterator[Finding]:
    found = running_conductor.running(settings)
    if found is None:
        yield Finding("skipped", "open-files", "no conductor runs on this machine")
        return
    allowed = _open_files(found.pid)
    if allowed is not None and allowed < _FEWEST_FILES:
        yield Finding(
            "medium",
            "open-files",
            f"the conductor may have {allowed} files and connections open",
            "so many half-sent requests keep everybody else out",
            f"start it with LimitNOFILE={_FEWEST_FILES * 16} (systemd), or ulimit -n",
        )
    else:
        yield Finding("ok", "open-files", f"{allowed or 'any number of'} files and connections")


def _open_files(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return None
    line = next((each for each in text.splitlines() if each.startswith("Max open files")), "")
    number = line.removeprefix("Max open files").split()
    return int(number[0]) if number and number[0].isdigit() else None


def _audit_settings(settings: Settings) -> Iterator[Finding]:
    if settings.audit_failure == "continue":
        yield Finding(
            "medium",
            "audit-failure",
            "changes go on while the audit log cannot be written",
            "who fills the disk first can work unseen",
            "AEREKOS_AUDIT_FAILURE=refuse",
        )
    else:
        yield Finding("ok", "audit-failure", "what cannot be noted is refused")
    if not (settings.audit_syslog or settings.audit_webhook or settings.audit_file):
        yield Finding(
            "low",
            "audit-sink",
            "the audit log is on this machine alone",
            "who becomes root here can write a new one, seals included",
            "AEREKOS_AUDIT_SYSLOG or AEREKOS_AUDIT_WEBHOOK to a machine of another owner",
        )
    else:
        yield Finding("ok", "audit-sink", "the audit log goes to a sink")


def _audit_seals(settings: Settings) -> Iterator[Finding]:
    if not (settings.home / "logs" / "audit.log").exists():
        yield Finding("skipped", "audit-seals", "there is no audit log on this machine")
        return
    try:
        found = audit_verify.check(settings)
    except UserError as error:
        yield Finding("skipped", "audit-seals", error.message)
        return
    if found.faults:
        yield Finding(
            "high",
            "audit-seals",
            "; ".join(found.faults[:3]),
            "somebody has changed what the log tells",
            "compare it with a sink's copy; aerekos audit verify shows every fault",
        )
    else:
        yield Finding("ok", "audit-seals", f"{found.lines} lines, none changed")


def _login(settings: Settings) -> Iterator[Finding]:
    if settings.admin_password or any(user.password for user in settings.users):
        yield Finding(
            "low",
            "settings-password",
            "a password is in the settings or the environment",
            "whoever reads them has it; it seeds a user only once, so it is needed no more",
            "take it out, after the first start",
        )
