"""The container credentials endpoint of the conductor: where a program with a role (`spec.role`) gets its temporary
credentials. A container asks its machine's agent (`agent.swarm.role_credentials`).

`GET /services/<namespace>/<name>` with the Service's own token as `Authorization`, over plain HTTP on the loopback:
SDKs take no other address without a certificate of a public authority. It answers nothing else.
Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

from __future__ import annotations

import orjson

from api.asgi import JSON, App, Receive, Response, Scope, Send, send_answer
from api.auth.sts.workloads import RoleCredential, WorkloadRoles
from crds.errors import ApiError, NotFound, Unauthorized
from crds.model import rfc3339
from services.sdk.asgi import header_of
from services.sdk.edge.connections import prove

_LONGEST_TOKEN = 256
_NO_STORE = (b"cache-control", b"no-store")


def role_credentials_app(workloads: WorkloadRoles) -> App:
    """The application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            found = await _found(workloads, scope)
        except ApiError as refused:
            await send_answer(send, Response(refused.code, orjson.dumps(refusal_body(refused)), JSON, (_NO_STORE,)))
            return
        prove(scope)
        await send_answer(send, Response(200, orjson.dumps(credential_body(found)), JSON, (_NO_STORE,)))

    return app


async def _found(workloads: WorkloadRoles, scope: Scope) -> RoleCredential:
    """Raises NotFound, Unauthorized, Forbidden, TooManyRequests."""
    parts = str(scope["path"]).split("/")
    if scope["method"] != "GET" or scope["query_string"] or len(parts) != 4 or parts[:2] != ["", "services"]:
        raise NotFound("GET /services/<namespace>/<name> is all there is")
    token = header_of(scope, "authorization") or ""
    if not token or len(token) > _LONGEST_TOKEN:
        raise Unauthorized("the Authorization header must be the token of the Service")
    return await workloads.credential(parts[2], parts[3], token)


def refusal_body(refused: ApiError) -> dict[str, str]:
    """Why there are none, as AWS's endpoint words it."""
    return {"code": type(refused).__name__, "message": refused.message}


def credential_body(found: RoleCredential) -> dict[str, str]:
    """A credential as SDKs read it."""
    key = found.issued.key
    return {
        "AccessKeyId": key.id,
        "SecretAccessKey": key.secret,
        "Token": key.token,
        "Expiration": rfc3339(found.issued.spec.expires_at),
        "RoleArn": found.role_arn,
    }
