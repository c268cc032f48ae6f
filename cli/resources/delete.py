"""`aerekos delete`: asks before what cannot come back, asks the cloud for every deletion, then waits for all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cli import confirmation, hints
from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import complain, say
from cli.resources.kinds import Served
from cli.status import because
from controller.main.errors import Misuse, UserError
from crds.conditions import ConditionType

KEYS = "keys.aerekos.cloud"
_MERGE = {"content-type": "application/merge-patch+json"}
_LOOK_SECONDS = 0.2
_SHORTEST_DAYS, _LONGEST_DAYS = 7, 30
# The cloud judges the date by its own clock.
_MARGIN = timedelta(minutes=5)
# What goes with each, for the question before.
_CONSEQUENCES = {
    "workers.aerekos.cloud": "what runs there moves to other machines",
    "users.aerekos.cloud": "their sessions and access keys end",
    "namespaces": "everything in it goes too",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One resource that is to go."""

    kind: Served
    namespace: str | None
    name: str

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def title(self) -> str:
        return self.kind.title(self.name)

    @property
    def is_key(self) -> bool:
        return self.kind.resource == KEYS


@dataclass(frozen=True, slots=True)
class Manner:
    """How deletions are asked for. `asks`: a person at a terminal first. `days`: until keys are gone; None: the cloud
    tells what to do.
    """

    asks: bool = True
    days: int | None = None
    wait: bool = True
    timeout: float = 60.0
    ignore_missing: bool = False


def delete_all(api: ApiClient, targets: Sequence[Target], manner: Manner) -> None:
    """Raises UserError when somebody says no, or when any deletion was refused or takes too long."""
    days = _days(targets, manner)
    if manner.asks:
        _confirm(targets, days)
    failed, asked = 0, []
    for each in targets:
        try:
            uid = _uid(api.get(each.path))
            _ask(api, each, days)
        except Refused as error:
            if error.status == 404 and manner.ignore_missing:
                continue
            failed += 1
            hints.suggest(api, error)
            complain(f"{each.title}: {error}")
            continue
        if not (each.is_key and days):
            asked.append((each, uid))
    if manner.wait:
        _wait_until_gone(api, asked, manner.timeout)
    if failed:
        raise UserError(f"{failed} of {len(targets)} could not be deleted")


def _days(targets: Sequence[Target], manner: Manner) -> int | None:
    keys = any(each.is_key for each in targets)
    if manner.days is not None and not keys:
        raise Misuse("--after is for keys", hint="leave it out")
    if manner.days is None and keys and manner.asks and confirmation.is_somebody_there():
        return _SHORTEST_DAYS
    return manner.days


def _confirm(targets: Sequence[Target], days: int | None) -> None:
    told = []
    for each in targets:
        if each.is_key and days:
            told.append(f"{each.title}: on {_date(days):%Y-%m-%d} all that it encrypted is lost, for good")
        elif consequence := _CONSEQUENCES.get(each.kind.resource):
            told.append(f"{each.title}: {consequence}")
    if told:
        confirmation.confirm("\n".join([*told, "Delete?"]))


def _ask(api: ApiClient, target: Target, days: int | None) -> None:
    if not (target.is_key and days):
        api.ask("DELETE", target.path)
        say(f"{target.title} deleted")
        return
    date = _date(days).strftime("%Y-%m-%dT%H:%M:%SZ")
    api.ask("PATCH", target.path, json={"spec": {"deletionDate": date}}, headers=_MERGE)
    say(f"{target.title} will be deleted on {date}; to keep it, take the date away: aerekos edit {target.title}")


def _date(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days) + (_MARGIN if days < _LONGEST_DAYS else -_MARGIN)


def _uid(resource: dict[str, Any]) -> str | None:
    return (resource.get("metadata") or {}).get("uid")


def _wait_until_gone(api: ApiClient, asked: Sequence[tuple[Target, str | None]], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    for target, uid in asked:
        while (there := _still_there(api, target, uid)) is not None:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{target.title} is not gone after {timeout:g} s: {_waits_for(there)}",
                    hint=f"it goes on; see: aerekos describe {target.title}",
                )
            time.sleep(_LOOK_SECONDS)


def _waits_for(resource: dict[str, Any]) -> str:
    """In the words of its conditions, else who keeps it."""
    status = resource.get("status") or {}
    told: dict[str, Any] = next(
        (each for each in status.get("conditions") or () if each.get("type") == ConditionType.RECONCILED), {}
    )
    keepers = ", ".join(resource["metadata"].get("finalizers") or ())
    return str(told.get("message") or because(status) or f"it is kept by {keepers or 'nobody'}")


def _still_there(api: ApiClient, target: Target, uid: str | None) -> dict[str, Any] | None:
    """That very resource: a new one of the name does not count."""
    try:
        found: dict[str, Any] = api.get(target.path)
    except Refused as error:
        if error.status == 404:
            return None
        raise
    return found if uid is not None and _uid(found) == uid else None
