"""`/logs/instances...`: what instances wrote, for whoever keeps it: each line once, after a position.

    GET /logs/instances                                     every instance whose lines are kept, and its mark
    GET /logs/instances/{namespace}/{service}/{instance}[?position=]

A mark is another one whenever the instance wrote something (empty: the runtime does not tell). The first is for
whoever may `list` `services/log` everywhere, the second for who may `get` it of that Service.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from controller.resources.registry import Registry
from controller.runtime.driver import Driver, DriverError, LogEntries
from crds.errors import BadRequest, Unavailable
from crds.kind import GROUP
from crds.kinds.service import SERVICE

RESOURCE = "services/log"


def instance_log_routes(
    registry: Registry, driver: Driver, authenticator: Authenticator, authorizer: Authorizer
) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/logs/instances")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("")
    async def marks(asker: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
        authorizer.require(asker, Action("list", GROUP, RESOURCE))
        try:
            found = await driver.log_marks()
        except DriverError as error:
            raise Unavailable(f"the runtime cannot be asked: {error}", retry_after=5) from error
        return {
            "instances": [
                {
                    "namespace": each.key.namespace or "default",
                    "service": each.key.name,
                    "instance": each.instance,
                    "mark": each.mark,
                }
                for each in found
            ]
        }

    @router.get("/{namespace}/{service}/{instance}")
    async def entries(
        namespace: str,
        service: str,
        instance: str,
        asker: Annotated[Principal, Depends(authenticate)],
        position: Annotated[str, Query(max_length=4096)] = "",
    ) -> dict[str, Any]:
        authorizer.require(asker, Action("get", GROUP, RESOURCE, namespace, service))
        key = SERVICE.key(service, namespace)
        registry.get(SERVICE, key)
        try:
            found = await driver.log_entries(key, instance, position)
        except ValueError as error:
            raise BadRequest(f"position: {error}") from None
        except DriverError as error:
            raise Unavailable(f"the runtime cannot be asked: {error}", retry_after=5) from error
        return _as_json(found)

    return router


def _as_json(found: LogEntries) -> dict[str, Any]:
    return {
        "entries": [[at, line] for at, line in found.entries],
        "position": found.position,
        "more": found.more,
        "lost": found.lost,
    }
