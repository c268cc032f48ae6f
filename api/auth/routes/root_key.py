"""`POST /auth/root-key`: a root key that a PKCS#11 token wrapped, opened for a service whose manifest asks for it.

The token is the conductor's alone: services run behind walls that no token's library fits through. What is answered
lies in that service's memory and nowhere else.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection

from fastapi import APIRouter, Request, Response

from api.auth.authentication import Authenticator
from controller.kit.threads import BlockingExecutor
from crds.errors import Conflict, Forbidden, Unavailable


def root_key_routes(
    authenticator: Authenticator,
    entitled: Collection[str],
    content: Callable[[], bytes | None],
    threads: BlockingExecutor,
) -> APIRouter:
    """`entitled`: names of the Services whose manifests ask for it. `content`: what it is; None where no token
    wraps it; or raises OSError.
    """
    router = APIRouter()

    @router.post("/auth/root-key")
    async def root_key(request: Request, response: Response) -> dict[str, str]:
        caller = authenticator.authenticate(request.scope)
        # A service in person: neither who is called like one, nor who somebody else acts for.
        if caller.actors or caller.acting or caller.service not in entitled:
            raise Forbidden("the root key is for services whose manifest asks for it")
        response.headers["cache-control"] = "no-store"
        try:
            opened = await threads.run(content)
        except OSError as refused:
            raise Unavailable(f"the root key is not opened: {refused.strerror}") from refused
        if opened is None:
            raise Conflict("no token wraps the root key: it is read from its file, and not given to anybody here")
        return {"content": base64.b64encode(opened).decode()}

    return router
