"""What a conductor that stands by answers: reads and watches of what is in the store, and the dashboard's files.

All else is refused with the header `X-Aerekos-Ask-Leader`, which its gateways understand (api/gateway/leader.py):
what changes something, what only the memory of the conductor that leads knows, and whatever is refused here, for the
keys and rights of this one may be those of a moment ago. A read begins once everything is known that was committed
before it came, so nobody sees less than they were told by the one that leads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import anyio

from api.app import VERSION
from api.asgi import Receive, Scope, Send, error_answer, json_answer, send_answer
from api.auth.authentication import Authenticator
from api.chain import AuditsRequests, CountsRequests, Handler, Id, RequestChain, ResponseRecorder
from api.dashboard import Dashboard
from api.kube.resource_api import ResourceApi
from api.local_reads import ASK_LEADER, RESOURCE_PATHS, is_local_read
from api.rate_limit import RateLimiter
from api.streams import StreamGuard
from controller.store.records import FollowingStore, StoreError
from crds.errors import ApiError, Forbidden, NotFound, Unauthorized, Unavailable
from services.sdk.asgi import is_streaming

_ASK = (ASK_LEADER, b"1")


class Freshness:
    """Makes a store know what was committed before; those that ask at the same time share one look."""

    def __init__(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._catch_up, self._lock = catch_up, anyio.Lock()
        self._begun = self._done = 0

    async def reach(self) -> None:
        """Raises StoreError where the database does not say."""
        mine = self._begun + 1  # the first look that begins from now on
        async with self._lock:
            if self._done < mine:
                self._begun += 1
                number = self._begun
                await self._catch_up()
                self._done = number


class StandbyApp:
    """An ASGI application. `leader`: what `/ready` says of the one that leads."""

    def __init__(
        self,
        *,
        store: FollowingStore,
        resources: ResourceApi,
        authenticator: Authenticator,
        guard: StreamGuard,
        limits: RateLimiter,
        metrics: CountsRequests,
        audit: AuditsRequests,
        leader: Callable[[], str],
    ) -> None:
        self._resources, self._authenticator, self._limits = resources, authenticator, limits
        self._fresh, self._leader, self._dashboard = Freshness(store.catch_up), leader, Dashboard()
        handlers = (
            Handler("resources", lambda scope: scope["path"] in ("/api", "/apis"), self._serve_resources),
            Handler("resources", lambda scope: scope["path"].startswith(RESOURCE_PATHS), self._serve_resources),
            Handler("dashboard", Dashboard.serves, self._serve_dashboard),
            Handler("own", lambda _: True, self._serve_own),
        )
        self._chain = RequestChain(
            handlers, authenticator=authenticator, guard=guard, metrics=metrics, audit=audit, logs=False
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_local_read(scope) and await self._is_known(scope):
            await self._chain(scope, receive, send)
        elif scope["type"] == "http":
            refused = Unavailable("this conductor stands by; the one that leads answers that", retry_after=1)
            await send_answer(send, error_answer(refused), _ASK)
        else:
            await send({"type": "websocket.close", "code": 1013})

    async def _is_known(self, scope: Scope) -> bool:
        """Whether it is answered here, and by nothing that has gone out of date. What is let in is judged once more
        on its way, and noted.
        """
        if not scope["path"].startswith(RESOURCE_PATHS):
            return True
        try:
            await self._fresh.reach()
            await self._authenticator.prepare(scope)
            who = self._authenticator.authenticate(scope)
            return self._resources.is_of_records(scope, who)
        except (Unauthorized, Forbidden, NotFound, StoreError):
            return False
        except ApiError:
            return True

    async def _serve_resources(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        who = self._authenticator.authenticate(scope)
        self._limits.admit(who)
        send.keeps_nothing = True
        with self._limits.watching(who) if is_streaming(scope["query_string"]) else nullcontext():
            await self._resources.serve(scope, receive, send, who, id)

    async def _serve_dashboard(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        await send_answer(send, self._dashboard.answer(scope), id)

    async def _serve_own(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        if scope["path"] == "/version":
            answer = json_answer(200, VERSION)
        else:
            answer = json_answer(200, {"ready": True, "standby": True, "leader": self._leader()})
        await send_answer(send, answer, id)
