"""Findings in BackupSchedules: backups that fail or do not come, and backups that cannot be restored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.health.finding import Code, Finding, about
from crds.conditions import ConditionType
from crds.kinds.backup import BACKUP_SCHEDULE

_PAGE = "docs/operations/disaster-recovery.md"
GRACE = timedelta(hours=1)
"""A backup may take so long before the next one counts as missing."""


def of_schedules(schedules: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[Finding]:
    """Of each that is not suspended, the worst alone; a backup that cannot be restored counts even then."""
    for each in schedules:
        name, status = each["metadata"]["name"], each.get("status", {})
        key, fix = (
            BACKUP_SCHEDULE.key(name),
            f"aerekos describe backupschedule {name}; {_PAGE}",
        )
        if (why := _false(status, ConditionType.RESTORABLE)) is not None:
            text = f"the newest backup of {name} cannot be restored: {why}"
            yield about("critical", Code.BACKUP_NOT_RESTORABLE, BACKUP_SCHEDULE, key, text, fix)
        if each["spec"].get("suspended"):
            continue
        if (why := _false(status, ConditionType.BACKED_UP)) is not None:
            yield about("warning", Code.BACKUP_FAILED, BACKUP_SCHEDULE, key, f"the last backup failed: {why}", fix)
        elif (late := _overdue(each, now)) is not None:
            yield about("warning", Code.BACKUP_OVERDUE, BACKUP_SCHEDULE, key, f"{name} has {late}", fix)


def _overdue(schedule: Mapping[str, Any], now: datetime) -> str | None:
    every = timedelta(hours=schedule["spec"].get("everyHours", 24))
    last = schedule.get("status", {}).get("lastBackupAt")
    since = datetime.fromisoformat(last or schedule["metadata"]["creationTimestamp"])
    if now - since <= (2 * every if last else every) + GRACE:
        return None
    return f"no backup since {last}" if last else "made no backup yet"


def _false(status: Mapping[str, Any], kind: str) -> str | None:
    """What the condition says, where it does not hold."""
    found: Mapping[str, Any] = next((each for each in status.get("conditions") or () if each.get("type") == kind), {})
    return str(found.get("message", "")) if found.get("status") == "False" else None
