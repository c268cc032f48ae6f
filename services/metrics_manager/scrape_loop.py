"""What is scraped, and when: the platform without being asked, and ScrapeTargets as they say.

One round of the platform: the conductor says what is ready, and each instance, the conductor itself and what it knows
of workers are asked; all of it becomes durable together.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from services.metrics_manager.exposition import Metadata
from services.metrics_manager.fetching import MOST_BYTES, ConductorFetch
from services.metrics_manager.kinds import SCRAPE_TARGET, ScrapeTarget
from services.metrics_manager.named_tasks import NamedTasks
from services.metrics_manager.names import CLOUD_PATH, CONDUCTOR_PATH, PLATFORM_SECONDS, instance_path
from services.metrics_manager.scraping import Fetch, ScrapeFault, Target, new_batch
from services.metrics_manager.store.sample_store import SampleStore
from services.sdk.context import ServiceContext
from services.sdk.outbound import OutboundFault, OutboundHttp, allowed_addresses

log = logging.getLogger(__name__)
PLATFORM_LIMIT = 20_000
_AT_ONCE = 8
_TICK = 1.0
_HEADERS = {"accept": "text/plain;version=0.0.4", "accept-encoding": "identity", "user-agent": "aerekos-metrics"}
AllowsPrivate = Callable[[str], bool]


class ScrapeLoop:
    """`allows_private`: whether targets of that namespace may be in private networks. `on_round` is called after each
    round of the platform.
    """

    def __init__(
        self,
        context: ServiceContext,
        store: SampleStore,
        outbound: OutboundHttp,
        allows_private: AllowsPrivate,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock, self._store, self._http, self._private = context.clock, store, outbound, allows_private
        self._conductor = ConductorFetch(context.client)
        self._wanted = context.informer(SCRAPE_TARGET)
        self._on_round = on_round
        self._platform: dict[str, Target] = {}
        self._theirs: dict[str, tuple[int, list[Target]]] = {}
        self._due: dict[str, float] = {}
        self._running = NamedTasks("a round of scrapes")

    def targets(self) -> list[Target]:
        """All of them, the platform's first."""
        return [*self._platform.values(), *(each for _, targets in self._theirs.values() for each in targets)]

    def metadata(self, namespace: str | None) -> dict[str, Metadata]:
        """What the targets of that namespace, or all of them, say of their families. The platform's word is first."""
        found: dict[str, Metadata] = {}
        for each in self.targets():
            if namespace in (None, each.labels.get("namespace")):
                for name, said in each.metadata.items():
                    found.setdefault(name, said)
        return found

    def of(self, uid: str) -> list[Target]:
        """What is scraped for the ScrapeTarget of that uid."""
        return self._theirs.get(uid, (0, []))[1]

    async def run(self) -> None:
        await self._wanted.synced.wait()
        try:
            while True:
                self._begin_due()
                await asyncio.sleep(_TICK)
        finally:
            await self._running.end()

    def _begin_due(self) -> None:
        self._begin("", PLATFORM_SECONDS, self._platform_round)
        wanted = {each.metadata.uid or "": each for each in self._wanted.all() if each.spec.enabled}
        for uid, each in wanted.items():
            self._begin(uid, each.spec.interval_seconds, partial(self._their_round, each))
        for uid in [uid for uid in self._theirs if uid not in wanted]:
            self._begin(f"end {uid}", 0.0, partial(self._end, uid))

    def _begin(self, name: str, interval: float, round: Callable[[], Coroutine[Any, Any, None]]) -> None:
        now = self._clock.monotonic()
        if name in self._running or now < self._due.get(name, 0.0):
            return
        self._due[name] = max(self._due.get(name, now) + interval, now + interval / 2)
        self._running.begin(name, round)

    async def _platform_round(self) -> None:
        try:
            ready = await self._conductor.instances()
        except ScrapeFault:
            ready = None
        if ready is not None:
            await self._follow(ready)
        try:
            await self._scrape(self._platform_targets())
        finally:
            self._on_round()

    def _platform_targets(self) -> list[Target]:
        for name, path in (("conductor", CONDUCTOR_PATH), ("cloud", CLOUD_PATH)):
            if name not in self._platform:
                labels = {"job": name, "instance": "conductor"}
                self._platform[name] = self._conductor_target(labels, path)
        return list(self._platform.values())

    async def _follow(self, ready: list[dict[str, object]]) -> None:
        """Have a target for each managed instance that is ready, and none for others."""
        paths = {}
        for each in ready:
            if each["managed"]:
                service, instance = str(each["service"]), str(each["instance"])
                path = instance_path(str(each["namespace"]), service, instance)
                paths[path] = {"job": service, "service": service, "instance": instance}
        for path, labels in paths.items():
            if path not in self._platform:
                self._platform[path] = self._conductor_target(labels, path)
        gone = [self._platform.pop(path) for path in list(self._platform) if "/" in path and path not in paths]
        await self._end_all(gone)

    def _conductor_target(self, labels: dict[str, str], path: str) -> Target:
        return Target(
            labels,
            lambda: self._conductor.text(path),
            self._store,
            honors=True,
            limit=PLATFORM_LIMIT,
            interval=PLATFORM_SECONDS,
            url=path,
        )

    async def _scrape(self, targets: Iterable[Target]) -> None:
        """Raises sqlite3.Error."""
        batch, places = new_batch(), asyncio.Semaphore(_AT_ONCE)

        async def one(target: Target) -> None:
            async with places:
                await target.scrape(lambda: self._clock.now().timestamp(), batch)

        await asyncio.gather(*(one(each) for each in targets))
        await self._store.append(batch)

    async def _end_all(self, targets: Iterable[Target]) -> None:
        batch, at = new_batch(), round(self._clock.now().timestamp() * 1000)
        for each in targets:
            each.end(at, batch)
        try:
            await self._store.append(batch)
        except sqlite3.Error as error:
            log.warning("series could not be ended", extra={"fields": {"because": str(error)}})

    async def _end(self, uid: str) -> None:
        _, targets = self._theirs.pop(uid, (0, []))
        await self._end_all(targets)

    async def _their_round(self, wanted: ScrapeTarget) -> None:
        await self._scrape(await self._their_targets(wanted))

    async def _their_targets(self, wanted: ScrapeTarget) -> list[Target]:
        meta, spec = wanted.metadata, wanted.spec
        uid, generation = meta.uid or "", meta.generation or 0
        known, targets = self._theirs.get(uid, (0, []))
        if known != generation:
            await self._end_all(targets)
            targets = []
        if url := spec.target.url:
            targets = targets or [self._target(wanted, url, url, lambda: self._outside(wanted))]
        else:
            targets = await self._of_service(wanted, targets)
        self._theirs[uid] = (generation, targets)
        return targets

    async def _of_service(self, wanted: ScrapeTarget, targets: list[Target]) -> list[Target]:
        """One for each instance of the Service that is ready, or one that says what is wrong."""
        namespace, name = wanted.metadata.namespace or "default", wanted.spec.target.service
        try:
            ready = await self._conductor.instances()
        except ScrapeFault:
            return targets
        named = [each for each in ready if (each["namespace"], each["service"]) == (namespace, name)]
        fault = f"the Service {name} has no ready instance"
        if any(each["managed"] for each in named):
            named, fault = [], f"the Service {name} is the platform's, which is scraped without being asked"
        wanted_now: dict[str, dict[str, object] | None] = {str(each["instance"]): each for each in named}
        wanted_now = wanted_now or {name: None}
        kept = {each.labels["instance"]: each for each in targets if each.labels["instance"] in wanted_now}
        await self._end_all(each for each in targets if each.labels["instance"] not in wanted_now)
        for instance, each in wanted_now.items():
            if instance not in kept:
                path = instance_path(namespace, name, instance)
                fetch = _failing(fault) if each is None else self._at(path, wanted)
                kept[instance] = self._target(wanted, instance, path, fetch)
        return list(kept.values())

    def _at(self, path: str, wanted: ScrapeTarget) -> Fetch:
        query = {"path": wanted.spec.target.path}
        return lambda: self._conductor.text(path, wanted.spec.timeout_seconds, query)

    def _target(self, wanted: ScrapeTarget, instance: str, url: str, fetch: Fetch) -> Target:
        meta, spec = wanted.metadata, wanted.spec
        own = {"namespace": meta.namespace or "default", "job": meta.name, "instance": instance}
        return Target(
            {**spec.labels, **own},
            fetch,
            self._store,
            honors=False,
            limit=spec.sample_limit,
            interval=spec.interval_seconds,
            url=url,
        )

    async def _outside(self, wanted: ScrapeTarget) -> str:
        """Raises ScrapeFault."""
        spec, url = wanted.spec, wanted.spec.target.url
        allowed = allowed_addresses(url, private=self._private(wanted.metadata.namespace or "default"))
        try:
            answer = await self._http.get(
                url, _HEADERS, seconds=spec.timeout_seconds, is_allowed=allowed, read=MOST_BYTES + 1
            )
        except OutboundFault as fault:
            raise ScrapeFault(str(fault)) from None
        if answer.status != 200:
            raise ScrapeFault(f"it answered {answer.status}")
        if len(answer.body) > MOST_BYTES:
            raise ScrapeFault(f"the answer has more than {MOST_BYTES} bytes")
        return answer.body.decode("utf-8", "replace")


def _failing(fault: str) -> Fetch:
    async def fail() -> str:
        raise ScrapeFault(fault)

    return fail
