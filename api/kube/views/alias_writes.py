"""Writes to a view that is another spelling of a stored kind: each becomes the same write of what is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import orjson

from api.asgi import Response, json_answer
from api.kube.patches import edit_of, patch_type
from api.kube.request import ApiRequest
from api.kube.views.view import Body, View, ViewStorage
from api.kube.warnings import warning_headers
from api.kube.write import WriteHandler
from crds.errors import BadRequest


class KindAlias(View, Protocol):
    """A view whose resources can be made and deleted as what they are stored as."""

    def born(self, body: Body) -> Body:
        """The body to store of a new one. Raises Invalid."""
        ...

    def stored_selector(self, fields: str) -> str:
        """A field selector in the words of what is stored."""
        ...


class AliasWriteHandler:
    """Answers every write of one view. `writing` answers those of stored kinds."""

    def __init__(self, view: KindAlias, viewed: ViewStorage, writing: WriteHandler) -> None:
        self._view, self._viewed, self._writing = view, viewed, writing

    async def answer(self, ask: ApiRequest) -> Response:
        """Errors are `crds.errors.ApiError`s."""
        match ask.verb:
            case "create":
                return await self._create(ask)
            case "delete":
                return self._told(await self._writing.delete(self._stored(ask)))
            case "deletecollection":
                selector = self._view.stored_selector(ask.params.get("fieldSelector", ""))
                asked = self._stored(replace(ask, params={**ask.params, "fieldSelector": selector}))
                return self._told(await self._writing.delete_collection(asked))
        return await self._update(ask)

    async def _create(self, ask: ApiRequest) -> Response:
        body, kind = ask.manifest(), self._view.kind
        for field, value in (("apiVersion", kind.api_version), ("kind", kind.name)):
            if body.get(field) not in (None, "", value):
                raise BadRequest(f"{field} in the body ({body[field]}) is not the one of the URL ({value})")
        headers = {**ask.headers, b"content-type": b"application/json"}
        made = replace(self._stored(ask), body=orjson.dumps(self._view.born(body)), headers=headers)
        return self._told(await self._writing.create(made))

    async def _update(self, ask: ApiRequest) -> Response:
        target = ask.target
        if ask.verb == "patch" and (sort := patch_type(ask)) == "apply":
            stored = self._view.source
            raise BadRequest(f"{target.kind.resource} cannot be applied; apply the same as {stored.api_version}")
        wanted = ask.manifest() if ask.verb == "update" else {}
        edit = (lambda _: wanted) if ask.verb == "update" else edit_of(ask, sort)
        written = await self._viewed.update(target.key, edit, ask.how)
        return json_answer(200, written.body, headers=warning_headers(ask, written.warnings))

    def _stored(self, ask: ApiRequest) -> ApiRequest:
        return replace(ask, target=ask.target._replace(kind=self._view.source))

    def _told(self, answer: Response) -> Response:
        """The answer about what is stored, in this view's words."""
        told: Any = orjson.loads(answer.body)
        source, kind = self._view.source, self._view.kind
        if told.get("kind") == source.name:
            told = next(iter(self._view.show(told)))
        elif told.get("kind") == f"{source.name}List":
            items = [next(iter(self._view.show(each))) for each in told["items"]]
            told = {**told, "apiVersion": kind.api_version, "items": items}
        return answer._replace(body=orjson.dumps(told))
