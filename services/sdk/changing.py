"""Changes of a resource that its status, or somebody else, may have moved on meanwhile: then made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crds.errors import Conflict
from crds.kind import Kind, KubeObject
from services.sdk.context import ServiceContext
from services.sdk.informer import Informer
from services.sdk.resources import Resources

R = TypeVar("R", bound=KubeObject)
_TRIES = 5


class Changing:
    """One per process."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def change(
        self, kind: Kind[R], informer: Informer[R], acting: Resources, found: R, edit: Callable[[R], None]
    ) -> R:
        """The resource as it is after `edit`, which may be called again. Raises ApiError."""
        for tried in range(_TRIES):
            wanted = found.model_copy(deep=True)
            edit(wanted)
            try:
                return informer.put(await acting.replace(kind, wanted))
            except Conflict:
                if tried == _TRIES - 1:
                    raise
                meta = found.metadata
                found = await self._context.resources.get(kind, meta.name, meta.namespace)
        raise AssertionError("the last try raises")
