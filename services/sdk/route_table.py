"""Serves declared routes: finds the one of a request, asks for its permission, reads what was sent, answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import orjson
from pydantic import BaseModel, ValidationError

from crds.errors import BadRequest, Cause, Forbidden, Invalid, MethodNotAllowed, NotFound, TooLarge, UnsupportedMedia
from crds.model import Model
from crds.names import subdomain_fault
from services.sdk.asgi import (
    Receive,
    Scope,
    Send,
    header_map,
    header_of,
    media_type,
    note_action,
    read_body,
    send_bytes,
    send_json,
)
from services.sdk.identity import Caller
from services.sdk.permissions import GuardedApp
from services.sdk.routes import Handler, Request, Response, Route, declared_routes

if TYPE_CHECKING:
    from services.sdk.context import ServiceContext

BODY_LIMIT = 1024 * 1024
_NAMES = ("name", "namespace")
Methods = dict[str, tuple[Route, Handler]]


class RouteTable:
    """ASGI. What is no path of its own goes to `then`. Raises ValueError for two handlers of one route."""

    def __init__(self, context: ServiceContext, objects: Iterable[object], then: GuardedApp | None = None) -> None:
        self._context, self._then = context, then
        self._routes: dict[tuple[str, ...], Methods] = {}
        for declared, handler in declared_routes(objects):
            methods = self._routes.setdefault(_shape(declared.path), {})
            if declared.method in methods:
                raise ValueError(f"{declared.name} is declared twice")
            methods[declared.method] = (declared, handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods, values = self._find(_segments(scope))
        if methods is None and self._then is not None:
            await self._then(scope, receive, send)
        elif methods is None:
            raise NotFound(f"{scope['path']} is not served here")
        elif (found := methods.get(scope["method"])) is None:
            await _refuse_method(scope, send, methods)
        else:
            await self._serve(found[0], found[1], values, scope, receive, send)

    async def _serve(
        self, declared: Route, handler: Handler, values: tuple[str, ...], scope: Scope, receive: Receive, send: Send
    ) -> None:
        caller: Caller = scope["state"]["caller"]
        parameters = _parameters(declared.path, values)
        namespace = parameters.get("namespace", caller.namespace)
        await self._require(declared, caller, parameters.get("name", ""), namespace, scope)
        request = Request(
            caller,
            namespace,
            parameters,
            _query(declared, scope),
            await _body(declared, scope, receive),
            self._context.acting_for(caller),
            scope["state"]["request_id"],
            {name.decode("latin-1"): value.decode("latin-1") for name, value in header_map(scope).items()},
        )
        await _send(await handler(request), send)

    async def _require(self, declared: Route, caller: Caller, name: str, namespace: str, scope: Scope) -> None:
        if (wanted := declared.permission) is None:
            note_action(scope, declared.name)
            return
        kind = wanted.kind
        note_action(scope, f"{kind.plural}:{wanted.verb}", f"{namespace}/{name}" if name else namespace)
        try:
            await self._context.authorizer.require(caller, wanted.verb, kind.plural, kind.group, name, namespace)
        except Forbidden:
            note_action(scope, forbidden=True)
            raise

    def _find(self, segments: tuple[str, ...]) -> tuple[Methods | None, tuple[str, ...]]:
        """The handlers of that path by method, and what stands where its parameters are. Plain text goes first."""
        exact = self._routes.get(segments)
        if exact is not None and "{}" not in segments:
            return exact, ()
        for shape, methods in self._routes.items():
            if len(shape) == len(segments) and all(w in ("{}", s) for w, s in zip(shape, segments, strict=True)):
                return methods, tuple(s for w, s in zip(shape, segments, strict=True) if w == "{}")
        return None, ()


def _shape(path: str) -> tuple[str, ...]:
    return tuple("{}" if _is_parameter(each) else each for each in path.split("/"))


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _segments(scope: Scope) -> tuple[str, ...]:
    """Of the path as it was sent: an escaped slash separates nothing."""
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return tuple(unquote(each) for each in raw.split("/"))


def _parameters(path: str, values: tuple[str, ...]) -> dict[str, str]:
    """Raises BadRequest for names that no resource can have."""
    names = [each[1:-1] for each in path.split("/") if _is_parameter(each)]
    found = dict(zip(names, values, strict=True))
    for name in _NAMES:
        if name in found and (fault := subdomain_fault(found[name])):
            raise BadRequest(f"the {name} {found[name]!r} in the path: {fault}")
    return found


def _query(declared: Route, scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadRequest("the query is not readable") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest("a member of the query stands there twice")
    if unknown := sorted(set(found) - declared.query):
        known = ", ".join(sorted(declared.query)) or "none"
        raise BadRequest(f"{declared.name} does not understand {', '.join(unknown)} in the query; it knows {known}")
    return found


async def _body(declared: Route, scope: Scope, receive: Receive) -> BaseModel | bytes | None:
    content = await read_body(receive, BODY_LIMIT)
    if content is None:
        raise TooLarge(f"the body is over {BODY_LIMIT} bytes")
    if declared.raw:
        return content
    if declared.body is None:
        if content:
            raise BadRequest(f"{declared.name} takes no body")
        return None
    sent = media_type(header_of(scope, "content-type"))
    if sent != "application/json":
        raise UnsupportedMedia(f"{declared.name} takes application/json, not {sent or 'a body without a type'}")
    try:
        return declared.body.model_validate_json(content, strict=True)
    except ValidationError as error:
        causes = tuple(Cause(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors())
        told = "; ".join(f"{each.field}: {each.message}" if each.field else each.message for each in causes)
        raise Invalid(f"the body is not what {declared.name} takes: {told}", causes=causes) from None


async def _refuse_method(scope: Scope, send: Send, methods: Iterable[str]) -> None:
    allowed = ", ".join(sorted(methods))
    error = MethodNotAllowed(f"{scope['path']} takes {allowed}, not {scope['method']}")
    content = orjson.dumps(error.status())
    await send_bytes(send, error.code, content, "application/json", [(b"allow", allowed.encode())])


async def _send(answer: Any, send: Send) -> None:
    if answer is None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(answer, Response):
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send_bytes(send, answer.status, answer.body, answer.content_type, headers)
    else:
        await send_json(send, 200, answer.wire() if isinstance(answer, Model) else answer)
