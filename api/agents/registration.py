"""/agents: what workers tell of themselves, and who is heard (heartbeats: api/agents/heartbeats.py)."""

import re
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, Field

from api.agents.heartbeats import gone, machine_address, worker_of
from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from controller.kit.clock import Clock
from controller.kit.leases import BEAT_PERIOD, HeartbeatLease, Leases
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.kind import GROUP
from crds.kinds.worker import WORKER, Address, Amounts, SystemInfo
from crds.model import Model, rfc3339

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def _possible(told: Address) -> Address:
    """Raises ValueError for what no machine is called. People read it in tables, and tools call it."""
    if told.type == "InternalIP":
        machine_address(ip_address(told.address))
    elif not _HOST.fullmatch(told.address):
        raise ValueError(f"{told.address[:80]!r} is no host name")
    return told


class NodeFacts(Model):
    """Facts an agent reports of its machine when it registers."""

    capacity: Amounts
    addresses: list[Annotated[Address, AfterValidator(_possible)]] = Field(default_factory=list, max_length=64)
    system: SystemInfo = Field(default_factory=SystemInfo)
    labels: dict[str, str] = Field(default_factory=dict)


def agent_routes(
    registry: Registry,
    leases: Leases,
    authenticator: Authenticator,
    authorizer: Authorizer,
    clock: Clock,
) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/agents")

    # Coroutines, because FastAPI runs plain functions in threads, which costs more than they do.
    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    async def worker(asker: Annotated[Principal, Depends(authenticate)]) -> str:
        return worker_of(asker)

    @router.post("/register")
    async def register(facts: NodeFacts, name: Annotated[str, Depends(worker)]) -> dict[str, Any]:
        how = WriteOptions(by=f"system:worker:{name}", validation="Strict")
        key = WORKER.key(name)
        if registry.store.get(key) is None:  # joining makes it; one that was deleted must be asked in again
            raise gone(name)
        if facts.labels:
            await registry.merge(WORKER, key, {"metadata": {"labels": facts.labels}}, how)
        status = {**facts.wire(), "lastRegisteredAt": rfc3339(clock.now())}
        status.pop("labels")
        written = await registry.merge(WORKER, key, {"status": status}, how, subresource="status")
        return written.body

    @router.get("/leases", response_model=None)
    async def all_leases(
        asker: Annotated[Principal, Depends(authenticate)], watch: bool = False
    ) -> dict[str, Any] | StreamingResponse:
        authorizer.require(asker, Action("watch" if watch else "list", GROUP, "workers"))
        if watch:
            return StreamingResponse(_beats(leases, clock), media_type="application/json")
        now = clock.monotonic()
        return {"leases": [_told(lease, now) for lease in leases.snapshot()]}

    return router


async def _beats(leases: Leases, clock: Clock) -> AsyncIterator[bytes]:
    """One JSON line per worker and beat, from now on, gathered once a beat's period; the first ones tell all."""
    heard: dict[str, float] = {}
    while True:
        fresh = [lease for lease in leases.snapshot() if heard.get(lease.worker) != lease.heard_at]
        heard.update((lease.worker, lease.heard_at) for lease in fresh)
        now = clock.monotonic()
        yield b"".join(orjson.dumps({"type": "MODIFIED", "object": _told(each, now)}) + b"\n" for each in fresh)
        await anyio.sleep(BEAT_PERIOD)


def _told(lease: HeartbeatLease, now: float) -> dict[str, Any]:
    usage, swarm = lease.usage, {} if lease.swarm is None else {"swarm": lease.swarm.shown()}
    return {
        "worker": lease.worker,
        "ageSeconds": round(now - lease.heard_at, 3),
        "usage": {
            "cpu": usage.cpu,
            "memory": usage.memory,
            "disk": usage.disk,
            "networkReceived": usage.network_received,
            "networkSent": usage.network_sent,
        },
        "addresses": list(lease.addresses),
        "services": lease.services,
        **swarm,
    }
