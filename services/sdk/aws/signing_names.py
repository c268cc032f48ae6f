"""Two AWS APIs behind one address: which one a request is for is said by the service its signature is scoped to, or,
where nobody signed it, by its path.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.sdk.asgi import Receive, Scope, Send
from services.sdk.aws.authentication import raw_request
from services.sdk.aws.errors import SignatureError
from services.sdk.aws.sigv4 import read_signature
from services.sdk.permissions import GuardedApp, Permission


class BySigningName:
    """ASGI. `others`: by the signing name, or `/<name>` of what is not signed; all else is `first`'s."""

    def __init__(self, first: GuardedApp, others: Mapping[str, GuardedApp]) -> None:
        self._first, self._others = first, others

    def permissions(self) -> dict[str, Permission | None]:
        found = dict(self._first.permissions())
        for each in self._others.values():
            found.update(each.permissions())
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _signed_for(scope) or scope["path"].removeprefix("/")
        await self._others.get(name, self._first)(scope, receive, send)


def _signed_for(scope: Scope) -> str:
    try:
        signature = read_signature(raw_request(scope))
    except SignatureError:
        return ""  # refused by whichever API reads it again
    return signature.service if signature else ""
