"""The client protocol of resources: what any part of the cloud may do with them, whoever carries it out.

Two implementations: in-process (`local.py`) and over HTTP (`remote.py`). Reconcilers, services, agents
and the CLI use this and cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from crds.kind import Kind, KubeObject

M = TypeVar("M", bound=KubeObject)
M_co = TypeVar("M_co", bound=KubeObject, covariant=True)
ChangeType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Listing(Generic[M_co]):
    """Resources and the revision they were read at: the place to watch from."""

    items: Sequence[M_co]
    revision: int


class WatchEvent(NamedTuple, Generic[M_co]):
    """One step of a watch. A BOOKMARK has only metadata.resourceVersion."""

    type: ChangeType
    object: M_co
    revision: int


class Resources(Protocol):
    """Reads and writes of resources. All raise `crds.errors.ApiError`s; Unavailable and Timeout may be retried."""

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        """One resource. Raises NotFound."""
        ...

    async def list(
        self, kind: Kind[M], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[M]:
        """All of a kind in one namespace, or everywhere when None."""
        ...

    def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[M]]]:
        """Everything after that revision. Raises Expired when too old; ends when the connection does."""
        ...

    async def create(self, kind: Kind[M], resource: M) -> M:
        """Raises AlreadyExists, Invalid."""
        ...

    async def replace(self, kind: Kind[M], resource: M) -> M:
        """Put this in place of the version it was read from. Raises Conflict when that is not the newest."""
        ...

    async def patch(
        self,
        kind: Kind[M],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: Literal["", "status"] = "",
    ) -> M:
        """JSON merge patch (RFC 7386). With metadata.resourceVersion in it, raises Conflict when stale."""
        ...

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
        """Ask for deletion; finalizers may delay it. Raises NotFound for a missing resource, and Conflict when it has
        another uid or another version than is said.
        """
        ...
