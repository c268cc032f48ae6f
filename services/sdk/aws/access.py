"""In whose name an AWS call uses resources, and whether it may: always the caller's, and the conductor decides.

A service that calls for somebody brings their name along, so the rights are asked of the person.
"""

from __future__ import annotations

from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources


class CallerAccess:
    """Asks for what the operation declares, and acts in the caller's name. One per process."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def allows(self, call: RequestContext, name: str, namespace: str) -> bool:
        """Return whether the caller may do this with that resource; for those whom policies may allow it too."""
        wanted = call.permission
        call.asked.append((wanted.verb, wanted.kind.plural, name))
        kind = wanted.kind
        return await self._context.authorizer.allows(
            call.caller, wanted.verb, kind.plural, kind.group, name, namespace
        )

    async def require(self, call: RequestContext, name: str = "", namespace: str | None = None) -> None:
        """Raises Forbidden unless the caller may do this with that resource; without a name, with all."""
        wanted, where = call.permission, call.namespace if namespace is None else namespace
        call.asked.append((wanted.verb, wanted.kind.plural, name))
        kind = wanted.kind
        await self._context.authorizer.require(call.caller, wanted.verb, kind.plural, kind.group, name, where)

    async def resources_for(self, call: RequestContext, name: str, namespace: str | None = None) -> Resources:
        """Resources to do it with, in the caller's name. Raises Forbidden for who may not."""
        await self.require(call, name, namespace)
        return self._context.acting_for(call.caller)
