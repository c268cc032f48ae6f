"""/v2/...: the cloud's own store of container images, behind its API.

Workers may pull (their agents ask for the Docker daemon beside them), people with the right may push:
`docker login 127.0.0.1:7444` on any machine of the cloud, then `docker push 127.0.0.1:7444/NAME`. What stands behind
is a registry that knows no users. Protocol: OCI Distribution Specification 1.1, and Docker's token authentication:
who comes without a token is told where to get one, with a password or, for workers, through their agent.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from contextlib import suppress
from typing import Any

from api.asgi import Receive, Response, Scope, Send, json_answer, send_answer
from api.audit.notes import noting_refused_login
from api.auth.accounts import Accounts
from api.auth.authentication import WHO, Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.auth.tokens import REGISTRY_AUDIENCE, Tokens
from api.gateway.mutual_tls import KnownHosts
from api.gateway.reverse_proxy import ReverseProxy, forwarded
from crds.errors import ApiError, Forbidden, Unauthorized, Unavailable
from crds.kind import GROUP

PREFIX = "/v2/"
TOKEN_PATH = "/v2/token"  # noqa: S105 (a path)
TOKEN_USER = "token"  # noqa: S105 (a name: the password is the token)
TOKEN_SECONDS = 900
_HOST = re.compile(rb"[\w.:\[\]-]+")
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
_VERBS = {"GET": "get", "HEAD": "get", "DELETE": "delete"}


class RegistryProxy:
    """The proxy of one registry at `address` (host:port), known by `tls`; without one, every request is told so."""

    def __init__(
        self,
        address: str,
        authenticator: Authenticator,
        accounts: Accounts,
        authorizer: Authorizer,
        tokens: Tokens,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._there, self._proxy = (
            bool(address),
            ReverseProxy(_SingleUpstream(address), KnownHosts(tls) if tls else None),
        )
        self._authenticator, self._accounts = authenticator, accounts
        self._authorizer, self._tokens = authorizer, tokens

    async def close(self) -> None:
        await self._proxy.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send, *extra: tuple[bytes, bytes]) -> int:
        """Answers in the shape registry clients read, refusals too."""
        try:
            if scope["path"] == TOKEN_PATH:
                answer = json_answer(200, await self._token(scope))
            else:
                return await self._carried(scope, receive, send, *extra)
        except ApiError as error:
            answer = _refusal(error, scope)
        await send_answer(send, answer, *extra)
        return answer.code

    async def _carried(self, scope: Scope, receive: Receive, send: Send, *extra: tuple[bytes, bytes]) -> int:
        who = self._who(scope)
        self._authorizer.require(who, Action(_VERBS.get(scope["method"], "create"), GROUP, "images"))
        if not self._there:
            raise Unavailable("this cloud keeps no images: it runs no Swarm", retry_after=60)
        target = scope["raw_path"].partition(b"?")[0]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        headers = forwarded(scope["headers"], *extra, without=b"authorization")
        return await self._proxy.forward(scope, receive, send, service="registry", target=target, headers=headers)

    async def _token(self, scope: Scope) -> dict[str, Any]:
        """For a password (which is all `docker login` knows) or another token: a token for registry requests.

        It is bound to what that one was bound to, and ends with it: asked again and again, it is no way to stay.
        """
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if given[:6].lower() == b"basic ":
            user, password = _pair(given[6:])
            if user == TOKEN_USER:
                who = self._who({**scope, "headers": [(b"authorization", f"Bearer {password}".encode())]})
            else:
                address = (scope.get("client") or ("",))[0]
                with noting_refused_login(scope, user, self._accounts.people.user):
                    who = scope[WHO] = await self._accounts.prove(user, password, address=address)
        else:
            who = self._who(scope)
        if who.proof is None:
            raise Unauthorized("a registry token is made of a password or of a token, not of a certificate")
        seconds = int(min(TOKEN_SECONDS, who.proof.ends_at - self._tokens.clock.now().timestamp()))
        if seconds < 1:
            raise Unauthorized("the token has expired; log in again")
        token = self._tokens.issue(who, seconds=seconds, audience=REGISTRY_AUDIENCE, **who.proof.binding)
        return {"token": token, "access_token": token, "expires_in": seconds}

    def _who(self, scope: Scope) -> Principal:
        """By a token for the registry, or any other credential. Raises Unauthorized."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if given[:7].lower() == b"bearer ":
            with suppress(Unauthorized, Forbidden):
                found = scope[WHO] = self._authenticator.by_token(
                    given[7:].decode("latin-1").strip(), REGISTRY_AUDIENCE
                )
                return found
        return self._authenticator.authenticate(scope)


class _SingleUpstream:
    """The balancer of one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        return [self._address]

    def record_success(self, address: str) -> None:
        """Nothing to remember: there is no other."""

    def record_failure(self, address: str) -> None:
        """Nothing to remember: there is no other."""


def _pair(given: bytes) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as broken:
        raise Unauthorized("the Authorization header is no base64 of user:password") from broken
    return user, password


def _refusal(error: ApiError, scope: Scope) -> Response:
    code = _CODES.get(error.code, "UNAVAILABLE" if error.code >= 500 else "UNSUPPORTED")
    headers: tuple[tuple[bytes, bytes], ...] = ((b"docker-distribution-api-version", b"registry/2.0"),)
    if error.code == 401:
        headers += ((b"www-authenticate", _challenge(scope)),)
    if error.code >= 500:
        # What was sent may not have been read to its end: nothing more can be told from this connection.
        headers += ((b"connection", b"close"),)
    return json_answer(error.code, {"errors": [{"code": code, "message": error.message}]}, headers=headers)


def _challenge(scope: Scope) -> bytes:
    """Where to get a token, as the client sees us: agents pass on under which address they were asked."""
    told = dict(scope["headers"])
    scheme = b"http" if told.get(b"x-forwarded-proto") == b"http" else b"https"
    host = told.get(b"host", b"localhost")
    safe = host if _HOST.fullmatch(host) else b"localhost"
    return b'Bearer realm="' + scheme + b"://" + safe + TOKEN_PATH.encode() + b'",service="aerekos"'
