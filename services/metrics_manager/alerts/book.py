"""The alerts there are, by rule, and what else outlives this process: which were told to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from services.metrics_manager.alerts.alert import Alert, alert_of
from services.metrics_manager.store import tables
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile

_ALERTS, _TOLD = "alerts", "told"
Told = dict[str, dict[str, Any]]


class AlertBook:
    """`told`: by channel and group, what was told last. Read at the start, written whole where something moved."""

    def __init__(self, file: SqliteFile, committer: GroupCommitter) -> None:
        self._committer = committer
        found = orjson.loads(tables.document(file.connection, _ALERTS) or b"[]")
        self._alerts: dict[str, dict[str, Alert]] = {}
        for each in map(alert_of, found):
            self._alerts.setdefault(each.rule, {})[each.id] = each
        self._moved = False
        self.told: Told = orjson.loads(tables.document(file.connection, _TOLD) or b"{}")

    def of(self, rule: str) -> dict[str, Alert]:
        return self._alerts.get(rule, {})

    def all(self) -> list[Alert]:
        return [alert for alerts in self._alerts.values() for alert in alerts.values()]

    def rules(self) -> list[str]:
        """Of which there are alerts."""
        return list(self._alerts)

    def put(self, rule: str, alerts: Sequence[Alert]) -> None:
        """These are the alerts of that rule now; `save` makes them outlive this process."""
        before = {(each.id, each.state) for each in self.of(rule).values()}
        self._alerts[rule] = {each.id: each for each in alerts}
        if not alerts:
            del self._alerts[rule]
        self._moved = self._moved or {(each.id, each.state) for each in alerts} != before

    async def save(self) -> None:
        """Where an alert began or ended since. Raises sqlite3.Error."""
        if self._moved:
            data = orjson.dumps([each.wire() for each in self.all()])
            self._moved = False
            try:
                await self._committer.submit(lambda db: tables.put_document(db, _ALERTS, data))
            except BaseException:
                self._moved = True
                raise

    async def note_told(self) -> None:
        """Remember `told`. Raises sqlite3.Error."""
        data = orjson.dumps(self.told)
        await self._committer.submit(lambda db: tables.put_document(db, _TOLD, data))
