"""The report: every finding, worst first, and the one word that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.health import backups, resources, workers
from controller.health.finding import SEVERITIES, Code, Finding, Verdict
from controller.kit.clock import Clock
from controller.kit.leases import Leases
from controller.resources.registry import Registry
from crds.kind import GROUP, Kind
from crds.kinds.backup import BACKUP_SCHEDULE
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.model import rfc3339

Source = Callable[[], Iterable[Finding]]
_REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """`findings`: worst first. The verdict is about these, so who may see less hears of what they see."""

    findings: tuple[Finding, ...]
    at: datetime

    @property
    def verdict(self) -> Verdict:
        severities = {each.severity for each in self.findings}
        return "NotWell" if "critical" in severities else "NeedsAttention" if "warning" in severities else "Well"

    @property
    def summary(self) -> str:
        """The verdict in words, as every client tells it. What is only good to know does not count."""
        count = sum(each.severity != "info" for each in self.findings)
        if not count:
            return "all is well"
        text = f"{count} {'thing needs' if count == 1 else 'things need'} attention"
        return f"not well: {text}" if self.verdict == "NotWell" else text

    def seen_by(self, may_see: Callable[[Finding], bool]) -> Report:
        """The part of the report that somebody may know."""
        return Report(tuple(filter(may_see, self.findings)), self.at)

    def wire(self) -> dict[str, Any]:
        """The report as the API tells it."""
        told = [each.wire() for each in self.findings]
        said = {"verdict": self.verdict, "summary": self.summary, "observedAt": rfc3339(self.at)}
        return {"kind": "HealthReport", **said, "findings": told}


class Health:
    """`is_caught_up`: whether all was looked at since the start. `own_worker`: who shares the conductor's disk.

    `sources`: what else is looked at, each time; one that fails with OSError has nothing to say.
    """

    def __init__(
        self,
        registry: Registry,
        leases: Leases,
        clock: Clock,
        managed: Sequence[ManagedService],
        *,
        is_caught_up: Callable[[], bool] = lambda: True,
        own_worker: str = "",
        sources: Sequence[Source] = (),
    ) -> None:
        self._registry, self._leases, self._clock, self._managed = registry, leases, clock, managed
        self._is_caught_up, self._own, self._sources = is_caught_up, own_worker, sources
        self._last: tuple[float, Report] | None = None

    def look(self) -> Report:
        """The report of how things are now."""
        found = sorted(self._findings(), key=lambda each: SEVERITIES.index(each.severity))
        return Report(tuple(found), self._clock.now())

    def readiness(self) -> dict[str, object]:
        """The body of `/ready`, for everybody: the verdict in a word, and no finding.

        Ready is who answers: an orchestrator would restart a conductor for what a restart does not mend.
        """
        store, is_ready = self._registry.store, self._is_caught_up()
        state: dict[str, object] = {"ready": is_ready, "revision": store.revision, "health": self._glance().verdict}
        return state if is_ready else {**state, "because": "not everything was looked at yet"}

    def _glance(self) -> Report:
        """At most a second old: probes ask often."""
        now = self._clock.monotonic()
        if self._last is None or now - self._last[0] > _REMEMBERED_SECONDS:
            self._last = now, self.look()
        return self._last[1]

    def _findings(self) -> Iterator[Finding]:
        if not self._is_caught_up():
            text = "the conductor has just started, and has not looked at everything yet"
            yield Finding("critical", Code.CONDUCTOR_STARTING, text, "wait some seconds")
        yield from resources.of_services(self._bodies(SERVICE), self._managed, self._clock.now())
        yield from workers.of_workers(self._bodies(WORKER), self._leases, self._own)
        yield from resources.of_namespaces(self._bodies(NAMESPACE), self._clock.now())
        yield from backups.of_schedules(self._bodies(BACKUP_SCHEDULE), self._clock.now())
        if (keys := self._kind("keys")) is not None:
            yield from resources.of_keys(keys, self._bodies(keys))
        if (buckets := self._kind("buckets")) is not None:
            yield from resources.of_buckets(buckets, self._bodies(buckets))
        if count := len(self._registry.quarantine):
            text = (
                f"{count} stored {'record' if count == 1 else 'records'} cannot be read by this version: left alone"
            )
            yield Finding(
                "warning", Code.UNREADABLE_RECORDS, text, "aerekos events; go back to the version that wrote them"
            )
        for source in self._sources:
            with suppress(OSError):
                yield from source()

    def _bodies(self, kind: Kind[Any]) -> list[dict[str, Any]]:
        return [each.object for each in self._registry.store.list(kind.group, kind.plural).records]

    def _kind(self, plural: str) -> Kind[Any] | None:
        """A kind of a managed service, when that one is installed."""
        found = (each for each in self._registry.catalog if (each.group, each.plural) == (GROUP, plural))
        return next(found, None)
