"""What an agent may have besides its heartbeat: jobs of its own, a part in each beat, an ear for the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agent.door import Door
from agent.identity import IdentityKeeper


class Besides(Protocol):
    """`agent.in_swarm.SwarmNode` is one."""

    async def run(self, door: Door, keeper: IdentityKeeper) -> None:
        """Until cancelled. Whatever fails in it must not end the heartbeat."""
        ...

    def part(self) -> Mapping[str, Any]:
        """For the body of a heartbeat."""
        ...

    async def heard(self, answer: Mapping[str, Any]) -> None:
        """The answer to a heartbeat."""
        ...
