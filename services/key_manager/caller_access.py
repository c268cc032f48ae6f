"""In whose name a KMS call uses resources, and whether it may: always the caller's, and the conductor decides.

A service that calls for somebody brings their name along, so the rights on a key are asked of the person.
"""

from __future__ import annotations

from typing import Any

from crds.kind import Kind
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.kinds import KEY
from services.key_manager.permissions import PERMISSIONS
from services.sdk.aws.router import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources


class CallerAccess:
    """Checks rights of KMS callers, and acts in their name. One per process."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def require(self, call: RequestContext, found: ResolvedKey) -> None:
        """Raises Forbidden unless the caller may do this operation with that key (`permissions`)."""
        await self._require(call, KEY, found.key.metadata.name, found.namespace)

    async def require_list(self, call: RequestContext, kind: Kind[Any]) -> None:
        """Raises Forbidden."""
        await self._require(call, kind, "", call.namespace)

    async def resources_for(self, call: RequestContext, kind: Kind[Any], name: str, namespace: str) -> Resources:
        """Resources to do it with, in the caller's name. Raises Forbidden for who may not."""
        await self._require(call, kind, name, namespace)
        return self._context.acting_for(call.caller)

    async def _require(self, call: RequestContext, kind: Kind[Any], name: str, namespace: str) -> None:
        wanted = PERMISSIONS[call.operation]
        if wanted.resource != kind.plural or wanted.verb is None:
            raise LookupError(f"{call.operation} asks for no right on {kind.plural}")
        await self._context.authorizer.require(call.caller, wanted.verb, kind.plural, kind.group, name, namespace)
