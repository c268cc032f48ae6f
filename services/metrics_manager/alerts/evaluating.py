"""Computes the rules, after each round of scrapes of the platform: the platform's first, which are told at once, then
those of each namespace, which wait for their turn and keep nobody else's waiting.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from services.metrics_manager.alert_kinds import ALERT_RULE, AlertRule
from services.metrics_manager.alerts.alert import Rule, advanced
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.built_in import PLATFORM
from services.metrics_manager.alerts.by_age import oldest_first
from services.metrics_manager.alerts.computing import Computed, Room, Work, computing
from services.metrics_manager.queries import Queries
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
LONGEST_PAUSE = 15.0
MOST_RULES, MOST_OF_NAMESPACE = 100, 1_000
"""Rules, and alerts, of a namespace."""
SECONDS_OF_NAMESPACE = 5.0
"""So long all rules of a namespace may take in a round; those that are left are the first in the next."""


class Tells(Protocol):
    """Who is told of what is found."""

    def awaited(self) -> set[str]:
        """The ids of alerts whose end somebody is still to be told of."""
        ...

    async def tell(self, rules: Sequence[Rule], now: float) -> None:
        """Begin to tell what is to be told now."""
        ...


class Evaluator:
    """`errors`: by key of a rule, why it could not be computed. `evaluated_at`: when those of the platform were."""

    def __init__(self, context: ServiceContext, queries: Queries, book: AlertBook, teller: Tells) -> None:
        self._clock, self._queries, self._book, self._teller = context.clock, queries, book, teller
        self._records = context.informer(ALERT_RULE)
        self._round, self._theirs = asyncio.Event(), asyncio.Event()
        self._first: dict[str, str] = {}
        self._at: dict[str, float] = {}
        self.errors: dict[str, str] = {}
        self.evaluated_at = 0.0

    def soon(self) -> None:
        """There are new samples."""
        self._round.set()

    def at(self, rule: str) -> float:
        """When that one was looked at last; 0 where it was not yet."""
        return self._at.get(rule, 0.0)

    async def run(self) -> None:
        """Those of the platform, until the end."""
        await self._records.synced.wait()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_PAUSE):  # wait_for would lose a cancellation of that moment
                    await self._round.wait()
            self._round.clear()
            await _kept_going(self._evaluate_platform)
            self._theirs.set()

    async def run_theirs(self) -> None:
        """Those of all namespaces, until the end."""
        while True:
            await self._theirs.wait()
            self._theirs.clear()
            await _kept_going(self._evaluate_theirs)

    async def _evaluate_platform(self) -> None:
        """Once. Raises sqlite3.Error."""
        now, awaited = self._now(), self._teller.awaited()
        rules = self.rules()
        for rule in (each for each in rules if not namespace_of(each)):
            await self._compute(Work(rule, self._book.of(rule.key), now, awaited))
        self._forget({each.key for each in rules}, awaited)
        await self._book.save()
        self.evaluated_at = now
        await self._teller.tell(rules, now)

    async def _evaluate_theirs(self) -> None:
        """Once. Raises sqlite3.Error."""
        by_namespace: dict[str, list[Rule]] = {}
        awaited = self._teller.awaited()
        for each in self.rules():
            if namespace := namespace_of(each):
                by_namespace.setdefault(namespace, []).append(each)
        for namespace, rules in by_namespace.items():
            await self._evaluate_of(namespace, rules, awaited)
        if by_namespace:
            await self._book.save()
            await self._teller.tell(self.rules(), self._now())

    async def _evaluate_of(self, namespace: str, rules: Sequence[Rule], awaited: set[str]) -> None:
        """As many of them as there is time for."""
        for each in rules[MOST_RULES:]:
            self.errors[each.key] = f"its namespace has more than {MOST_RULES} rules; this one is not computed"
        left = SECONDS_OF_NAMESPACE
        for rule in _in_turns(rules[:MOST_RULES], self._first.pop(namespace, "")):
            if left <= 0:
                self._first[namespace] = rule.key
                return
            room = self._room(rule, rules)
            work = Work(rule, self._book.of(rule.key), self._now(), awaited, room, is_bounded=True)
            left -= (await self._compute(work)).seconds

    def _room(self, rule: Rule, rules: Sequence[Rule]) -> Room:
        others = [alert for each in rules if each.key != rule.key for alert in self._book.of(each.key).values()]
        live = sum(each.state != "resolved" for each in others)
        return Room(max(MOST_OF_NAMESPACE - live, 0), max(MOST_OF_NAMESPACE - len(others), 0))

    async def _compute(self, work: Work) -> Computed:
        """One rule. What cannot be computed keeps its alerts, as long as nobody knows."""
        computed, key = await self._queries.run(computing(work), None), work.rule.key
        self._at[key] = work.now
        self.errors.pop(key, None)
        if computed.alerts is None:
            self.errors[key] = computed.error
        else:
            self._book.put(key, computed.alerts)
        return computed

    def _forget(self, known: set[str], awaited: set[str]) -> None:
        """The alerts of rules that are no more end."""
        now = self._now()
        for key in (each for each in self._book.rules() if each not in known):
            self._book.put(key, advanced(Rule(key, key, None, ""), (), self._book.of(key), now, awaited))
        self.errors = {key: each for key, each in self.errors.items() if key in known}
        self._at = {key: each for key, each in self._at.items() if key in known}

    def rules(self) -> list[Rule]:
        """The platform's, those of AlertRules in their place, and all other AlertRules, the oldest first."""
        records = {key_of(each): each for each in oldest_first(self._records.all())}
        built_in = [each for each in PLATFORM if each.key not in records]
        return built_in + [rule_of(each) for each in records.values() if each.spec.enabled]

    def _now(self) -> float:
        return self._clock.now().timestamp()


async def _kept_going(evaluate: Callable[[], Awaitable[None]]) -> None:
    """The next round comes at its time, whatever one rule or channel did to this one."""
    try:
        await evaluate()
    except sqlite3.Error as error:
        log.warning("alerts cannot be written", extra={"fields": {"because": str(error)}})
    except Exception:
        log.exception("the rules could not be computed")


def _in_turns(rules: Sequence[Rule], first: str) -> list[Rule]:
    """From that one on, then those before it."""
    i = next((i for i, each in enumerate(rules) if each.key == first), 0)
    return [*rules[i:], *rules[:i]]


def key_of(record: AlertRule) -> str:
    """That of the rule of the platform which the record stands in the place of, else namespace and name."""
    meta, is_cloud = record.metadata, record.spec.scope == "Cloud"
    if is_cloud and meta.namespace == "default" and any(each.key == meta.name for each in PLATFORM):
        return meta.name
    return f"{meta.namespace}/{meta.name}"


def namespace_of(rule: Rule) -> str:
    """Whose it is; empty for those of the platform, and for what stands in their place."""
    return rule.key.rpartition("/")[0]


def rule_of(record: AlertRule) -> Rule:
    spec = record.spec
    return Rule(
        key_of(record),
        record.metadata.name,
        record.metadata.namespace if spec.scope == "Namespace" else None,
        spec.expr,
        spec.for_seconds,
        spec.keep_firing_for_seconds,
        spec.severity,
        spec.labels,
        spec.summary,
        spec.description,
        spec.runbook,
        tuple(spec.inhibited_by),
        tuple(spec.inhibit_labels),
    )
