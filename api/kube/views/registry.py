"""All views of one cloud: their kinds, where they are read from, and who writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.asgi import Receive, Response, Send
from api.kube.request import ApiRequest
from api.kube.storage import ResourceStorage
from api.kube.views.absent import ABSENT, ADVICE
from api.kube.views.alias_writes import AliasWriteHandler
from api.kube.views.computed import ComputedStorage
from api.kube.views.core_services import CoreServices
from api.kube.views.deployments import Deployments
from api.kube.views.endpoints import Endpoints
from api.kube.views.events import EVENT_V1, Events
from api.kube.views.logs import Logs
from api.kube.views.metrics import NODE_METRICS, POD_METRICS, Metrics
from api.kube.views.nodes import Nodes
from api.kube.views.pods import Pods
from api.kube.views.replica_sets import ReplicaSets
from api.kube.views.view import ViewStorage
from api.kube.views.write import ViewWriteHandler
from api.kube.write import WriteHandler
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
        writing: WriteHandler,
        driver: Driver | None = None,
        leases: Leases | None = None,
    ) -> None:
        pods, events = Pods(registry), Events()
        shown = [
            ViewStorage(each, registry)
            for each in (pods, Nodes(), Deployments(), CoreServices(), Endpoints(), events)
        ]
        self._viewed = {_place(each.kind): each for each in shown}
        self._spelled = {_place(EVENT_V1): AliasWriteHandler(events, shown[-1], writing)}
        store = registry.store
        computing: list[Any] = [ReplicaSets(store)]
        if leases is not None:
            computing += [Metrics(kind, store, leases, pods, clock) for kind in (NODE_METRICS, POD_METRICS)]
        self.sources: dict[Place, ResourceStorage] = {
            **self._viewed,
            **{_place(each.kind): ComputedStorage(each, store) for each in computing},
        }
        kinds = [*(each.kind for each in shown), *(each.kind for each in computing), *ABSENT]
        self.kinds: Sequence[Kind[Any]] = tuple(kinds)
        self._by_place = {_place(kind): kind for kind in kinds}
        restart = driver.restart if isinstance(driver, SupportsRestart) else None
        self._writing = ViewWriteHandler(registry, clock, restart, writing.passing)
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
        """Advice where `verb` is not served; empty when nothing better is known."""
        behind = self.behind(kind)
        if behind is not None and verb in behind.verbs:
            return f"it is a view of {behind.resource}, which does"
        return ADVICE.get(_place(kind), "")

    def stored(self, ask: ApiRequest) -> Record:
        """What is shown as that view. Raises NotFound."""
        return self._viewed[_place(ask.target.kind)].found(ask.target.key)[1]

    async def answer(self, ask: ApiRequest) -> Response:
        """A write, or a scale. Callers have checked that the kind has that verb."""
        place = _place(ask.target.kind)
        if spelled := self._spelled.get(place):
            return await spelled.answer(ask)
        return await self._writing.answer(ask, self._viewed[place])

    def instance_of(self, ask: ApiRequest) -> tuple[ObjectKey, str]:
        """The service and instance that `ask` names as a pod. Raises NotFound, BadRequest."""
        shown, service = self._viewed[_place(ask.target.kind)].found(ask.target.key)
        container = shown.object["spec"]["containers"][0]["name"]
        if ask.params.get("container", container) != container:
            raise BadRequest(f"container {ask.params['container']} is not valid for pod {ask.target.name}")
        return service.key, ask.target.name

    async def serve_log(
        self, ask: ApiRequest, receive: Receive, send: Send, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        await self._logs.serve(ask, self._viewed[_place(ask.target.kind)], receive, send, headers)


def _place(kind: Kind[Any]) -> Place:
    return (kind.group, kind.plural)
