"""What an instance of a managed service is made of, made together by its `create`.

    def create(context: ServiceContext) -> Service:
        notes = NoteStore(context.resources)
        return Service(app=NotesApp(notes), reconcilers=[NoteReconciler(notes)])

The application, the reconcilers, the checks and the tasks of one process so share their objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crds.managed import ManagedService
from services.sdk.discovery import load

if TYPE_CHECKING:
    from controller.reconcile.reconciler import Reconciler
    from services.sdk.app import Asgi, Route, Task
    from services.sdk.context import ServiceContext
    from services.sdk.health import Check


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one instance.

    routes: (method, exact path, ASGI); app: takes every other path. reconcilers: one for each kind at most.
    checks: what `/ready` asks. tasks: run from start to stop (caches, sweepers); they must not end.
    on_stop: called in order at the end, when nothing else runs any more.
    """

    app: Asgi | None = None
    routes: Sequence[Route] = ()
    reconcilers: Sequence[Reconciler[Any]] = ()
    checks: Sequence[Check] = ()
    tasks: Sequence[Task] = ()
    on_stop: Sequence[Task] = ()


def create_service(manifest: ManagedService, context: ServiceContext) -> Service:
    """The parts, made by the function that the manifest names. Raises TypeError when it makes something else."""
    made = load(manifest.create)(context)
    if not isinstance(made, Service):
        raise TypeError(f"{manifest.create} must return a services.sdk.service.Service, not {type(made).__name__}")
    return made
