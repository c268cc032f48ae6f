"""/swarm/services: Swarm services that are not ours, for `aerekos import`. Admins only: nobody else knows of them."""

from typing import Any

from fastapi import APIRouter, Request

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from controller.docker import client as docker
from controller.docker.swarm_admin import SwarmAdmin
from controller.runtime.driver import DriverError, SupportsAdopt
from controller.runtime.swarm.adoption import CannotAdopt, service_of
from crds.errors import BadRequest, Conflict, NotFound, Unavailable
from crds.kind import GROUP
from crds.kinds.service import SERVICE


def swarm_routes(
    swarm: SwarmAdmin | None, adopter: SupportsAdopt | None, authenticator: Authenticator, authorizer: Authorizer
) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/swarm/services")

    def admitted(request: Request, verb: str) -> SwarmAdmin:
        authorizer.require(authenticator.authenticate(request.scope), Action(verb, GROUP, "swarmservices"))
        if swarm is None:
            raise NotFound("this cloud runs no Swarm")
        return swarm

    @router.get("/{name}")
    async def one(name: str, request: Request, to: str = "", namespace: str = "default") -> dict[str, Any]:
        """A Swarm service as the Service that would run the same."""
        found = await _found(admitted(request, "get"), name)
        try:
            return service_of(found, to or name.replace("_", "-").lower(), namespace)
        except CannotAdopt as refused:
            raise BadRequest(f"the Swarm service {name} cannot be imported: {refused}") from refused

    @router.post("/{name}/adoption", status_code=204)
    async def adopt(name: str, request: Request, to: str, namespace: str = "default") -> None:
        """Marks it as that Service, which is to be created next. Nothing restarts."""
        manager = admitted(request, "update")
        found = await _found(manager, name)
        try:
            service_of(found, to, namespace)
            if adopter is None:
                raise NotFound("this cloud runs no Swarm")
            await adopter.adopt(name, SERVICE.key(to, namespace))
        except CannotAdopt as refused:
            raise BadRequest(f"the Swarm service {name} cannot be imported: {refused}") from refused
        except DriverError as refused:
            raise (
                Unavailable(str(refused), retry_after=1) if refused.retryable else Conflict(str(refused))
            ) from refused

    return router


async def _found(swarm: SwarmAdmin, name: str) -> dict[str, Any]:
    try:
        return await swarm.service(name)
    except docker.NotFound as missing:
        raise NotFound(f"the Swarm has no service called {name}") from missing
    except DriverError as refused:
        raise Unavailable(str(refused), retry_after=1) from refused
