"""Resources over HTTP: the Kubernetes wire format, spoken by services, agents and a separate controller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar, cast

import httpx
import orjson

from controller.client.protocol import Listing, Propagation, WatchEvent
from crds.errors import ApiError, Unavailable, from_status
from crds.kind import Kind, KubeObject
from crds.meta import ObjectMeta
from crds.names import url_path

M = TypeVar("M", bound=KubeObject)

PAGE = 500
WATCH_SECONDS = 300
WATCH_READ_TIMEOUT = 90.0  # the server sends a bookmark at least each minute


def path_of(kind: Kind[Any], namespace: str | None, name: str = "", subresource: str = "") -> str:
    """Path at which the resource API serves it, without a leading slash. Raises Invalid for what can be no name."""
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if kind.namespaced and (namespace or name):
        parts += ["namespaces", namespace or "default"]
    parts += [kind.plural, name, subresource]
    return url_path(*(part for part in parts if part))


class RemoteResources:
    """Give it a client whose base_url, TLS and auth are already right.

    With `on_behalf_of`, the identity token of somebody who called, every request is made in their name (only managed
    services may, and only the one the token was made for).
    """

    def __init__(self, client: httpx.AsyncClient, *, on_behalf_of: str = "") -> None:
        self._client = client
        self._headers = [("X-Aerekos-On-Behalf-Of", on_behalf_of)] if on_behalf_of else []

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        return kind.decode(await self._send("GET", path_of(kind, namespace, name)))

    async def list(
        self, kind: Kind[M], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[M]:
        items: list[M] = []
        params = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        while True:
            page = orjson.loads(await self._send("GET", path_of(kind, namespace), params=params))
            items += [kind.decode(item) for item in page["items"]]
            params["continue"] = page["metadata"].get("continue", "")
            if not params["continue"]:
                return Listing(items, int(page["metadata"]["resourceVersion"]))

    @asynccontextmanager
    async def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[WatchEvent[M]]]:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(after),
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        request = self._client.build_request(
            "GET",
            path_of(kind, namespace),
            params=params,
            headers=self._headers,
            timeout=httpx.Timeout(10.0, read=WATCH_READ_TIMEOUT),
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise Unavailable(f"cannot reach {request.url}: {error}") from error
        try:
            if response.status_code != 200:
                raise _error(response, await response.aread())
            yield _events(kind, response)
        finally:
            await response.aclose()

    async def create(self, kind: Kind[M], resource: M) -> M:
        path = path_of(kind, resource.metadata.namespace or "default")
        return kind.decode(await self._send("POST", path, body=_complete(kind, resource)))

    async def replace(self, kind: Kind[M], resource: M) -> M:
        path = path_of(kind, resource.metadata.namespace, resource.metadata.name)
        return kind.decode(await self._send("PUT", path, body=_complete(kind, resource)))

    async def patch(
        self,
        kind: Kind[M],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: Literal["", "status"] = "",
    ) -> M:
        path = path_of(kind, namespace, name, subresource)
        body = await self._send("PATCH", path, body=patch, content_type="application/merge-patch+json")
        return kind.decode(body)

    async def delete(
        self,
        kind: Kind[M],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        options: dict[str, Any] = {"propagationPolicy": propagation}
        wanted = {"uid": uid, "resourceVersion": resource_version}
        if preconditions := {name: value for name, value in wanted.items() if value}:
            options["preconditions"] = preconditions
        await self._send("DELETE", path_of(kind, namespace, name), body=options)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        headers = [*self._headers, ("Accept", "application/json")]
        content = None
        if body is not None:
            headers.append(("Content-Type", content_type))
            content = orjson.dumps(body)
        try:
            response = await self._client.request(method, path, content=content, params=params, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(f"cannot reach {self._client.base_url}{path}: {error!r}") from error
        if response.status_code >= 300:
            raise _error(response, response.content)
        return response.content


def _complete(kind: Kind[Any], resource: KubeObject) -> dict[str, Any]:
    return {**resource.wire(), "apiVersion": kind.api_version, "kind": kind.name}


def _error(response: httpx.Response, content: bytes) -> ApiError:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    return from_status(response.status_code, body, fallback=content[:200].decode(errors="replace"))


async def _events(kind: Kind[M], response: httpx.Response) -> AsyncIterator[WatchEvent[M]]:
    try:
        async for line in response.aiter_lines():
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                raise from_status(event["object"].get("code", 500), event["object"])
            meta = event["object"]["metadata"]
            thing = _bookmark(kind, meta) if event["type"] == "BOOKMARK" else kind.decode(event["object"])
            yield WatchEvent(event["type"], thing, int(meta["resourceVersion"]))
    except httpx.TransportError as error:
        raise Unavailable(f"the watch of {kind.plural} broke: {error!r}") from error


def _bookmark(kind: Kind[M], meta: dict[str, Any]) -> M:
    metadata = ObjectMeta(resource_version=meta["resourceVersion"])
    bare = kind.model.model_construct(api_version=kind.api_version, kind=kind.name, metadata=metadata)
    return cast(M, bare)
