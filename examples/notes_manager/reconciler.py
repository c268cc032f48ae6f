"""The Note reconciler: counts words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.notes_manager.kinds import NOTE, Note
from services.sdk.reconcile import AlsoWatch, Outcome, World, done


class NoteReconciler:
    kind = NOTE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    async def reconcile(self, resource: Note, world: World) -> Outcome:
        resource.status.words = len(resource.spec.text.split())
        return done()

    async def finalize(self, resource: Note, world: World) -> Outcome:
        return done()
