"""`GET /templates` and `POST /templates/{name}`: Services to begin with, and one of them filled in.

GET answers

    {"version": 1, "runtimes": ["process"], "templates": [
      {"name": "static-site", "title": "...", "description": "...", "runtimes": ["process"],
       "runsHere": true, "because": "",
       "parameters": [{"name": "page", "title": "...", "description": "...", "type": "text", "default": "...",
                       "required": false, "multiline": true, "pattern": "...", "minimum": 0, "maximum": 100}]}]}

`runtimes` are those of this cloud (`process`, `swarm` or both) and, in a template, those it can run in; where the two
have nothing in common `runsHere` is false, and `because` says in one sentence what is missing. `type` is `text`,
`integer` or `password` (made up when not given); `default` and `pattern` may be missing, `minimum` and `maximum` are
there for integers alone.

POST takes `{"name": "web", "namespace": "default", "parameters": {"page": "..."}}` (namespace and parameters may be
missing; integers may be texts) and answers `{"apiVersion": "v1", "kind": "List", "items": [manifest, ...]}`. Nothing
is made: whoever asked creates the items, in their order and with their own rights. 404: no such template; 422: a
Status whose causes name each field (`name`, `namespace`, `parameters.<name>`). Both are for whoever is known: they
tell nothing of what the cloud holds.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from api.auth.authentication import Authenticator
from api.auth.principal import Principal
from api.templates.template import Template, template, templates
from crds.model import Model

_NO_DOCKER = (
    "it is a container: start Docker on this machine, then aerekos down and aerekos up --runtime swarm, "
    "or make swarm-up for several machines"
)
_NO_PROCESSES = "it is a program: it needs the process runtime, aerekos up --runtime process; or take an image"


class Filling(Model):
    """Body of POST /templates/{name}."""

    name: str
    namespace: str = "default"
    parameters: dict[str, str | int] = Field(default_factory=dict)


def template_routes(runtimes: frozenset[str], authenticator: Authenticator) -> APIRouter:
    """`runtimes`: what this cloud runs Services in."""
    router = APIRouter(prefix="/templates")
    listed = {
        "version": 1,
        "runtimes": sorted(runtimes),
        "templates": [_listed(each, runtimes) for each in templates()],
    }

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("")
    async def list_templates(_: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
        return listed

    @router.post("/{name}")
    async def render_template(
        name: str, filling: Filling, _: Annotated[Principal, Depends(authenticate)]
    ) -> dict[str, Any]:
        items = template(name).render(filling.name, filling.namespace, filling.parameters)
        return {"apiVersion": "v1", "kind": "List", "items": items}

    return router


def _listed(each: Template, runtimes: frozenset[str]) -> dict[str, Any]:
    runs = not runtimes.isdisjoint(each.runtimes)
    return {
        "name": each.name,
        "title": each.title,
        "description": each.description,
        "runtimes": list(each.runtimes),
        "runsHere": runs,
        "because": "" if runs else _NO_DOCKER if "swarm" in each.runtimes else _NO_PROCESSES,
        "parameters": [
            parameter.model_dump(
                mode="json",
                by_alias=True,
                exclude_none=True,
                exclude=set() if parameter.type == "integer" else {"minimum", "maximum"},
            )
            | {"required": parameter.required}
            for parameter in each.parameters
        ],
    }
