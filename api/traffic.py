"""Traffic through the gateway: who asks whom, and how it ends, counted since the start, told as it moves.

`GET /traffic` lists, `GET /traffic?watch=true` streams. Counters live in memory only: rates are what readers make of
two of them. `from` is the managed service that asks, or empty for people and their tools.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import anyio
import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from crds.kind import GROUP

PERIOD = 1.0


class CountsTraffic(Protocol):
    """What counts who asks whom: `Traffic`, or what tells one elsewhere."""

    def note(self, asker: str, service: str, code: int, seconds: float) -> None: ...


@dataclass(slots=True)
class TrafficCounter:
    """`errors`: answers of 500 and more, and requests nobody could take."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0


class Traffic:
    """One count for each pair that ever spoke. Callers name only services that exist, so it stays small."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], TrafficCounter] = {}

    def note(self, asker: str, service: str, code: int, seconds: float) -> None:
        count = self._counts.setdefault((asker, service), TrafficCounter())
        count.requests += 1
        count.errors += code >= 500
        count.seconds += seconds

    def told(self, seen: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
        """The pairs that asked more than `seen` says, which learns of it."""
        moved = {pair: count for pair, count in self._counts.items() if seen.get(pair) != count.requests}
        seen.update((pair, count.requests) for pair, count in moved.items())
        return [_one(asker, service, count) for (asker, service), count in moved.items()]


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
    seen: dict[tuple[str, str], int] = {}
    yield b"".join(_line("ADDED", each) for each in traffic.told(seen))
    while True:
        await anyio.sleep(PERIOD)
        known = set(seen)
        for each in traffic.told(seen):
            if (each["from"], each["to"]) not in known:
                yield _line("ADDED", _one(each["from"], each["to"], TrafficCounter()))
            yield _line("MODIFIED", each)


def _line(change: str, told: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": change, "object": told}) + b"\n"


def _one(asker: str, service: str, count: TrafficCounter) -> dict[str, Any]:
    numbers = {"requests": count.requests, "errors": count.errors, "seconds": round(count.seconds, 4)}
    return {"from": asker, "to": service, **numbers}
