"""The client of another managed service, through the gateway, which finds it and says there who calls.

    notes = context.service_client("notes-manager")
    answer = await notes.request("POST", "/", headers={"X-Amz-Target": ...}, json={...}, caller=caller)
    found = await notes.fetch(Found, "GET", "/search", fallback=lambda why: NOTHING)

Each request has a deadline that holds for all its tries. What is idempotent is sent again when the other side did not
answer, within a budget; anything else only when it surely did not get there. A breaker leaves it alone while it does
not answer at all, and a bulkhead bounds what waits for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import httpx
from pydantic import BaseModel, ValidationError

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from crds.errors import ApiError, Timeout, Unavailable, from_status
from services.sdk.clients.bulkhead import Bulkhead
from services.sdk.clients.circuit_breaker import CircuitBreaker
from services.sdk.clients.retry_budget import RetryBudget
from services.sdk.identity import ON_BEHALF_OF, Caller

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""By RFC 9110, 9.2.2."""
AWAY = frozenset({502, 503, 504})
NAMESPACE = "X-Aerekos-Namespace"
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BACKOFF = Backoff(first=0.05, factor=2.0, limit=1.0, jitter=0.5)
Record = Callable[[str, str], None]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """How patient a client is. `deadline` in seconds, for all tries together; `tries`: the first among them."""

    deadline: float = 10.0
    tries: int = 3


class ServiceClient:
    """One for each process and service asked. `record(service, outcome)` counts what came of each request."""

    def __init__(
        self,
        name: str,
        http: httpx.AsyncClient,
        clock: Clock,
        record: Record,
        *,
        policy: ClientPolicy = ClientPolicy(),
        rng: random.Random | None = None,
    ) -> None:
        self.name, self.policy = name, policy
        self.breaker, self.budget, self._bulkhead = CircuitBreaker(clock), RetryBudget(), Bulkhead(name)
        self._http, self._record = http, record
        self._rng = rng or random.Random()  # noqa: S311 - only spreads retries

    def fault(self) -> str | None:
        """For a `Check`: why it is not asked at all now, or None."""
        return None if self.breaker.state == "closed" else f"{self.name} does not answer"

    async def fetch(
        self,
        model: type[M],
        method: str,
        path: str,
        *,
        fallback: Callable[[ApiError], M] | None = None,
        **options: Any,
    ) -> M:
        """The JSON answer of a plain route, as that model. `fallback`: what is good enough while it is away.

        Options are those of `request`. Raises ApiError as the other side's Status says, else as `request`.
        """
        try:
            response = await self.request(method, path, **options)
            if response.status_code >= 300:
                raise from_status(response.status_code, _json(response), f"{self.name} said {response.status_code}")
            return model.model_validate_json(response.content)
        except (Unavailable, Timeout) as away:
            if fallback is None:
                raise
            return fallback(away)
        except ValidationError as odd:
            raise ApiError(f"{self.name}: the answer of {method} {path} is no {model.__name__}: {odd}") from odd

    async def request(
        self,
        method: str,
        path: str,
        *,
        caller: Caller | None = None,
        namespace: str = "",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        idempotent: bool | None = None,
        deadline: float | None = None,
    ) -> httpx.Response:
        """Whatever it answers, errors of its own included. `caller`: in whose name; else in ours, about `namespace`.

        Raises Unavailable when it does not answer, Timeout when the deadline is over.
        """
        told = {**(headers or {}), **({ON_BEHALF_OF: caller.token} if caller else {})}
        told |= {NAMESPACE: namespace} if namespace else {}
        request = self._http.build_request(method, path, headers=told, params=params, json=json, content=content)
        safe = method.upper() in IDEMPOTENT if idempotent is None else idempotent
        patience = self.policy.deadline if deadline is None else deadline
        placed = False
        try:
            with anyio.fail_after(patience):
                async with self._bulkhead.place():
                    placed = True
                    return await self._send(request, safe)
        except TimeoutError:
            if placed:  # it was asked, and did not answer
                self.breaker.record_failure()
            self._record(self.name, "timeout")
            raise Timeout(f"{self.name} did not answer within {patience:g} s") from None

    async def _send(self, request: httpx.Request, idempotent: bool) -> httpx.Response:
        self.budget.deposit()
        for number in range(1, self.policy.tries + 1):
            response, error = await self._try(request)
            if response is not None and response.status_code not in AWAY:
                return response
            unsent = isinstance(error, _UNSENT)
            if not (idempotent or unsent) or number == self.policy.tries or not self.budget.withdraw():
                break
            self._record(self.name, "retried")
            await anyio.sleep(_BACKOFF.delay(number, self._rng))
        if response is not None:
            return response
        raise Unavailable(f"{self.name} cannot be reached: {error!r}") from error

    async def _try(self, request: httpx.Request) -> tuple[httpx.Response | None, Exception | None]:
        if not self.breaker.admit():
            self._record(self.name, "held back")
            raise Unavailable(f"{self.name} does not answer", retry_after=max(1, round(self.breaker.retry_after)))
        try:
            response = await self._http.send(request)
        except httpx.TransportError as error:
            self.breaker.record_failure()
            self._record(self.name, "unreachable")
            return None, error
        except BaseException:
            self.breaker.record_nothing()
            raise
        away = response.status_code in AWAY
        (self.breaker.record_failure if away else self.breaker.record_success)()
        self._record(self.name, "away" if away else "answered")
        return response, None

    async def aclose(self) -> None:
        await self._http.aclose()


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
