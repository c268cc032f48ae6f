"""Puts notes_manager together."""

from __future__ import annotations

from prometheus_client import Counter

from services.notes_manager.kinds import NOTE
from services.notes_manager.reconciler import NoteReconciler
from services.notes_manager.routes import NoteRoutes
from services.sdk.context import ServiceContext
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """One informer of notes, for the search and the reconciler."""
    searches = Counter("aerekos_notes_searches", "Searches in notes.", registry=context.metrics.registry)
    return Service(routes=[NoteRoutes(context.informer(NOTE), searches)], reconcilers=[NoteReconciler()])
