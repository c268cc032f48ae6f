"""Who is told what, and when: groups of alerts for each channel, once, again where they go on, and their end.

What was told is remembered over restarts. Told twice is possible where this process is killed between the two;
never told is not: what a channel does not take is tried again, later and later.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol

from services.metrics_manager.alert_kinds import ALERT_CHANNEL, ALERT_SILENCE, AlertChannel
from services.metrics_manager.alerts.alert import Alert, Rule
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.messages import Group
from services.metrics_manager.alerts.muting import inhibited, silenced_by
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0


class ChannelFault(Exception):
    """It could not be told."""


class Sends(Protocol):
    async def send(self, channel: AlertChannel, group: Group) -> None:
        """Raises ChannelFault."""
        ...


class Notifier:
    """`outcomes`: by uid of a channel, when it was told last and why not (time, error)."""

    def __init__(self, context: ServiceContext, book: AlertBook, sender: Sends) -> None:
        self._clock, self._book, self._sender = context.clock, book, sender
        self.channels, self.silences = context.informer(ALERT_CHANNEL), context.informer(ALERT_SILENCE)
        self.outcomes: dict[str, tuple[float, str]] = {}
        self._retries: dict[str, tuple[int, float]] = {}
        self._first: dict[str, float] = {}

    def muted(self, alert: Alert, rules: dict[str, Rule]) -> list[str]:
        """Why nobody is told of it: names of silences, and `inhibited`."""
        found = silenced_by(alert, self.silences.all(), self._clock.now())
        return [*found, "inhibited"] if inhibited(alert, rules, self._book.all()) else found

    async def tell(self, rules: Sequence[Rule], now: float) -> None:
        """Tell what is to be told now."""
        by_key = {each.key: each for each in rules}
        heard = [each for each in self._book.all() if each.state != "pending" and not self.muted(each, by_key)]
        live = set()
        for channel in self.channels.all():
            if not channel.spec.enabled:
                continue
            if channel.spec.type == "heartbeat":
                await self._beat(channel, now)
                continue
            for group in groups_of(channel, heard):
                live.add(group.key)
                await self._tell_group(channel, group, now)
        await self._forget({key for key in self._book.told if key not in live})

    async def _beat(self, channel: AlertChannel, now: float) -> None:
        at, _ = self.outcomes.get(channel.metadata.uid or "", (0.0, ""))
        if now - at >= channel.spec.repeat_seconds:
            await self._send(channel, Group(f"{channel.metadata.uid}/heartbeat", {}, ()), now)

    async def _tell_group(self, channel: AlertChannel, group: Group, now: float) -> None:
        before: dict[str, Any] = self._book.told.get(group.key, {"at": 0.0, "alerts": {}})
        told: dict[str, str] = before["alerts"]
        news = [each for each in group.alerts if _is_news(each, told, ends=channel.spec.send_resolved)]
        repeats = group.is_firing and told and now - before["at"] >= channel.spec.repeat_seconds
        if not news and not repeats:
            return
        first = self._first.setdefault(group.key, now)
        if not told and now - first < channel.spec.group_seconds and channel.spec.group_seconds > LITTLE:
            return
        if now < self._retries.get(group.key, (0, 0.0))[1]:
            return
        shown = [each for each in group.alerts if each.state == "firing" or each in news]
        if await self._send(channel, group._replace(alerts=shown), now):
            self._book.told[group.key] = {"at": now, "alerts": {each.id: each.state for each in group.alerts}}
            await self._note()

    async def _send(self, channel: AlertChannel, group: Group, now: float) -> bool:
        uid = channel.metadata.uid or ""
        try:
            await self._sender.send(channel, group)
        except ChannelFault as fault:
            tries = self._retries.get(group.key, (0, 0.0))[0] + 1
            self._retries[group.key] = (tries, now + min(_FIRST_RETRY * 2 ** (tries - 1), _LAST_RETRY))
            self.outcomes[uid] = (self.outcomes.get(uid, (0.0, ""))[0], str(fault))
            return False
        self._retries.pop(group.key, None)
        self._first.pop(group.key, None)
        self.outcomes[uid] = (now, "")
        return True

    async def _forget(self, gone: set[str]) -> None:
        """Groups of which there is nothing any more."""
        for key in gone:
            del self._book.told[key]
        if gone:
            await self._note()

    async def _note(self) -> None:
        try:
            await self._book.note_told()
        except sqlite3.Error as error:
            log.warning("what was told cannot be written", extra={"fields": {"because": str(error)}})


LITTLE = 5.0
"""So many seconds are between evaluations anyway: what comes together is told together."""


def _is_news(alert: Alert, told: dict[str, str], *, ends: bool) -> bool:
    """One that fires and was not told, or that ended and was told while it fired."""
    if alert.state == "firing":
        return told.get(alert.id) != "firing"
    return ends and told.get(alert.id) == "firing"


def groups_of(channel: AlertChannel, alerts: Sequence[Alert]) -> list[Group]:
    """What that channel is told of, by the labels it groups by."""
    found: dict[tuple[tuple[str, str], ...], list[Alert]] = {}
    for each in alerts:
        labels = dict(each.labels)
        if _is_for(channel, labels):
            found.setdefault(tuple((n, labels.get(n, "")) for n in channel.spec.group_by), []).append(each)
    uid = channel.metadata.uid or ""
    return [Group(f"{uid}/{_joined(labels)}", dict(labels), each) for labels, each in found.items()]


def _is_for(channel: AlertChannel, labels: dict[str, str]) -> bool:
    spec = channel.spec
    reaches = spec.scope == "Cloud" or labels.get("namespace") == channel.metadata.namespace
    return reaches and all(labels.get(name) == value for name, value in spec.match.items())


def _joined(labels: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels)
