"""Two runtimes as one: containers in a Swarm, everything without an image as processes of this machine.

For a conductor that itself runs as a process on a Swarm manager: it needs no image of its own, and still runs any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controller.runtime.driver import Driver, LogEntries, LogMark, ObservedInstance, RuntimeEvent, Workload
from controller.runtime.process import ProcessDriver
from controller.runtime.swarm import SwarmDriver
from crds.meta import ObjectKey


class CompositeDriver:
    """Two drivers as one. Whoever has instances of a workload answers for it; one that changes sides leaves the other
    side first.
    """

    name = "swarm and process"

    def __init__(self, processes: ProcessDriver, swarm: SwarmDriver) -> None:
        self._processes, self._swarm = processes, swarm

    async def observe(self, key: ObjectKey) -> Sequence[ObservedInstance]:
        """Raises DriverError."""
        return [*await self._processes.observe(key), *await self._swarm.observe(key)]

    async def apply(self, workload: Workload) -> None:
        """Raises DriverError."""
        here: Driver = self._swarm if workload.image else self._processes
        other: Driver = self._processes if workload.image else self._swarm
        if await other.observe(workload.key):
            await other.remove(workload.key)
        await here.apply(workload)

    async def remove(self, key: ObjectKey) -> bool:
        """Raises DriverError."""
        return all([await self._processes.remove(key), await self._swarm.remove(key)])

    async def lacks(self) -> Sequence[str]:
        """What processes cannot be walled in by; containers have their engine's walls."""
        return await self._processes.lacks()

    async def list_workloads(self) -> Sequence[ObjectKey]:
        """Raises DriverError."""
        return sorted({*await self._processes.list_workloads(), *await self._swarm.list_workloads()})

    def on_event(self, listener: Callable[[RuntimeEvent], None]) -> None:
        self._processes.on_event(listener)
        self._swarm.on_event(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """Raises DriverError."""
        lines = await self._processes.logs(key, instance, tail=tail)
        return lines or await self._swarm.logs(key, instance, tail=tail)

    async def log_marks(self) -> Sequence[LogMark]:
        """Raises DriverError."""
        return [*await self._processes.log_marks(), *await self._swarm.log_marks()]

    async def log_entries(self, key: ObjectKey, instance: str, position: str) -> LogEntries:
        """Raises DriverError, ValueError."""
        if key in await self._processes.list_workloads():
            return await self._processes.log_entries(key, instance, position)
        return await self._swarm.log_entries(key, instance, position)

    async def restart(self, key: ObjectKey, instance: str) -> bool:
        """Swarm makes only all copies anew, so False there. Raises DriverError."""
        return await self._processes.restart(key, instance)

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Raises DriverError."""
        await self._swarm.adopt(name, key)

    async def volume_usage(self, workload: Workload) -> Mapping[str, int]:
        """Volume usage of processes; a Swarm does not tell."""
        return {} if workload.image else await self._processes.volume_usage(workload)

    async def discard_volumes(self, key: ObjectKey) -> str:
        """Discard volumes of processes. Raises DriverError."""
        return await self._processes.discard_volumes(key)

    def request_refresh(self, key: ObjectKey) -> None:
        self._swarm.request_refresh(key)
