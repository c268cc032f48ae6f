"""GET /auth/policies: what IAM says of whoever asks. Services ask it for their callers."""

from typing import Any

from fastapi import APIRouter, Request

from api.auth.authentication import Authenticator
from api.auth.iam_policies import IamPolicies


def policy_routes(policies: IamPolicies, authenticator: Authenticator) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth")

    @router.get("/policies")
    async def of_oneself(request: Request) -> dict[str, Any]:
        return policies.of(authenticator.authenticate(request.scope))

    return router
