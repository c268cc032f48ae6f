"""Follows the containers of ours on this machine: tells the conductor where to look, and ends those that hang.

Swarm asks a hanging process to stop and waits its whole grace time for it. A process that no longer answers its own
health check will not answer that either, so it is killed, and Swarm starts the next one at once. Telling and killing
do not wait for each other: the one needs the conductor, the other the daemon, and each may be away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio
import structlog

from agent.errors import AgentError
from controller.docker.local_engine import UNHEALTHY, ContainerEvent
from controller.runtime.driver import DriverError
from crds.meta import ObjectKey

# A service that starts or ends tells several things at once.
GATHER_SECONDS = 0.05
RECONNECT_SECONDS = 1.0
# So many may wait to be killed; Swarm ends the others by itself, only later.
HANGING_AT_ONCE = 100
Report = Callable[[str, dict[str, Any]], Awaitable[Any]]
_log = structlog.get_logger("containers")


class ContainerEngine(Protocol):
    """`controller.docker.local_engine.LocalEngine`. Calls raise DriverError."""

    async def follow(self, told: Callable[[ContainerEvent], None]) -> None: ...

    async def unhealthy(self) -> list[ContainerEvent]: ...

    async def kill(self, container: str) -> bool: ...


class ContainerWatcher:
    """`report` posts to the conductor as this worker; when it cannot, the conductor finds out by its own look."""

    def __init__(self, docker: ContainerEngine, report: Report) -> None:
        self._docker, self._report = docker, report
        self._changed: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        self._changed_now = anyio.Event()
        self._hang, self._hanging = anyio.create_memory_object_stream[ContainerEvent](HANGING_AT_ONCE)

    async def run(self) -> None:
        """Run until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow)
            tasks.start_soon(self._end_hanging)
            while True:
                await self._changed_now.wait()
                await anyio.sleep(GATHER_SECONDS)
                self._changed_now = anyio.Event()
                await self._report_changes()

    async def _follow(self) -> None:
        while True:
            try:
                for each in await self._docker.unhealthy():
                    self._on_event(each)
                await self._docker.follow(self._on_event)
            except DriverError as lost:
                _log.debug("no news from Docker", because=str(lost))
            await anyio.sleep(RECONNECT_SECONDS)

    def _on_event(self, news: ContainerEvent) -> None:
        self._changed[news.key].add(news.what)
        if news.what == UNHEALTHY:
            try:
                self._hang.send_nowait(news)
            except anyio.WouldBlock:
                _log.warning("too many hang at once", left_to_swarm=_named(news.key), container=news.container[:12])
        self._changed_now.set()

    async def _end_hanging(self) -> None:
        async for news in self._hanging:
            service, container = _named(news.key), news.container[:12]
            try:
                if await self._docker.kill(news.container):
                    _log.warning("killed", service=service, container=container, because="its health check fails")
            except DriverError as refused:
                _log.warning("hangs and cannot be killed", service=service, container=container, because=str(refused))

    async def _report_changes(self) -> None:
        changed, self._changed = self._changed, defaultdict(set)
        services = [{"namespace": each.namespace, "name": each.name} for each in sorted(changed)]
        why = sorted(set().union(*changed.values()))
        try:
            await self._report("/agents/container-events", {"services": services})
            _log.debug("told where to look", services=[_named(each) for each in sorted(changed)], because=why)
        except AgentError as lost:
            _log.debug("not told where to look", because=str(lost))


def _named(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"
