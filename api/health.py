"""`GET /health/report`: whether the cloud is well, and what to do where it is not. `aerekos status`
reads it; `/ready` is the same verdict in a word, for everybody.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from controller.health.finding import Finding
from controller.health.report import Health
from crds.kinds.worker import WORKER


def health_routes(health: Health, authenticator: Authenticator, authorizer: Authorizer) -> APIRouter:
    """The report of health. Everybody with a name asks, and hears of the objects they may read; of machines, who may
    list workers.
    """
    router = APIRouter(prefix="/health")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/report")
    async def report(asker: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
        def may_see(finding: Finding) -> bool:
            return authorizer.allows(asker, _needed_for(finding))

        return health.look().seen_by(may_see).wire()

    return router


def _needed_for(finding: Finding) -> Action:
    key = finding.about
    if key is None:
        return Action("list", WORKER.group, WORKER.plural)
    return Action("get", key.group, key.plural, key.namespace, key.name)
