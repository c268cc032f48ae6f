"""Computes the rules, after each round of scrapes of the platform, all of them in one visit to the thread."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.metrics_manager.alert_kinds import ALERT_RULE, AlertRule
from services.metrics_manager.alerts.alert import Rule, advanced
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.built_in import PLATFORM
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import Labels
from services.metrics_manager.queries import Queries
from services.metrics_manager.tenancy import OfNamespace
from services.sdk.context import ServiceContext

if TYPE_CHECKING:
    from services.metrics_manager.promql.values import SampleSource

log = logging.getLogger(__name__)
LONGEST_PAUSE = 15.0
MOST_ALERTS = 500
Found = list[tuple[Labels, float]]


class Evaluator:
    """`then` is called after each evaluation, with the moment of it."""

    def __init__(
        self, context: ServiceContext, queries: Queries, book: AlertBook, then: Callable[[float], Awaitable[None]]
    ) -> None:
        self._clock, self._queries, self._book, self._then = context.clock, queries, book, then
        self._records = context.informer(ALERT_RULE)
        self._round = asyncio.Event()
        self.errors: dict[str, str] = {}
        self.evaluated_at = 0.0

    def soon(self) -> None:
        """There are new samples."""
        self._round.set()

    async def run(self) -> None:
        await self._records.synced.wait()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._round.wait(), LONGEST_PAUSE)
            self._round.clear()
            try:
                await self.evaluate()
            except sqlite3.Error as error:
                log.warning("alerts cannot be written", extra={"fields": {"because": str(error)}})
            except Exception:  # the next round comes at its time, whatever one rule or channel did to this one
                log.exception("the rules could not be computed")

    async def evaluate(self) -> None:
        """Once. Raises sqlite3.Error."""
        rules, now = self.rules(), self._clock.now().timestamp()
        found, self.errors = await self._queries.run(lambda source: _computed(source, rules, now), None)
        after = {}
        for rule in rules:
            if rule.key in found:
                after[rule.key] = advanced(rule, found[rule.key], self._book.of(rule.key), now)
            else:
                after[rule.key] = list(self._book.of(rule.key).values())  # as long as nobody knows
        gone = {each.rule for each in self._book.all()} - set(after)
        for key in gone:
            after[key] = advanced(Rule(key, key, None, ""), (), self._book.of(key), now)
        await self._book.put(after)
        self.evaluated_at = now
        await self._then(now)

    def rules(self) -> list[Rule]:
        """The platform's, those of AlertRules in their place, and all other AlertRules."""
        records = {key_of(each): each for each in self._records.all()}
        built_in = [each for each in PLATFORM if each.key not in records]
        return built_in + [rule_of(each) for each in records.values() if each.spec.enabled]


def key_of(record: AlertRule) -> str:
    """That of the rule of the platform which the record stands in the place of, else namespace and name."""
    meta, is_cloud = record.metadata, record.spec.scope == "Cloud"
    if is_cloud and meta.namespace == "default" and any(each.key == meta.name for each in PLATFORM):
        return meta.name
    return f"{meta.namespace}/{meta.name}"


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


def _computed(source: SampleSource, rules: Sequence[Rule], now: float) -> tuple[dict[str, Found], dict[str, str]]:
    """What each gives, and why others cannot be computed."""
    found, errors = {}, {}
    for rule in rules:
        seen = source if rule.namespace is None else OfNamespace(source, rule.namespace)
        try:
            found[rule.key] = _given(seen, rule, now)
        except QueryError as error:
            errors[rule.key] = str(error)
        except Exception as mistake:
            log.exception("a rule cannot be computed", extra={"fields": {"rule": rule.key}})
            errors[rule.key] = f"it cannot be computed: {type(mistake).__name__}"
    return found, errors


def _given(source: SampleSource, rule: Rule, now: float) -> Found:
    """Raises QueryError."""
    from services.metrics_manager.promql.engine import query_instant
    from services.metrics_manager.promql.values import Vector

    value = query_instant(source, rule.expr, round(now * 1000))
    if not isinstance(value, Vector):
        raise QueryError("expr: must give an instant vector", "bad_data")
    rows = zip(value.labels, value.values[:, 0], value.there[:, 0], strict=True)
    given = [(labels, float(number)) for labels, number, there in rows if there]
    if len(given) > MOST_ALERTS:
        raise QueryError(f"expr: it gives {len(given)} series; {MOST_ALERTS} alerts are the most there may be")
    return given
