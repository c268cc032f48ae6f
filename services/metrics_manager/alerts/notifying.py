"""Who is told what, and when: groups of alerts for each channel, once, again where they go on, and their end.

Each channel is told in a task of its own: one that takes long, or takes nothing, keeps no rule and no other channel
waiting. What was told is remembered over restarts. Told twice is possible where this process is killed within a
second; never told is not: what a channel does not take is tried again, later and later.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from services.metrics_manager.alert_kinds import ALERT_CHANNEL, ALERT_SILENCE, AlertChannel
from services.metrics_manager.alerts.alert import Alert, Rule
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.by_age import oldest_first
from services.metrics_manager.alerts.grouping import groups_of, is_news
from services.metrics_manager.alerts.messages import Group
from services.metrics_manager.alerts.muting import Inhibitions, Silences
from services.metrics_manager.named_tasks import NamedTasks
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0
_BEAT_TICK, _WRITTEN_EVERY = 5.0, 1.0
FRESH = 60.0
"""In seconds: no heartbeat says that rules are computed where they were not for so long."""
MOST_GROUPS = 20
"""So many of a channel are told between two evaluations, those that it did not take last."""
MOST_CHANNELS = 50
"""Of a namespace."""
_ONE_TOO_MANY = (0.0, f"its namespace has more than {MOST_CHANNELS} channels; this one is not told")
LITTLE = 5.0
"""So many seconds are between evaluations anyway: what comes together is told together."""


class ChannelFault(Exception):
    """It could not be told."""


class Sends(Protocol):
    async def send(self, channel: AlertChannel, group: Group) -> None:
        """Raises ChannelFault."""
        ...


class _Due(NamedTuple):
    """`states`: what is told with it of each alert, by id; `at`: when that was so."""

    group: Group
    states: dict[str, str]
    at: float


class Notifier:
    """`outcomes`: by uid of a channel, when it was told last and why not (time, error). `computed_at`: when the rules
    of the platform were computed last.
    """

    def __init__(
        self, context: ServiceContext, book: AlertBook, sender: Sends, computed_at: Callable[[], float]
    ) -> None:
        self._clock, self._book, self._sender, self._computed_at = context.clock, book, sender, computed_at
        self.channels, self.silences = context.informer(ALERT_CHANNEL), context.informer(ALERT_SILENCE)
        self.outcomes: dict[str, tuple[float, str]] = {}
        self._tasks = NamedTasks("the telling of a channel")
        self._retries: dict[str, tuple[int, float]] = {}
        self._first: dict[str, float] = {}
        self._has_news = False

    async def run(self) -> None:
        """Until the end: heartbeats at their time."""
        try:
            while True:
                for channel in self._told_channels():
                    if channel.spec.type == "heartbeat":
                        self._beat(channel)
                await asyncio.sleep(_BEAT_TICK)
        finally:
            await self._tasks.end()
            if self._has_news:
                await self._write_once()

    def muting(self, rules: Mapping[str, Rule]) -> Callable[[Alert], list[str]]:
        """Says why nobody is told of an alert now: names of silences, and `inhibited`."""
        inhibitions, silences = Inhibitions(rules, self._book), Silences(self.silences.all(), self._clock.now())

        def muted(alert: Alert) -> list[str]:
            found = silences.reach(alert)
            return [*found, "inhibited"] if inhibitions.reach(alert) else found

        return muted

    def awaited(self) -> set[str]:
        """The ids of alerts whose end somebody is still to be told of."""
        listening = {each.metadata.uid for each in self._told_channels() if each.spec.send_resolved}
        told = [each["alerts"] for key, each in self._book.told.items() if _uid(key) in listening]
        return {id for alerts in told for id, state in alerts.items() if state == "firing"}

    async def tell(self, rules: Sequence[Rule], now: float) -> None:
        """Begin to tell what is to be told now. Whoever was told of an alert hears of its end, muted or not."""
        muted = self.muting({each.key: each for each in rules})
        alerts = [each for each in self._book.all() if each.state != "pending"]
        heard = [each for each in alerts if each.state == "resolved" or not muted(each)]
        of_namespaces: dict[str, list[Alert]] = {}
        for each in heard:
            of_namespaces.setdefault(dict(each.labels).get("namespace", ""), []).append(each)
        live = set()
        for channel in self._told_channels():
            theirs = (
                heard if channel.spec.scope == "Cloud" else of_namespaces.get(channel.metadata.namespace or "", [])
            )
            groups = groups_of(channel, theirs) if channel.spec.type != "heartbeat" else []
            live |= {channel.metadata.uid or "", *(each.key for each in groups)}
            self._begin(channel, groups, now)
        self._forget(live)

    def _told_channels(self) -> list[AlertChannel]:
        """Those that are enabled, so many of each namespace as there may be: the oldest."""
        found, counts = [], Counter[str]()
        for each in oldest_first(self.channels.all()):
            if not each.spec.enabled:
                continue
            counts[each.metadata.namespace or ""] += 1
            if counts[each.metadata.namespace or ""] > MOST_CHANNELS:
                self.outcomes[each.metadata.uid or ""] = _ONE_TOO_MANY
                continue
            if self.outcomes.get(each.metadata.uid or "") == _ONE_TOO_MANY:
                del self.outcomes[each.metadata.uid or ""]
            found.append(each)
        return found

    def _begin(self, channel: AlertChannel, groups: Sequence[Group], now: float) -> None:
        uid = channel.metadata.uid or ""
        if uid in self._tasks or self._is_held(uid, now):
            return
        due = [found for each in groups if (found := self._due(channel, each, now)) is not None]
        due.sort(key=lambda each: self._retries.get(each.group.key, (0, 0.0))[0])
        if due:
            self._tasks.begin(uid, partial(self._tell, channel, due[:MOST_GROUPS]))

    def _due(self, channel: AlertChannel, group: Group, now: float) -> _Due | None:
        spec, before = channel.spec, self._book.told.get(group.key, {"at": 0.0, "alerts": {}})
        told: dict[str, str] = before["alerts"]
        news = [each for each in group.alerts if is_news(each, before, ends=spec.send_resolved)]
        repeats = group.is_firing and told and now - before["at"] >= spec.repeat_seconds
        if not news and not repeats:
            return None
        first = self._first.setdefault(group.key, now)
        if not told and now - first < spec.group_seconds and spec.group_seconds > LITTLE:
            return None
        if self._is_held(group.key, now):
            return None
        shown = [each for each in group.alerts if each.state == "firing" or each in news]
        states = {each.id: each.state for each in group.alerts}
        return _Due(group._replace(alerts=shown), {**told, **states}, now)

    def _is_held(self, key: str, now: float) -> bool:
        """Whether that channel, or group, did not take what it was told last, and is not tried again yet."""
        return now < self._retries.get(key, (0, 0.0))[1]

    async def _tell(self, channel: AlertChannel, due: Sequence[_Due]) -> None:
        """One after the other, until it does not take one."""
        for group, states, at in due:
            if not await self._send(channel, group):
                return
            self._book.told[group.key] = {"at": at, "alerts": states}
            self._note()

    def _beat(self, channel: AlertChannel) -> None:
        uid, now = channel.metadata.uid or "", self._now()
        at, _ = self.outcomes.get(uid, (0.0, ""))
        if now - at >= channel.spec.repeat_seconds and now - self._computed_at() < FRESH:
            self._tasks.begin(uid, partial(self._send_beat, channel))

    async def _send_beat(self, channel: AlertChannel) -> None:
        await self._send(channel, Group(f"{channel.metadata.uid}/heartbeat", {}, ()))

    async def _send(self, channel: AlertChannel, group: Group) -> bool:
        uid = channel.metadata.uid or ""
        try:
            await self._sender.send(channel, group)
        except ChannelFault as fault:
            for key in (uid, group.key):
                tries = self._retries.get(key, (0, 0.0))[0] + 1
                self._retries[key] = (tries, self._now() + min(_FIRST_RETRY * 2 ** min(tries - 1, 10), _LAST_RETRY))
            self.outcomes[uid] = (self.outcomes.get(uid, (0.0, ""))[0], str(fault))
            return False
        for key in (uid, group.key):
            self._retries.pop(key, None)
        self._first.pop(group.key, None)
        self.outcomes[uid] = (self._now(), "")
        return True

    def _forget(self, live: set[str]) -> None:
        """What there is nothing of any more: groups, alerts of them, channels. `live`: uids, and keys of groups."""
        self._retries = {key: each for key, each in self._retries.items() if key in live}
        self._first = {key: each for key, each in self._first.items() if key in live}
        known = {each.metadata.uid or "" for each in self.channels.all()}
        self.outcomes = {uid: each for uid, each in self.outcomes.items() if uid in known}
        ids = {each.id for each in self._book.all()}
        gone = [
            key
            for key, each in self._book.told.items()
            if _uid(key) not in live or not ids.intersection(each["alerts"])
        ]
        for key in gone:
            del self._book.told[key]
        for each in self._book.told.values():
            each["alerts"] = {id: state for id, state in each["alerts"].items() if id in ids}
        if gone:
            self._note()

    def _note(self) -> None:
        """What was told is written once a second: it is one document, and messages may be many."""
        self._has_news = True
        self._tasks.begin("what was told", self._write)

    async def _write(self) -> None:
        while self._has_news:
            await self._write_once()
            await asyncio.sleep(_WRITTEN_EVERY)

    async def _write_once(self) -> None:
        self._has_news = False
        try:
            await self._book.note_told()
        except sqlite3.Error as error:
            log.warning("what was told cannot be written", extra={"fields": {"because": str(error)}})

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _uid(key: str) -> str:
    """That of the channel whose group it is."""
    return key.partition("/")[0]
