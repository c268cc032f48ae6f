"""A plain HTTP API: each route declared beside its handler, with what it asks of its caller.

    class NoteRoutes:
        @route("GET", "/notes/{name}", permission=("get", NOTE))
        async def read(self, request: Request) -> Any:
            return await request.resources.get(NOTE, request.parameters["name"], request.namespace)

The permission is asked for before the body is read, in the caller's name: on the resource `{name}` where the path
has one, in `{namespace}` where it has that, else in the caller's own. Unknown paths, members of the query and fields
are refused. A handler returns what becomes JSON (None: 204), or an `Response`, or raises an ApiError.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from crds.kind import Kind
from services.sdk.identity import Caller
from services.sdk.permissions import Permission

if TYPE_CHECKING:
    from controller.client.protocol import Resources

_MARK = "__route__"
Handler = Callable[["Request"], Awaitable[Any]]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Route:
    """query: members of the query that are understood. body: the model of the JSON that is sent; None takes none.
    raw: whatever is sent is taken, as bytes.
    """

    method: str
    path: str
    permission: Permission | None
    query: frozenset[str]
    body: type[BaseModel] | None
    raw: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request that its caller may make. `body` is an instance of the route's model, or bytes; `resources` are
    touched in the caller's name. `headers`: by their names in lower case, of several the first.
    """

    caller: Caller
    namespace: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    resources: Resources
    id: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What is not simply JSON with 200."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def route(
    method: str,
    path: str,
    *,
    permission: tuple[str, Kind[Any]] | None,
    query: Iterable[str] = (),
    body: type[BaseModel] | None = None,
    raw: bool = False,
) -> Callable[[F], F]:
    """Declare a method as the handler of that route. `permission=None` opens it to everybody known to the cloud."""
    wanted = None if permission is None else Permission(*permission)
    declared = Route(method.upper(), path, wanted, frozenset(query), body, raw)

    def mark(handler: F) -> F:
        setattr(handler, _MARK, declared)
        return handler

    return mark


def declared_routes(objects: Iterable[object]) -> Iterator[tuple[Route, Handler]]:
    """The declared methods of these objects."""
    for each in objects:
        for attribute in dir(type(each)):
            declared = getattr(getattr(type(each), attribute), _MARK, None)
            if declared is not None:
                yield declared, getattr(each, attribute)
