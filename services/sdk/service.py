"""What an instance of a managed service is made of, made together by its `create`.

    def create(context: ServiceContext) -> Service:
        notes = NoteStore(context.resources)
        return Service(app=NotesApp(notes), reconcilers=[NoteReconciler(notes)])

The application, the reconcilers, the checks and the tasks of one process so share their objects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crds.managed import ManagedService
from services.sdk.discovery import load
from services.sdk.permissions import GuardedApp, Permission
from services.sdk.routes import declared_routes

if TYPE_CHECKING:
    from controller.reconcile.reconciler import Reconciler
    from services.sdk.context import ServiceContext
    from services.sdk.health import Check

Task = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one instance.

    routes: objects whose methods are declared by `services.sdk.routes.route`; app: takes every path that is none of
    theirs, and says itself what it asks of its callers. reconcilers: one for each kind at most.
    checks: what `/ready` asks. tasks: run from start to stop (sweepers); one that ends or fails is begun again.
    on_stopping: called when it is to stop, while requests are still under way: whoever waits must not wait on.
    on_stop: called in order at the end, when nothing else runs any more.
    """

    app: GuardedApp | None = None
    routes: Sequence[object] = ()
    reconcilers: Sequence[Reconciler[Any]] = ()
    checks: Sequence[Check] = ()
    tasks: Sequence[Task] = ()
    on_stopping: Sequence[Callable[[], None]] = ()
    on_stop: Sequence[Task] = ()

    def permissions(self) -> dict[str, Permission | None]:
        """What every route and operation asks for, by its name; None for one that anybody known may use."""
        routes = {declared.name: declared.permission for declared, _ in declared_routes(self.routes)}
        return {**routes, **(self.app.permissions() if self.app is not None else {})}


def create_service(manifest: ManagedService, context: ServiceContext) -> Service:
    """The parts, made by the function that the manifest names.

    Raises TypeError when it makes something else, and ValueError when something is asked of callers that the manifest
    does not say it does for them: the conductor would refuse it to everybody.
    """
    made = load(manifest.create)(context)
    if not isinstance(made, Service):
        raise TypeError(f"{manifest.create} must return a services.sdk.service.Service, not {type(made).__name__}")
    granted = {(grant.group, grant.kind, verb) for grant in manifest.acts for verb in grant.verbs}
    for name, asked in made.permissions().items():
        if asked is not None and (asked.kind.group, asked.kind.plural, asked.verb) not in granted:
            fix = f'add Grant("{asked.kind.plural}", ("{asked.verb}",)) to `acts` of the manifest of {manifest.name}'
            raise ValueError(f"{name} asks for {asked.verb} on {asked.kind.plural}: {fix}")
    return made
