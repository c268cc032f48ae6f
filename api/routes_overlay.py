"""`POST /agents/overlay`: whom a worker reaches through the overlay network; its condition OverlayReachable."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from api.auth.authenticating import Authenticator
from api.heartbeats import gone, worker_of
from controller.kit.clock import Clock
from controller.resources.registry import How, Registry
from crds.kinds.worker import WORKER
from crds.meta import Condition, set_condition
from crds.model import Model


class PeerAsked(Model):
    ok: bool
    milliseconds: float = 0.0
    error: Annotated[str, Field(max_length=200)] = ""


class OverlaySeen(Model):
    peers: Annotated[dict[str, PeerAsked], Field(max_length=1000)]


def overlay_routes(registry: Registry, authenticator: Authenticator, clock: Clock) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter()

    @router.post("/agents/overlay", status_code=204)
    async def overlay(request: Request, seen: OverlaySeen) -> None:
        name = worker_of(authenticator.who(request.scope))
        record = registry.store.get(WORKER.key(name))
        if record is None:
            raise gone(name)
        conditions = WORKER.parse(record.body).status.conditions
        set_condition(conditions, _condition(name, seen), now=clock.now())
        status: dict[str, Any] = {"conditions": [each.wire() for each in conditions]}
        how = How(by=f"system:worker:{name}", validation="Strict")
        await registry.merge(WORKER, record.key, {"status": status}, how, subresource="status")

    return router


def _condition(name: str, seen: OverlaySeen) -> Condition:
    lost = sorted(worker for worker, each in seen.peers.items() if not each.ok and worker != name)
    if lost:
        message = f"{name} cannot reach {', '.join(lost)} through the overlay network"
        return Condition(type="OverlayReachable", status="False", reason="PeersUnreachable", message=message)
    message = f"{len(seen.peers)} machines answer through the overlay network"
    return Condition(type="OverlayReachable", status="True", reason="PeersAnswer", message=message)
