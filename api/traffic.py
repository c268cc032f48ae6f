"""Traffic through the gateway: who asks whom, and how it ends, counted since the start, told as it moves.

`GET /traffic` lists, `GET /traffic?watch=true` streams. Counters live in memory only: rates are what readers make of
two of them. `from` is the managed service that asks, or empty for people and their tools; `ejected` names the
instances of `to` that gateways give no requests for a while.
"""

from collections.abc import AsyncIterator, Callable
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
Seen = dict[tuple[str, str], tuple[int, tuple[str, ...]]]


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
    """One count for each pair that ever spoke. Callers name only services that exist, so it stays small. `ejected`:
    the instances of a service that gateways give nothing now.
    """

    def __init__(self, ejected: Callable[[str], list[str]] = lambda _: []) -> None:
        self._counts: dict[tuple[str, str], TrafficCounter] = {}
        self._ejected = ejected

    def note(self, asker: str, service: str, code: int, seconds: float) -> None:
        count = self._counts.setdefault((asker, service), TrafficCounter())
        count.requests += 1
        count.errors += code >= 500
        count.seconds += seconds

    def told(self, seen: Seen) -> list[dict[str, Any]]:
        """The pairs that asked more, or whose service has other instances ejected, than `seen` says, which learns of
        it.
        """
        told = []
        for (asker, service), count in self._counts.items():
            ejected = self._ejected(service)
            if seen.get((asker, service)) != (now := (count.requests, tuple(ejected))):
                seen[asker, service] = now
                told.append(_one(asker, service, count, ejected))
        return told


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
                yield _line("ADDED", _one(each["from"], each["to"], TrafficCounter(), each["ejected"]))
            yield _line("MODIFIED", each)


def _line(change: str, told: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": change, "object": told}) + b"\n"


def _one(asker: str, service: str, count: TrafficCounter, ejected: list[str]) -> dict[str, Any]:
    numbers = {"requests": count.requests, "errors": count.errors, "seconds": round(count.seconds, 4)}
    return {"from": asker, "to": service, **numbers, "ejected": ejected}
