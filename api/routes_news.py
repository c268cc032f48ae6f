"""`POST /agents/news`: containers came or went on an agent's machine; the conductor looks at their services now."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from api.auth.authenticating import Authenticator
from api.heartbeats import worker_of
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.model import Model
from crds.names import DnsLabel


class ServiceNamed(Model):
    namespace: DnsLabel = "default"
    name: DnsLabel


class ContainerNews(Model):
    services: Annotated[list[ServiceNamed], Field(max_length=1000)]


def news_routes(authenticator: Authenticator, hint: Callable[[ObjectKey], None]) -> APIRouter:
    """`hint` must be cheap: a restarting machine names all its services at once."""
    router = APIRouter()

    @router.post("/agents/news", status_code=204)
    async def news(request: Request, told: ContainerNews) -> None:
        worker_of(authenticator.who(request.scope))
        for each in told.services:
            hint(SERVICE.key(each.name, each.namespace))

    return router
