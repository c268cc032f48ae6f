"""What a service asks for its callers, may they?, is answered by the gateway: it knows roles and bindings, too.

Only about kinds that are known here; those that people define are the conductor's, and so is every other review.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from api.asgi import App, Receive, Scope, json_answer, read_body, send_answer
from api.auth.access_reviews import review
from api.auth.authentication import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.on_behalf import HEADER as ON_BEHALF_OF
from api.auth.principal import Principal
from api.chain import Handler, Id, ResponseRecorder
from api.csrf import require_stated_type
from crds.catalog import Catalog
from crds.errors import BadRequest
from services.sdk.asgi import replaying

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
MOST_BYTES = 64 * 2**10
Admit = Callable[[Scope, Principal], None]


class AccessReviews:
    """`otherwise`: answers what is asked about kinds that `catalog` does not know. `admit` raises TooManyRequests."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, catalog: Catalog, admit: Admit, otherwise: App
    ) -> None:
        self._authenticator, self._authorizer, self._admit = authenticator, authorizer, admit
        self._known = frozenset((kind.group, kind.plural) for kind in catalog)
        self._otherwise = otherwise

    def handler(self) -> Handler:
        """Its place in a chain of requests."""
        return Handler("reviews", _is_for_a_caller, self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        require_stated_type(scope)
        body = await read_body(receive, limit=MOST_BYTES)
        asked = _read(body)
        if _kind_of(asked) not in self._known:
            await self._otherwise(scope, replaying(body, receive), send)
            return
        who = self._authenticator.authenticate(scope)
        self._admit(scope, who)
        answer = review(scope["path"], asked, who, self._authorizer, self._authenticator.by_token)
        await send_answer(send, json_answer(201, answer), id)


def _is_for_a_caller(scope: Scope) -> bool:
    if scope["path"] != PATH or scope["method"] != "POST":
        return False
    return any(name == ON_BEHALF_OF for name, _ in scope["headers"])


def _read(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise BadRequest(f"the review is no JSON: {wrong}") from wrong
    if not isinstance(asked, dict):
        raise BadRequest("the review must be a JSON object")
    return asked


def _kind_of(asked: dict[str, Any]) -> tuple[str, str]:
    spec = asked.get("spec")
    wanted = spec.get("resourceAttributes") if isinstance(spec, dict) else None
    if not isinstance(wanted, dict):
        return "", ""
    return str(wanted.get("group", "")), str(wanted.get("resource", ""))
