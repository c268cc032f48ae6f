"""All views of one cloud: their kinds, where they are read from, and who writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.wire.answering import Answer, Receive, Send
from api.wire.asking import Ask
from api.wire.sources import Source
from api.wire.views.absent import ABSENT, ADVICE
from api.wire.views.computed import Computed
from api.wire.views.core_services import CoreServices
from api.wire.views.deployments import Deployments
from api.wire.views.endpoints import Endpoints
from api.wire.views.events import EVENT_V1, Events
from api.wire.views.logs import Logs
from api.wire.views.metrics import NODE_METRICS, POD_METRICS, Metrics
from api.wire.views.nodes import Nodes
from api.wire.views.pods import Pods
from api.wire.views.replica_sets import ReplicaSets
from api.wire.views.respelling import Respelling
from api.wire.views.view import Viewed
from api.wire.views.writing import ViewWriting
from api.wire.writing import Writing
from controller.kit.clock import Clock
from controller.kit.leases import Leases
from controller.resources.registry import Registry
from controller.runtime.driver import Driver, SupportsRestart
from controller.store.records import Record
from crds.errors import BadRequest
from crds.kind import Kind
from crds.meta import ObjectKey

Place = tuple[str, str]


class Views:
    """Without a driver there are no logs and no restarts of single instances, without leases no metrics."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        writing: Writing,
        driver: Driver | None = None,
        leases: Leases | None = None,
    ) -> None:
        pods, events = Pods(registry), Events()
        shown = [
            Viewed(each, registry) for each in (pods, Nodes(), Deployments(), CoreServices(), Endpoints(), events)
        ]
        self._viewed = {_place(each.kind): each for each in shown}
        self._spelled = {_place(EVENT_V1): Respelling(events, shown[-1], writing)}
        store = registry.store
        computing: list[Any] = [ReplicaSets(store)]
        if leases is not None:
            computing += [Metrics(kind, store, leases, pods, clock) for kind in (NODE_METRICS, POD_METRICS)]
        self.sources: dict[Place, Source] = {
            **self._viewed,
            **{_place(each.kind): Computed(each, store) for each in computing},
        }
        kinds = [*(each.kind for each in shown), *(each.kind for each in computing), *ABSENT]
        self.kinds: Sequence[Kind[Any]] = tuple(kinds)
        self._by_place = {_place(kind): kind for kind in kinds}
        self._writing = ViewWriting(registry, clock, driver.restart if isinstance(driver, SupportsRestart) else None)
        self._logs = Logs(driver, clock)

    def find(self, group: str, plural: str) -> Kind[Any] | None:
        """The view served at that place, or None."""
        return self._by_place.get((group, plural))

    def is_one(self, kind: Kind[Any]) -> bool:
        return _place(kind) in self._by_place

    def behind(self, kind: Kind[Any]) -> Kind[Any] | None:
        """The stored kind that is shown as `kind`, if one is."""
        viewed = self._viewed.get(_place(kind))
        return viewed.source if viewed else None

    def advice(self, kind: Kind[Any], verb: str) -> str:
        """What to do where `verb` is not served; empty when nothing better is known."""
        behind = self.behind(kind)
        if behind is not None and verb in behind.verbs:
            return f"it is a view of {behind.resource}, which does"
        return ADVICE.get(_place(kind), "")

    def stored(self, ask: Ask) -> Record:
        """What is shown as that view. Raises NotFound."""
        return self._viewed[_place(ask.target.kind)].found(ask.target.key)[1]

    async def answer(self, ask: Ask) -> Answer:
        """A write, or a scale. Callers have checked that the kind has that verb."""
        place = _place(ask.target.kind)
        if spelled := self._spelled.get(place):
            return await spelled.answer(ask)
        return await self._writing.answer(ask, self._viewed[place])

    def instance_of(self, ask: Ask) -> tuple[ObjectKey, str]:
        """The service and instance that `ask` names as a pod. Raises NotFound, BadRequest."""
        shown, service = self._viewed[_place(ask.target.kind)].found(ask.target.key)
        container = shown.object["spec"]["containers"][0]["name"]
        if ask.params.get("container", container) != container:
            raise BadRequest(f"container {ask.params['container']} is not valid for pod {ask.target.name}")
        return service.key, ask.target.name

    async def serve_log(self, ask: Ask, receive: Receive, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        await self._logs.serve(ask, self._viewed[_place(ask.target.kind)], receive, send, headers)


def _place(kind: Kind[Any]) -> Place:
    return (kind.group, kind.plural)
