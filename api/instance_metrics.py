"""`/metrics/...`: what there is to scrape, and what an instance tells at its own `/metrics`, handed on.

    GET /metrics/targets                                    what is ready: namespace, service, instance, managed
    GET /metrics/cloud                                      api/cloud_metrics.py
    GET /metrics/instances/{namespace}/{service}/{instance}[?path=/metrics]

A managed service's instance answers `/metrics` only to who is nobody, and listens to the gateway alone: the conductor
asks it with the gateway's certificate, and without an identity. `path` is for Services of people. For whoever may
`get` and `list` `services/metrics`: a service that is granted it, and admins.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.cloud_metrics import CloudMetrics
from api.gateway.mutual_tls import Secures
from controller.resources.registry import Registry
from controller.runtime.endpoints import Endpoint, Endpoints
from crds.errors import ApiError, BadRequest, NotFound, Unavailable
from crds.kind import GROUP
from crds.kinds.service import SERVICE

RESOURCE = "services/metrics"
MOST_BYTES, SECONDS = 8 << 20, 10.0
_HEADERS = {
    "accept": "text/plain;version=0.0.4",
    "accept-encoding": "identity",
    "user-agent": "aerekos-metrics",
}


@dataclass(frozen=True, slots=True)
class InstanceMetrics:
    """`tls`: how managed services prove who they are, and that it is us who ask."""

    registry: Registry
    endpoints: Endpoints
    tls: Secures

    def targets(self) -> list[dict[str, Any]]:
        """What is ready, by name."""
        found = []
        for key, (uid, ready) in sorted(self.endpoints.all().items(), key=lambda each: str(each[0])):
            service = self._service(key.name, key.namespace or "default")
            if service is None or service["metadata"].get("uid") != uid:
                continue
            of = {"namespace": key.namespace or "default", "service": key.name, "managed": _is_managed(service)}
            found += [{**of, "instance": each.instance} for each in ready]
        return found

    async def text(self, namespace: str, name: str, instance: str, path: str) -> str:
        """What it answers. Raises NotFound, BadRequest, Unavailable."""
        service = self._service(name, namespace)
        key = SERVICE.key(name, namespace)
        ready = () if service is None else self.endpoints.ready(key, service["metadata"].get("uid") or "")
        endpoint = next((each for each in ready if each.instance == instance), None)
        if service is None or endpoint is None:
            raise NotFound(f'the service {name} in the namespace {namespace} has no ready instance "{instance}"')
        if _is_managed(service) and path != "/metrics":
            raise BadRequest(f"path: a managed service is asked for /metrics alone, not for {path}")
        return await self._asked(service, endpoint, path)

    def _service(self, name: str, namespace: str) -> dict[str, Any] | None:
        try:
            return self.registry.get(SERVICE, SERVICE.key(name, namespace)).object
        except ApiError:
            return None

    async def _asked(self, service: dict[str, Any], endpoint: Endpoint, path: str) -> str:
        """On a connection of its own: what was proven on one is true of one Service alone."""
        host = self.tls.host(service["metadata"]["name"], endpoint.address) if _is_managed(service) else ""
        context = self.tls.context() if host else None
        scheme = "https" if context is not None else "http"
        extensions = {"sni_hostname": host} if host else {}
        try:
            async with (
                httpx.AsyncClient(verify=context or False, trust_env=False, timeout=SECONDS) as client,
                client.stream(
                    "GET", f"{scheme}://{endpoint.address}{path}", headers=_HEADERS, extensions=extensions
                ) as answer,
            ):
                return await _text(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            text = f"the instance {endpoint.instance} cannot be asked: {type(error).__name__}"
            raise Unavailable(text, retry_after=1) from None


def _is_managed(service: dict[str, Any]) -> bool:
    return bool((service.get("spec") or {}).get("managed"))


async def _text(answer: httpx.Response) -> str:
    if answer.status_code != 200:
        raise Unavailable(f"the instance answered {answer.status_code}", retry_after=1)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise Unavailable("the instance compresses its answer, though it was asked not to", retry_after=60)
    content = b""
    async for part in answer.aiter_raw():
        content += part
        if len(content) > MOST_BYTES:
            raise Unavailable(f"the instance answers with more than {MOST_BYTES} bytes", retry_after=60)
    return content.decode("utf-8", "replace")


def instance_metrics_routes(
    instances: InstanceMetrics, cloud: CloudMetrics, authenticator: Authenticator, authorizer: Authorizer
) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/metrics")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/targets")
    async def targets(asker: Annotated[Principal, Depends(authenticate)]) -> dict[str, Any]:
        authorizer.require(asker, Action("list", GROUP, RESOURCE))
        return {"targets": instances.targets()}

    @router.get("/cloud")
    async def of_cloud(asker: Annotated[Principal, Depends(authenticate)]) -> PlainTextResponse:
        authorizer.require(asker, Action("list", GROUP, RESOURCE))
        return PlainTextResponse(cloud.render())

    @router.get("/instances/{namespace}/{service}/{instance}")
    async def one(
        namespace: str,
        service: str,
        instance: str,
        asker: Annotated[Principal, Depends(authenticate)],
        path: Annotated[str, Query(max_length=1024, pattern="^/[!-~]*$")] = "/metrics",
    ) -> PlainTextResponse:
        authorizer.require(asker, Action("get", GROUP, RESOURCE, namespace, service))
        return PlainTextResponse(await instances.text(namespace, service, instance, path))

    return router
