"""The gateway: /services/<name>/... for bearer callers, and the AWS door for signed requests."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

import orjson

from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.auth.tokens import Tokens
from api.gateway.aws_door import refusal, signed_for, signing_names
from api.gateway.balancing import Balancer
from api.gateway.proxying import Headers, Proxy, forwarded
from api.traffic import Traffic
from api.wire.answering import Answer, Message, Receive, Scope, Send, send_answer
from controller.kit.clock import Clock
from crds.errors import ApiError, NotFound
from crds.kind import GROUP
from crds.managed import ManagedService

PREFIX = "/services/"
IDENTITY_SECONDS = 300
_VERBS = {"GET": "get", "HEAD": "get", "OPTIONS": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
GATEWAY = Principal("system:gateway", frozenset({"system:gateway"}))


class Gateway:
    """Adds who calls, and hands the request to a ready instance."""

    def __init__(
        self,
        balancer: Balancer,
        tokens: Tokens,
        authorizer: Authorizer,
        services: Iterable[ManagedService],
        clock: Clock,
    ) -> None:
        self._proxy, self._tokens, self._authorizer, self._clock = Proxy(balancer), tokens, authorizer, clock
        services = tuple(services)
        self._speaks, self.traffic = signing_names(services), Traffic()
        self._managed = frozenset(each.service_name for each in services)
        self._minted: dict[tuple[Principal, str], tuple[bytes, float]] = {}

    async def close(self) -> None:
        await self._proxy.close()

    def aws_service(self, scope: Scope) -> str | None:
        """The AWS signing name of a signed request, or None."""
        return signed_for(scope["headers"], scope["query_string"])

    async def serve_aws(
        self, scope: Scope, receive: Receive, send: Send, signing_name: str, *extra: tuple[bytes, bytes]
    ) -> int:
        """Path, host and body go on untouched: the service verifies the signature over them."""
        service = self._speaks.get(signing_name)
        if service is None:
            code, message = refusal(signing_name, self._speaks)
            answer = Answer(400, orjson.dumps({"__type": code, "message": message}))
            await send_answer(send, answer, *extra)
            return answer.code
        identity = self._identity(GATEWAY, service)
        headers = forwarded(scope["headers"], (b"x-aerekos-identity", identity), *extra)
        begun = _Begun(send)
        try:
            return await self._forward(scope, receive, begun, "", service, _target(scope), headers)
        except ApiError as error:
            if begun.yes:  # all that is left is to break the connection off, as the door does
                raise
            answer = _aws_error(error)
            await send_answer(send, answer, *extra)
            return answer.code

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, who: Principal, *extra: tuple[bytes, bytes]
    ) -> int:
        """`/services/<name>/<rest>` goes on as `/<rest>`. Raises NotFound, Forbidden, Unavailable, Timeout."""
        name, target = _split(_target(scope))
        if not name:
            raise NotFound("write /services/<name>/...; `aerekos get services` lists the names")
        if not who.service:
            self._authorizer.require(who, self._action(scope["method"], name))
        identity = self._identity(who, name)
        headers = forwarded(scope["headers"], (b"x-aerekos-identity", identity), *extra, without=b"authorization")
        return await self._forward(scope, receive, send, who.service, name, target, headers)

    def _action(self, method: str, service: str) -> Action:
        """Managed services judge for themselves what their callers may; of all others nobody else does."""
        verb = "get" if service in self._managed else _VERBS.get(method, "create")
        return Action(verb, GROUP, "services/proxy", "default", service)

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, asker: str, service: str, target: bytes, headers: Headers
    ) -> int:
        """Carried to the service and counted, unless there is no such service."""
        began = self._clock.monotonic()
        try:
            code = await self._proxy.forward(scope, receive, send, service=service, target=target, headers=headers)
        except NotFound:
            raise
        except ApiError as error:
            self.traffic.note(asker, service, error.code, self._clock.monotonic() - began)
            raise
        self.traffic.note(asker, service, code, self._clock.monotonic() - began)
        return code

    def _identity(self, who: Principal, service: str) -> bytes:
        """A token that tells `service` who calls; minted anew before half of its life is over."""
        now = self._clock.monotonic()
        minted = self._minted.get((who, service))
        if minted is None or minted[1] < now:
            token = self._tokens.issue(who, seconds=IDENTITY_SECONDS, audience=service).encode()
            if len(self._minted) > 10_000:
                self._minted.clear()
            minted = self._minted[who, service] = (token, now + IDENTITY_SECONDS / 2)
        return minted[0]


class _Begun:
    """Passes messages on and remembers whether the answer has begun."""

    __slots__ = ("_send", "yes")

    def __init__(self, send: Send) -> None:
        self._send, self.yes = send, False

    async def __call__(self, message: Message) -> None:
        self.yes = True
        await self._send(message)


def _target(scope: Scope) -> bytes:
    """Path and query exactly as they came."""
    path: bytes = scope["raw_path"].partition(b"?")[0]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _split(target: bytes) -> tuple[str, bytes]:
    """`/services/<name>/<rest>` as name and `/<rest>`. Cut before anything is decoded, so that what comes after the
    name leaves as it came."""
    path, mark, query = target.partition(b"?")
    _, _, name, rest = [*path.split(b"/", 3), b"", b""][:4]
    return unquote(name.decode("latin-1")), b"/" + rest + mark + query


def _aws_error(error: ApiError) -> Answer:
    """A retryable error in the shape both the JSON and the XML clients read (they look at the HTTP code first)."""
    code = 503 if error.code in (404, 503, 504) else error.code
    body = orjson.dumps({"__type": "ServiceUnavailableException", "message": error.message})
    again = ((b"retry-after", b"1"), (b"x-amzn-errortype", b"ServiceUnavailableException"))
    # The body was not read to its end: what follows on this connection could not be told from it.
    headers = (*again, (b"connection", b"close"))
    return Answer(code, body, b"application/x-amz-json-1.1", headers)
