"""Follows the containers of ours on this machine: tells the conductor where to look, and ends those that hang.

Swarm asks a hanging process to stop and waits its whole grace time for it. A process that no longer answers its own
health check will not answer that either, so it is killed, and Swarm starts the next one at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import structlog

from agent.errors import AgentError
from controller.runtime.driver import DriverError
from controller.runtime.swarm.local import ContainerNews, LocalDocker
from crds.meta import ObjectKey

GATHER_SECONDS = 0.05
RECONNECT_SECONDS = 1.0
UNHEALTHY = "health_status: unhealthy"
Tell = Callable[[str, dict[str, Any]], Awaitable[Any]]
_log = structlog.get_logger("containers")


class Containers:
    """`tell` posts to the conductor as this worker; when it cannot, the conductor finds out by its own look."""

    def __init__(self, docker: LocalDocker, tell: Tell) -> None:
        self._docker, self._tell = docker, tell
        self._changed: set[ObjectKey] = set()
        self._hanging: list[ContainerNews] = []
        self._news = anyio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow)
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                hanging, self._hanging = self._hanging, []
                for each in hanging:
                    await self._end(each)
                await anyio.sleep(GATHER_SECONDS)
                await self._pass_on()

    async def _follow(self) -> None:
        while True:
            try:
                await self._docker.follow(self._hear)
            except DriverError as lost:
                _log.debug("no news from Docker", because=str(lost))
            await anyio.sleep(RECONNECT_SECONDS)

    def _hear(self, news: ContainerNews) -> None:
        self._changed.add(news.key)
        if news.what == UNHEALTHY:
            self._hanging.append(news)
        self._news.set()

    async def _end(self, news: ContainerNews) -> None:
        try:
            if await self._docker.kill(news.container):
                _log.warning("killed: its health check fails", service=str(news.key), container=news.container[:12])
        except DriverError as refused:
            _log.warning("hangs and cannot be killed", service=str(news.key), because=str(refused))

    async def _pass_on(self) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        services = [{"namespace": each.namespace, "name": each.name} for each in sorted(changed)]
        try:
            await self._tell("/agents/news", {"services": services})
        except AgentError as lost:
            _log.debug("news not told", because=str(lost))
