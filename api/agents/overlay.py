"""`POST /agents/overlay`: whom a worker reaches through the overlay network; its condition OverlayReachable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from api.agents.heartbeats import gone, worker_of
from api.auth.authentication import Authenticator
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.conditions import ConditionType, Reason
from crds.errors import NotFound
from crds.event_reasons import EventReason
from crds.kinds.worker import WORKER
from crds.meta import Condition, condition, set_condition
from crds.model import Model

OVERLAY = ConditionType.OVERLAY_REACHABLE
NAMED = 10
Tell = Callable[..., None]


class PeerProbe(Model):
    ok: bool
    milliseconds: float = 0.0
    error: Annotated[str, Field(max_length=200)] = ""


class OverlayReport(Model):
    """Results of a probe by worker; by address where nobody has ever answered."""

    peers: Annotated[dict[str, PeerProbe], Field(max_length=1000)]


def overlay_routes(
    registry: Registry, authenticator: Authenticator, clock: Clock, tell: Tell | None = None
) -> APIRouter:
    """`tell(worker, reason, message, warning=...)` is for people (`EventRecorder.tell`), when the answer changes."""
    router = APIRouter()

    @router.post("/agents/overlay", status_code=204)
    async def overlay(request: Request, seen: OverlayReport) -> None:
        name = worker_of(authenticator.authenticate(request.scope))
        found = _found(name, seen, _expected(registry) - {name})
        before: list[Condition | None] = []

        def edit(body: dict[str, Any]) -> dict[str, Any]:
            # In place of the newest, whatever else was written meanwhile: other conditions are not ours.
            before[:] = [condition(WORKER.parse(body).status.conditions, OVERLAY)]
            return _with(body, found, clock.now())

        how = WriteOptions(by=f"system:worker:{name}", validation="Strict")
        try:
            written = await registry.update(WORKER, WORKER.key(name), edit, how, subresource="status")
        except NotFound as deleted:
            raise gone(name) from deleted
        if tell is not None and _is_news(before[0], found):
            tell(
                WORKER.decode(written.body), EventReason(found.reason), found.message, warning=found.status == "False"
            )

    return router


def _with(body: dict[str, Any], found: Condition, now: datetime) -> dict[str, Any]:
    conditions = WORKER.parse(body).status.conditions
    set_condition(conditions, found, now=now)
    return {**body, "status": {**body.get("status", {}), "conditions": [each.wire() for each in conditions]}}


def _is_news(before: Condition | None, now: Condition) -> bool:
    """That all is well from the beginning is none."""
    was = before.status if before is not None else "True"
    return was != now.status or (now.status == "False" and before is not None and before.message != now.message)


def _expected(registry: Registry) -> frozenset[str]:
    """Workers that live and take part: what is not even found must not look as if all were well."""
    records = registry.store.list(WORKER.group, WORKER.plural).records
    return frozenset(each.key.name for each in records if _takes_part(each.object))


def _takes_part(worker: Mapping[str, Any]) -> bool:
    """Judged without parsing: each of a thousand machines asks this about all others once a minute."""
    stand = {each["type"]: each["status"] for each in worker.get("status", {}).get("conditions", ())}
    leaving = "deletionTimestamp" in worker["metadata"]
    return stand.get(ConditionType.READY) == "True" and OVERLAY in stand and not leaving


def _found(name: str, seen: OverlayReport, expected: frozenset[str]) -> Condition:
    if not seen.peers:  # it is among its own peers: a name that leads to nobody is broken
        return _not_reached(name, Reason.NAME_RESOLUTION_FAILED, "the name of its peers leads to nobody")
    silent = {worker: each.error for worker, each in seen.peers.items() if not each.ok and worker != name}
    missing = dict.fromkeys(sorted(expected - seen.peers.keys()), "not found by name")
    if lost := sorted((silent | missing).items()):
        told = [f"{worker} ({why})" if why else worker for worker, why in lost[:NAMED]]
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        return _not_reached(name, Reason.PEERS_UNREACHABLE, ", ".join(told) + more)
    others = len(seen.peers.keys() - {name})
    message = f"{others} other machines answer" if others else "there is no other machine yet"
    return Condition(type=OVERLAY, status="True", reason=Reason.PEERS_REACHABLE, message=message)


def _not_reached(name: str, reason: Reason, what: str) -> Condition:
    message = f"{name} does not reach through the overlay network: {what}"
    return Condition(type=OVERLAY, status="False", reason=reason, message=message)
