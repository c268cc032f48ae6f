"""`POST /agents/container-events`: containers came or went on an agent's machine; their services are refreshed."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from api.agents.heartbeats import worker_of
from api.auth.authentication import Authenticator
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.model import Model
from crds.names import DnsLabel


class ServiceRef(Model):
    namespace: DnsLabel = "default"
    name: DnsLabel


class ContainerEvents(Model):
    services: Annotated[list[ServiceRef], Field(max_length=1000)]


def news_routes(authenticator: Authenticator, hint: Callable[[ObjectKey], None]) -> APIRouter:
    """`hint` must be cheap: a restarting machine names all its services at once."""
    router = APIRouter()

    @router.post("/agents/container-events", status_code=204)
    async def news(request: Request, told: ContainerEvents) -> None:
        worker_of(authenticator.authenticate(request.scope))
        for each in told.services:
            hint(SERVICE.key(each.name, each.namespace))

    return router
