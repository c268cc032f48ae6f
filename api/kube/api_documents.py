"""The documents that describe this API: discovery and OpenAPI. Made once for each state of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio.lowlevel
import orjson

from api.asgi import JSON, Response
from api.kube import discovery, openapi, openapi_protobuf
from crds.catalog import Catalog
from crds.errors import NotFound
from crds.kind import Kind

_MOST_SLASHES = 4  # /apis/{group}/{version}/


class Documents:
    """Answers the short paths under /api, /apis and /openapi. `more` are kinds that are served but not stored."""

    def __init__(self, catalog: Catalog, more: Sequence[Kind[Any]] = ()) -> None:
        self._catalog, self._more = catalog, tuple(more)
        self._made: dict[tuple[str, str], Response] = {}
        self._made_for = -1

    @staticmethod
    def serves(path: str) -> bool:
        """Whether there may be a document at that path."""
        if path.count("/") > _MOST_SLASHES and not path.startswith("/openapi/"):
            return False  # the hot path: resources live deeper than documents
        return _is_document(path.strip("/").split("/"))

    async def find(self, path: str, headers: Mapping[bytes, bytes]) -> Response | None:
        """The document at that path; None when the path is no document's. Raises NotFound."""
        if not self.serves(path):
            return None
        parts = path.strip("/").split("/")
        if self._made_for != self._catalog.version:
            self._made, self._made_for = {}, self._catalog.version
        accept = headers.get(b"accept", b"").decode("latin-1")
        form = (discovery.aggregated_version(accept) or "") if parts in (["api"], ["apis"]) else ""
        form = form or ("protobuf" if "protobuf" in accept else "")
        place = ("/".join(parts), form)
        if place not in self._made:
            if parts[0] == "openapi":
                await work_out_schemas(self.kinds())
            self._made[place] = self._make(parts, form)
        return self._made[place]

    def kinds(self) -> list[Kind[Any]]:
        """Everything people may know about."""
        known = (kind for kind in (*self._catalog, *self._more) if not kind.internal)
        return [each for kind in known for each in kind.served_versions]

    def _make(self, parts: list[str], form: str) -> Response:
        kinds = self.kinds()
        if form.startswith("v2"):
            body = discovery.aggregated(kinds, core=parts == ["api"], version=form)
            kind = f"application/json;g=apidiscovery.k8s.io;v={form};as={discovery.AGGREGATED}"
            return Response(200, orjson.dumps(body), kind.encode())
        if parts == ["openapi", "v2"] and form == "protobuf":
            return Response(200, openapi_protobuf.encoded(openapi.document_v2(kinds)), openapi_protobuf.CONTENT_TYPE)
        made = _legacy(kinds, parts)
        if made is None:
            raise NotFound("the server could not find the requested resource")
        return Response(200, orjson.dumps(made), JSON)


async def work_out_schemas(kinds: Iterable[Kind[Any]]) -> None:
    """So that who asks for all schemas at once finds them there: each takes milliseconds when it is first read, and
    between two of them others have their turn.
    """
    for kind in kinds:
        if "schema" not in vars(kind):
            _ = kind.schema
            await anyio.lowlevel.checkpoint()


def _is_document(parts: list[str]) -> bool:
    match parts:
        case ["api"] | ["apis"] | ["api", _] | ["apis", _] | ["apis", _, _] | ["openapi", *_]:
            return True
    return False


def _legacy(kinds: list[Kind[Any]], parts: list[str]) -> dict[str, Any] | None:
    makers: dict[str, Callable[[], dict[str, Any] | None]] = {
        "api": discovery.api_versions,
        "apis": lambda: discovery.api_groups(kinds),
        "openapi/v2": lambda: openapi.document_v2(kinds),
        "openapi/v3": lambda: openapi.index(kinds),
    }
    if maker := makers.get("/".join(parts)):
        return maker()
    match parts:
        case ["apis", group]:
            return discovery.api_group(kinds, group)
        case ["api", version]:
            return discovery.api_resources(kinds, "", version)
        case ["apis", group, version]:
            return discovery.api_resources(kinds, group, version)
        case ["openapi", "v3", "api", version]:
            return openapi.document_v3(kinds, "", version)
        case ["openapi", "v3", "apis", group, version]:
            return openapi.document_v3(kinds, group, version)
    return None
