"""`POST /agents/role-credentials`: an agent passes on what a container with a role asks of its machine.

The container's own token decides; the worker's only says that it is one of the cloud's machines. A refusal is an
answer like any other here, so that an agent does not take it for one of its own token.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from api.agents.heartbeats import worker_of
from api.auth.authentication import Authenticator
from api.auth.sts.workloads import WorkloadRoles
from api.role_credentials import credential_body, refusal_body
from crds.errors import ApiError
from crds.model import Model


class CredentialQuestion(Model):
    namespace: Annotated[str, Field(max_length=63)]
    name: Annotated[str, Field(max_length=253)]
    token: Annotated[str, Field(max_length=256, repr=False)]


def role_credential_routes(authenticator: Authenticator, workloads: WorkloadRoles) -> APIRouter:
    """Answers `{status, body}`: what the container is to hear."""
    router = APIRouter()

    @router.post("/agents/role-credentials")
    async def credentials(request: Request, asked: CredentialQuestion) -> dict[str, Any]:
        worker_of(authenticator.authenticate(request.scope))
        try:
            found = await workloads.credential(asked.namespace, asked.name, asked.token)
        except ApiError as refused:
            return {"status": refused.code, "body": refusal_body(refused)}
        return {"status": 200, "body": credential_body(found)}

    return router
