"""Two runtimes as one: containers in a Swarm, everything without an image as processes of this machine.

For a conductor that itself runs as a process on a Swarm manager: it needs no image of its own, and still runs any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from controller.runtime.driver import Driver, InstanceSeen, News, Workload
from controller.runtime.process import ProcessDriver
from controller.runtime.swarm import SwarmDriver
from crds.meta import ObjectKey


class BothDrivers:
    """Whoever has instances of a workload answers for it; one that changes sides leaves the other side first."""

    name = "swarm and process"

    def __init__(self, processes: ProcessDriver, swarm: SwarmDriver) -> None:
        self._processes, self._swarm = processes, swarm

    async def observe(self, key: ObjectKey) -> Sequence[InstanceSeen]:
        """Raises DriverError."""
        return [*await self._processes.observe(key), *await self._swarm.observe(key)]

    async def apply(self, workload: Workload) -> None:
        """Raises DriverError."""
        here: Driver = self._swarm if workload.image else self._processes
        other: Driver = self._processes if workload.image else self._swarm
        if await other.observe(workload.key):
            await other.forget(workload.key)
        await here.apply(workload)

    async def forget(self, key: ObjectKey) -> bool:
        """Raises DriverError."""
        return all([await self._processes.forget(key), await self._swarm.forget(key)])

    async def lacks(self) -> Sequence[str]:
        """What processes cannot be walled in by; containers have their engine's walls."""
        return await self._processes.lacks()

    async def known(self) -> Sequence[ObjectKey]:
        """Raises DriverError."""
        return sorted({*await self._processes.known(), *await self._swarm.known()})

    def on_news(self, listener: Callable[[News], None]) -> None:
        self._processes.on_news(listener)
        self._swarm.on_news(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """Raises DriverError."""
        lines = await self._processes.logs(key, instance, tail=tail)
        return lines or await self._swarm.logs(key, instance, tail=tail)

    async def restart(self, key: ObjectKey, instance: str) -> bool:
        """Swarm makes only all copies anew, so False there. Raises DriverError."""
        return await self._processes.restart(key, instance)

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Raises DriverError."""
        await self._swarm.adopt(name, key)

    def hint(self, key: ObjectKey) -> None:
        self._swarm.hint(key)
