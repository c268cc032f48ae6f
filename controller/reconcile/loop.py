"""Runs reconcilers: follows what they watch, hands keys to workers, stops politely.

All tasks live in one group. Stopping gives passes in work a grace to end, then cancels them. The same loop runs
in the conductor (in-process resources) and in a managed service (over HTTP).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import anyio
import anyio.abc
import structlog

from controller.client.protocol import Resources
from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.reconcile.event_recorder import EventRecorder
from controller.reconcile.informer import Informers
from controller.reconcile.kind_controller import KindController
from controller.reconcile.metrics import ControllerState, InformerState
from controller.reconcile.reconciler import AlsoWatch, Reconciler, World
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey

_log = structlog.get_logger("loop")
_JITTER = 0.1


class Loop:
    """`workers` per reconciler; `resync`, `deadline` (per pass) and `grace` in seconds.

    `also_read`: kinds that reconcilers read from `world.seen` without being woken by them. `shared`: informers that
    somebody else runs; what they follow is not followed again.
    Raises ValueError when two reconcilers claim one kind: each status has one writer.
    """

    def __init__(
        self,
        resources: Resources,
        clock: Clock,
        reconcilers: Sequence[Reconciler[Any]],
        rng: random.Random,
        *,
        workers: int = 4,
        component: str = "controller",
        resync: float = 300.0,
        deadline: float = 60.0,
        grace: float = 5.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        also_read: Iterable[Kind[Any]] = (),
        shared: Informers | None = None,
    ) -> None:
        self._rng, self._workers, self._resync, self._grace = rng, workers, resync, grace
        self.seen = Informers([*_kinds(reconcilers), *also_read], resources, rng, shared)
        self.events = EventRecorder(resources, clock, component)
        self.world = World(resources, self.seen, clock, self.events)
        self._controllers: dict[tuple[str, str], KindController] = {}
        self._passes: set[anyio.CancelScope] = set()
        self._listening: list[Callable[[], None]] = []
        self._synced = False
        self.caught_up = False
        """Whether everything found at the start has had one pass."""
        for reconciler in reconcilers:
            self._add_controller(
                KindController(reconciler, self.seen.of(reconciler.kind), self.world, rng, backoff, deadline)
            )

    def enqueue(self, key: ObjectKey) -> None:
        """Give this key a pass soon: something outside the resources changed. Unknown kinds are ignored."""
        if controller := self._controllers.get((key.group, key.plural)):
            controller.queue.add(key)

    def controllers(self) -> Iterator[ControllerState]:
        """As `LoopMetrics`."""
        return (each.state() for each in self._controllers.values())

    def informers(self) -> Iterator[InformerState]:
        """As `LoopMetrics`."""
        return (each.state() for each in self.seen)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled, once. Started when everything was listed and the workers are up."""
        try:
            await self._run(task_status)
        finally:
            for end in self._listening:
                end()

    async def _run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with anyio.create_task_group() as tasks:
            self.seen.start(tasks)
            tasks.start_soon(self.events.run, name="events")
            tasks.start_soon(self._limit_passes_when_stopped, name="grace")
            await self.seen.wait_synced()
            self._synced = True
            for controller in self._controllers.values():
                tasks.start_soon(self._resync_all, controller, name=f"resync {controller.kind.plural}")
                for number in range(self._workers):
                    tasks.start_soon(self._work, controller, name=f"{controller.kind.plural} {number}")
            _log.info("loop runs", kinds=[controller.kind.name for controller in self._controllers.values()])
            task_status.started()
            for controller in self._controllers.values():
                await controller.queue.idle()
            self.caught_up = True

    async def _work(self, controller: KindController) -> None:
        while True:
            key = await controller.queue.get()
            # Shielded: half a pass is worse than a late stop. The grace task sets the deadline.
            with anyio.CancelScope(shield=True) as scope:
                self._passes.add(scope)
                try:
                    await controller.process(key)
                finally:
                    self._passes.discard(scope)

    async def _limit_passes_when_stopped(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            until = anyio.current_time() + self._grace
            for scope in self._passes:
                scope.deadline = min(scope.deadline, until)

    async def _resync_all(self, controller: KindController) -> None:
        """Every key about once per `resync`, evenly spread; one that waits for its time already is left alone."""
        while True:
            keys = controller.informer.keys()
            pause = self._resync / max(len(keys), 1)
            for key in keys or (None,):
                await anyio.sleep(pause * (1 + _JITTER * (2 * self._rng.random() - 1)))
                if key is not None and not controller.queue.holds(key):
                    controller.queue.add(key)

    def _add_controller(self, controller: KindController) -> None:
        resource = (controller.kind.group, controller.kind.plural)
        if resource in self._controllers:
            raise ValueError(f"two reconcilers claim {controller.kind.resource}; one status has one writer")
        self._controllers[resource] = controller
        self._listening.append(controller.informer.listen(controller.on_event))
        for also in controller.reconciler.also_watch:
            self._listening.append(self.seen.of(also.kind).listen(self._router(controller, also)))

    def _router(self, controller: KindController, also: AlsoWatch[Any]) -> Any:
        def route(change: str, item: KubeObject, before: KubeObject | None) -> None:
            if not self._synced:
                return  # everything gets a pass after the first listing anyway
            # Those it no longer concerns must hear of it too.
            for version in (item, before) if before is not None and before is not item else (item,):
                self._enqueue_affected(controller, also, version)

        return route

    def _enqueue_affected(self, controller: KindController, also: AlsoWatch[Any], version: KubeObject) -> None:
        try:
            for key in also.affects(version, self.seen):
                controller.queue.add(key)
        except Exception:
            _log.exception("also_watch broke", kind=controller.kind.name, changed=also.kind.name)


def _kinds(reconcilers: Sequence[Reconciler[Any]]) -> list[Kind[Any]]:
    own = [each.kind for each in reconcilers]
    return own + [also.kind for each in reconcilers for also in each.also_watch]
