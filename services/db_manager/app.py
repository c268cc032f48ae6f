"""Puts db_manager together: one reconciler, which looks after the servers of every Database."""

from __future__ import annotations

from services.db_manager.credentials import CredentialsSecret
from services.db_manager.owned import OwnedResources
from services.db_manager.reconciler import DatabaseReconciler
from services.sdk.context import ServiceContext
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """It has no API of its own: a Database is asked for by the resource API."""
    owned = OwnedResources(context.resources)
    credentials = CredentialsSecret(context.resources)
    return Service(reconcilers=[DatabaseReconciler(owned, credentials, context.resources)])
