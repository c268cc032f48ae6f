"""The manifest of notes_manager: notes that count their words and can be searched."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.notes_manager.kinds import NOTE

MANIFEST = ManagedService(
    name="notes_manager",
    title="Notes",
    summary="Notes that count their words and can be searched.",
    create="services.notes_manager.app:create",
    kinds=(NOTE,),
    grants=(Grant("notes", ("get", "list", "watch", "patch", "update")),),
    acts=(Grant("notes", ("list",)),),
    starts_enabled=True,
)
