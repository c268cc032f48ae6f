"""/v2/...: the cloud's own store of container images, behind its door.

Workers may pull (their agents ask for the Docker daemon beside them), people with the right may push:
`docker login 127.0.0.1:7444` on any machine of the cloud, then `docker push 127.0.0.1:7444/NAME`. What stands behind
is a registry that knows no users. Protocol: OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from api.auth.accounts import Accounts
from api.auth.authenticating import WHO, Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.gateway.proxying import Proxy, forwarded
from api.wire.answering import Answer, Receive, Scope, Send, json_answer, send_answer
from controller.kit.clock import Clock
from crds.errors import ApiError, Unauthorized, Unavailable
from crds.kind import GROUP

PREFIX = "/v2/"
TOKEN_USER = "token"  # noqa: S105 (a name: the password is the token)
_REMEMBERED_SECONDS = 60.0
_MOST_REMEMBERED = 1000
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
_VERBS = {"GET": "get", "HEAD": "get", "DELETE": "delete"}


class Images:
    """The door to one registry at `address` (host:port); without one, every request is told so."""

    def __init__(
        self, address: str, authenticator: Authenticator, accounts: Accounts, authorizer: Authorizer, clock: Clock
    ) -> None:
        self._there, self._proxy = bool(address), Proxy(_One(address))
        self._authenticator, self._accounts, self._authorizer = authenticator, accounts, authorizer
        self._clock = clock
        self._proven: dict[bytes, tuple[Principal, float]] = {}

    async def close(self) -> None:
        await self._proxy.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send, *extra: tuple[bytes, bytes]) -> int:
        """Answers in the shape registry clients read, refusals too."""
        try:
            who = scope[WHO] = await self._who(scope)
            self._authorizer.require(who, Action(_VERBS.get(scope["method"], "create"), GROUP, "images"))
            if not self._there:
                raise Unavailable("this cloud keeps no images: it runs no Swarm", retry_after=60)
            target = scope["raw_path"].partition(b"?")[0]
            if scope["query_string"]:
                target += b"?" + scope["query_string"]
            headers = forwarded(scope["headers"], *extra, without=b"authorization")
            return await self._proxy.forward(scope, receive, send, service="registry", target=target, headers=headers)
        except ApiError as error:
            answer = _refusal(error)
            await send_answer(send, answer, *extra)
            return answer.code

    async def _who(self, scope: Scope) -> Principal:
        """Bearer tokens and certificates as everywhere; besides, Basic, which is all `docker login` knows."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if given[:6].lower() != b"basic ":
            return self._authenticator.who(scope)
        # Docker sends the password with every request, and proving one is slow on purpose.
        digest = hashlib.sha256(given).digest()
        known = self._proven.get(digest)
        if known is not None and known[1] > self._clock.monotonic():
            return known[0]
        user, password = _pair(given[6:])
        if user != TOKEN_USER:
            password = (await self._accounts.log_in(user, password)).access_token
        who = self._authenticator.who({**scope, "headers": [(b"authorization", f"Bearer {password}".encode())]})
        if len(self._proven) >= _MOST_REMEMBERED:
            self._proven.clear()
        self._proven[digest] = (who, self._clock.monotonic() + _REMEMBERED_SECONDS)
        return who


class _One:
    """The balancer of one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        return [self._address]

    def worked(self, address: str) -> None:
        """Nothing to remember: there is no other."""

    def failed(self, address: str) -> None:
        """Nothing to remember: there is no other."""


def _pair(given: bytes) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as broken:
        raise Unauthorized("the Authorization header is no base64 of user:password") from broken
    return user, password


def _refusal(error: ApiError) -> Answer:
    code = _CODES.get(error.code, "UNAVAILABLE" if error.code >= 500 else "UNSUPPORTED")
    headers: tuple[tuple[bytes, bytes], ...] = ((b"docker-distribution-api-version", b"registry/2.0"),)
    if error.code == 401:
        headers += ((b"www-authenticate", b'Basic realm="aerekos"'),)
    if error.code >= 500:
        # What was sent may not have been read to its end: nothing more can be told from this connection.
        headers += ((b"connection", b"close"),)
    return json_answer(error.code, {"errors": [{"code": code, "message": error.message}]}, headers=headers)
