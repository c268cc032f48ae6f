"""How often the gateway is asked: by one address, by one principal, for one service.

Answers say how much is left of the tightest of them (`api.edge.token_buckets`). Who is on this machine is not limited
by address: every service is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from api.asgi import App, Receive, Response, Scope, Send, send_answer
from api.auth.principal import Principal
from api.channel.settings import GatewaySettings
from api.edge.token_buckets import VERDICT, TokenBuckets, Verdict, rate_limit_headers
from api.rate_limit import MASTERS_EXEMPT, multiple_of
from api.request_context import REQUEST_ID_HEADER, request_id_of
from crds.errors import TooManyRequests
from services.sdk.edge.connections import source_of

_JUDGED = "aerekos.judged"
"""Where a scope has the verdicts of what was asked for: one request takes one token, whoever looks at it again."""
Refuse = Callable[[Scope, TooManyRequests], Response]


class RequestLimits:
    """Each takes one token of what it is asked for. `note_refused` hears which kind of limit refused a request."""

    def __init__(
        self,
        now: Callable[[], float],
        settings: GatewaySettings = GatewaySettings(),  # noqa: B008 (frozen)
        note_refused: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._addresses, self._principals, self._services = (TokenBuckets(1, now) for _ in range(3))
        self._note_refused = note_refused
        self.use(settings)

    def use(self, settings: GatewaySettings) -> None:
        """From now on. Each of several gateways takes its share."""
        share = max(settings.gateways, 1)
        self._addresses.per_second = settings.per_address / share
        self._principals.per_second = settings.per_principal / share
        self._services.per_second = settings.per_service / share

    def admit_address(self, scope: Scope) -> None:
        """Raises TooManyRequests."""
        source = _limited_source(scope["client"][0])
        if source:
            self._judge(scope, "address", self._addresses, source)

    def admit_principal(self, scope: Scope, who: Principal) -> None:
        """Raises TooManyRequests."""
        if MASTERS_EXEMPT.isdisjoint(who.groups):
            self._judge(scope, "principal", self._principals, who.name, multiple_of(who))

    def admit_service(self, scope: Scope, service: str) -> None:
        """Raises TooManyRequests."""
        self._judge(scope, "service", self._services, service)

    def _judge(self, scope: Scope, kind: str, buckets: TokenBuckets, name: str, times: float = 1.0) -> None:
        judged: dict[tuple[str, str], Verdict] = scope.setdefault(_JUDGED, {})
        verdict = judged.get((kind, name))
        if verdict is None:
            verdict = judged[kind, name] = buckets.take(name, times)
            if not verdict.admitted:
                self._note_refused(kind)
        known: Verdict | None = scope.get(VERDICT)
        if known is None or verdict.left < known.left:
            scope[VERDICT] = verdict
        if not verdict.admitted:
            raise TooManyRequests(_TEXTS[kind], retry_after=verdict.retry_after)


_TEXTS = {
    "address": "too many requests from your address",
    "principal": "you ask more often than one may",
    "service": "this service is asked more often than it may be",
}


class LimitedByAddress:
    """An ASGI application: `app`, for addresses that do not ask too often. `refuse` words the refusal."""

    def __init__(self, app: App, limits: RequestLimits, refuse: Refuse) -> None:
        self._app, self._limits, self._refuse = app, limits, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._limits.admit_address(scope)
        except TooManyRequests as refused:
            extra = ((REQUEST_ID_HEADER, request_id_of(scope)), *rate_limit_headers(scope))
            await send_answer(send, self._refuse(scope, refused), *extra)
        else:
            await self._app(scope, receive, send)


@lru_cache(4096)
def _limited_source(address: str) -> str:
    """What counts as that address; empty for this machine itself, which is not limited."""
    return "" if _is_here(address) else source_of(address)


def _is_here(address: str) -> bool:
    """Whether that is this machine itself."""
    if address.startswith("127.") or address in ("::1", ""):
        return True
    return ":" in address and _mapped(address).startswith("127.")


def _mapped(address: str) -> str:
    """The IPv4 address in an IPv6 one (`::ffff:127.0.0.1`); empty where there is none."""
    mapped = getattr(ip_address(address.partition("%")[0]), "ipv4_mapped", None)
    return str(mapped) if mapped else ""
