"""The API of notes_manager, beside the resource API: a search."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter

from services.notes_manager.kinds import NOTE, Note
from services.sdk.informer import Informer
from services.sdk.routes import Request, route


class NoteRoutes:
    def __init__(self, notes: Informer[Note], searches: Counter) -> None:
        self._notes, self._searches = notes, searches

    @route("GET", "/search", permission=("list", NOTE), query=("contains",))
    async def search(self, request: Request) -> dict[str, Any]:
        self._searches.inc()
        wanted, notes = request.query.get("contains", ""), self._notes.all(request.namespace)
        return {"notes": sorted(each.metadata.name for each in notes if wanted in each.spec.text)}
