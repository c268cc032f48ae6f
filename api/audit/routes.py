"""`GET /audit`: the newest lines of the audit log, for admins; with `?watch=true` also the new ones as they come."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from api.audit import KEPT_LINES, Audit
from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from crds.kind import GROUP

PERIOD = 0.5
RESOURCE = "auditlog"  # no kind: only a rule for everything covers it


def audit_routes(audit: Audit, authenticator: Authenticator, authorizer: Authorizer) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter()

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/audit", response_model=None)
    async def lines(
        asker: Annotated[Principal, Depends(authenticate)],
        tail: Annotated[int, Query(ge=0, le=KEPT_LINES)] = 200,
        watch: bool = False,
    ) -> dict[str, Any] | StreamingResponse:
        authorizer.require(asker, Action("watch" if watch else "list", GROUP, RESOURCE))
        if watch:
            return StreamingResponse(_following(audit, tail), media_type="application/json")
        _, found = audit.since(0)
        return {"items": [orjson.loads(line) for line in found[max(0, len(found) - tail) :]]}

    return router


async def _following(audit: Audit, tail: int) -> AsyncIterator[bytes]:
    """One line `{"type": "ADDED", "object": ...}` for each, oldest first."""
    seen = max(0, audit.since(0)[0] - tail)
    while True:
        seen, fresh = audit.since(seen)
        yield b"".join(b'{"type":"ADDED","object":' + line + b"}\n" for line in fresh)
        await anyio.sleep(PERIOD)
