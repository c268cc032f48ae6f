"""`GET /health/loop`: how the conductor's control loop is doing, as numbers. The dashboard's Settings show it.

For those who may list services in every namespace: viewers and up. It is a look at this moment; /metrics
has the same for a time series, and says the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.watch_metrics import WatchMetrics
from controller.kit import tracing
from controller.kit.clock import Clock
from controller.kit.distribution import Distribution
from controller.reconcile.metrics import ControllerState, InformerState, LoopMetrics
from controller.store.records import Store
from crds.kind import GROUP
from crds.kinds.service import SERVICE
from crds.model import rfc3339


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """What is read of the control loop. `unreadable`: how many stored records this version cannot read."""

    loop: LoopMetrics
    store: Store
    watches: WatchMetrics
    clock: Clock
    unreadable: Callable[[], int] = lambda: 0

    def wire(self) -> dict[str, Any]:
        """As the API tells it. Kinds in the order of their names; those that are only read have no queue."""
        controllers = {each.kind: each for each in self.loop.controllers()}
        informers = {each.kind: each for each in self.loop.informers()}
        names = sorted(controllers.keys() | informers.keys())
        return {
            "kind": "LoopHealth",
            "observedAt": rfc3339(self.clock.now()),
            "kinds": [self._kind(name, controllers.get(name), informers.get(name)) for name in names],
            "store": self._store(),
            "watchers": {
                "now": self.watches.now,
                "byKind": dict(sorted(self.watches.by_kind.items())),
                "slow": self.watches.slow,
                "expired": self.watches.expired,
            },
            "unreadableRecords": self.unreadable(),
            "traces": _traces(),
        }

    def _kind(self, name: str, controller: ControllerState | None, informer: InformerState | None) -> dict[str, Any]:
        return {
            "name": name,
            "queue": _queue(controller) if controller else None,
            "passes": _passes(controller) if controller else None,
            "informer": self._informer(informer) if informer else None,
        }

    def _informer(self, informer: InformerState) -> dict[str, Any]:
        return {
            "resources": informer.resources,
            "lagRevisions": informer.lag(self.store.last(informer.group, informer.plural)),
            "disconnectedSeconds": round(informer.disconnected_seconds, 3),
        }

    def _store(self) -> dict[str, Any]:
        written = self.store.metrics
        return {
            "revision": self.store.revision,
            "changes": int(written.batches.sum),
            "changesPerCommit": _rounded(written.batches.mean),
            "commits": _times(written.commits),
            "failedCommits": written.failed,
        }


def _queue(controller: ControllerState) -> dict[str, Any]:
    queue = controller.queue
    return {
        "depth": queue.depth,
        "delayed": queue.delayed,
        "working": queue.working,
        "oldestSeconds": round(queue.oldest_seconds, 3),
    }


def _passes(controller: ControllerState) -> dict[str, Any]:
    passes = controller.passes
    return {
        "results": dict(passes.results),
        "retries": passes.retries,
        "seconds": _times(passes.seconds),
        "last": passes.last,
        "lastSecondsAgo": _rounded(controller.last_seconds_ago),
    }


def _traces() -> dict[str, int] | None:
    """null: no collector is set."""
    sender = tracing.tracing()
    return None if sender is None else {"exported": sender.sent.exported, "failed": sender.sent.failed}


def _times(times: Distribution) -> dict[str, Any]:
    """`within99`: the bound of the bucket that holds 99 of 100; null when that is the last, which has none."""
    return {"count": times.count, "mean": _rounded(times.mean, 6), "within99": times.within(0.99)}


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def loop_health_routes(health: LoopHealth, authenticator: Authenticator, authorizer: Authorizer) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/health")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/loop")
    async def loop(asker: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
        authorizer.require(asker, Action("list", GROUP, SERVICE.plural))
        return health.wire()

    return router
