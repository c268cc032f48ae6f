"""`GET /traffic` lists who asks whom through the gateway, `GET /traffic?watch=true` tells it as it moves."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.traffic import Seen, Traffic, TrafficCounter, traffic_of
from crds.kind import GROUP

PERIOD = 1.0


def traffic_routes(traffic: Traffic, authenticator: Authenticator, authorizer: Authorizer) -> APIRouter:
    """The routes of traffic, for those who may list services."""
    router = APIRouter()

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/traffic", response_model=None)
    async def all_traffic(
        asker: Annotated[Principal, Depends(authenticate)], watch: bool = False
    ) -> dict[str, Any] | StreamingResponse:
        authorizer.require(asker, Action("watch" if watch else "list", GROUP, "services"))
        if watch:
            return StreamingResponse(_moving(traffic), media_type="application/json")
        return {"traffic": traffic.told({})}

    return router


async def _moving(traffic: Traffic) -> AsyncIterator[bytes]:
    """One JSON line for each pair that asked since the last look; the first ones tell all.

    A pair whose first request comes later is ADDED with counters of zero: its requests are traffic of now.
    """
    seen: Seen = {}
    yield b"".join(_line("ADDED", each) for each in traffic.told(seen))
    while True:
        await anyio.sleep(PERIOD)
        known = set(seen)
        for each in traffic.told(seen):
            if (each["from"], each["to"]) not in known:
                yield _line("ADDED", traffic_of(each["from"], each["to"], TrafficCounter(), each["ejected"]))
            yield _line("MODIFIED", each)


def _line(change: str, told: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": change, "object": told}) + b"\n"
