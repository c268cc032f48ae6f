"""What an operation or a route asks of its caller, declared beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from crds.kind import Kind
from services.sdk.asgi import Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb of Kubernetes RBAC on a kind of resource."""

    verb: str
    kind: Kind[Any]


class GuardedApp(Protocol):
    """An ASGI application that says what it asks of its callers."""

    def permissions(self) -> Mapping[str, Permission | None]:
        """What each operation asks for, by name; None for one that anybody known may use."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
