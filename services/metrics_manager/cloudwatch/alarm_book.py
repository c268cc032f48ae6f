"""The states of alarms, what became of them, and whom it is still to be told: durable, a document for each alarm."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from services.metrics_manager.cloudwatch.alarm_kinds import MetricAlarm, alarm_name
from services.metrics_manager.cloudwatch.alarm_states import INSUFFICIENT, UNCHECKED, Verdict
from services.metrics_manager.store import tables
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile

PREFIX = "cloudwatch-alarm/"
MOST_HISTORY, MOST_HISTORY_BYTES, MOST_PENDING = 100, 100_000, 20
"""Of one alarm. Where a topic is away for so long that more would wait, the oldest message is lost, and the history
says so.
"""
Json = dict[str, Any]


@dataclass(frozen=True)
class AlarmState:
    """Times are seconds since 1970. `updated`: when it was set last, `since`: when it came into that state,
    `configured`: when its spec of that `generation` was seen first. `pending`: messages that a topic has not taken.
    """

    name: str
    value: str = INSUFFICIENT
    reason: str = UNCHECKED
    data: str = ""
    updated: float = 0.0
    since: float = 0.0
    configured: float = 0.0
    generation: int = 0
    history: tuple[Json, ...] = field(default=())
    pending: tuple[Json, ...] = field(default=())


class AlarmBook:
    """By uid."""

    def __init__(self, file: SqliteFile, committer: GroupCommitter) -> None:
        self._committer, self._one = committer, asyncio.Lock()
        self._states: dict[str, AlarmState] = {}
        for name, data in tables.documents_below(file.connection, PREFIX):
            said = orjson.loads(data)
            lists = {each: tuple(said[each]) for each in ("history", "pending")}
            self._states[name.removeprefix(PREFIX)] = AlarmState(**{**said, **lists})

    def uids(self) -> list[str]:
        return list(self._states)

    def state(self, alarm: MetricAlarm) -> AlarmState:
        """As it is now; of one that was not seen yet, that which it begins with."""
        uid, created = alarm.metadata.uid or "", alarm.metadata.creation_timestamp
        at = created.timestamp() if created is not None else 0.0
        return self._states.get(uid) or AlarmState(alarm_name(alarm), updated=at, since=at, configured=at)

    def by_uid(self, uid: str) -> AlarmState | None:
        return self._states.get(uid)

    async def note_spec(self, alarm: MetricAlarm, now: float) -> None:
        """A spec that is new is part of the history. Raises sqlite3.Error."""
        async with self._one:
            state, generation = self.state(alarm), alarm.metadata.generation or 0
            if state.generation == generation:
                return
            what = "updated" if state.generation else "created"
            item = _item(
                "ConfigurationUpdate", f'Alarm "{state.name}" {what}', {"version": "1.0", "type": what.title()}, now
            )
            await self._put(alarm, replace(state, generation=generation, configured=now, history=_with(state, item)))

    async def set(self, alarm: MetricAlarm, verdict: Verdict, messages: list[Json], now: float) -> None:
        """It is in that state, and these are told of it. Raises sqlite3.Error."""
        async with self._one:
            before = self.state(alarm)
            data = orjson.dumps(verdict.data).decode() if verdict.data else ""
            told = {
                "version": "1.0",
                "oldState": {"stateValue": before.value, "stateReason": before.reason},
                "newState": {
                    "stateValue": verdict.state,
                    "stateReason": verdict.reason,
                    "stateReasonData": verdict.data,
                },
            }
            item = _item("StateUpdate", f"Alarm updated from {before.value} to {verdict.state}", told, now)
            waiting = (*before.pending, *messages)
            lost = [_acted(each, "too many messages wait", now) for each in waiting[:-MOST_PENDING]]
            after = replace(
                before,
                value=verdict.state,
                reason=verdict.reason,
                data=data,
                updated=now,
                since=now if verdict.state != before.value else before.since,
                history=_with(before, item, *lost),
                pending=waiting[-MOST_PENDING:],
            )
            await self._put(alarm, after)

    async def told(self, alarm: MetricAlarm, message: Json, why_not: str, now: float) -> None:
        """A topic took it, or never will, for that reason. Raises sqlite3.Error."""
        async with self._one:
            state = self.state(alarm)
            item = _acted(message, why_not, now)
            left = tuple(each for each in state.pending if each != message)
            await self._put(alarm, replace(state, pending=left, history=_with(state, item)))

    async def forget(self, uid: str) -> None:
        """Raises sqlite3.Error."""
        self._states.pop(uid, None)
        await self._committer.submit(lambda db: tables.drop_document(db, PREFIX + uid))

    async def _put(self, alarm: MetricAlarm, state: AlarmState) -> None:
        uid, data = alarm.metadata.uid or "", orjson.dumps(asdict(state))

        def done(_: None) -> None:
            self._states[uid] = state

        await self._committer.submit(lambda db: tables.put_document(db, PREFIX + uid, data), done)


def _item(kind: str, summary: str, data: Json, now: float) -> Json:
    return {"kind": kind, "summary": summary, "data": orjson.dumps(data).decode(), "at": now}


def _acted(message: Json, why_not: str, now: float) -> Json:
    """A topic took it, or will not get it, for that reason."""
    how = "Failed to execute" if why_not else "Successfully executed"
    data = {"actionState": "Failed" if why_not else "Succeeded", "error": why_not}
    return _item("Action", f"{how} action {message['topic']}", data, now)


def _with(state: AlarmState, *items: Json) -> tuple[Json, ...]:
    """The newest of all."""
    kept, left = list[Json](), MOST_HISTORY_BYTES
    for each in reversed((*state.history, *items)[-MOST_HISTORY:]):
        left -= len(each["data"]) + len(each["summary"])
        if left < 0:
            break
        kept.append(each)
    return tuple(reversed(kept))
