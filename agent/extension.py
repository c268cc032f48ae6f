"""Extensions of an agent besides its heartbeat: jobs, fields in each heartbeat, a look at the responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agent.conductor_client import ConductorClient
from agent.identity import IdentityStore


class AgentExtension(Protocol):
    """`agent.swarm.SwarmNode` is one."""

    async def run(self, conductor: ConductorClient, identity_store: IdentityStore) -> None:
        """Run until cancelled. Whatever fails in it must not end the heartbeat."""
        ...

    def heartbeat_fields(self) -> Mapping[str, Any]:
        """Return fields for the body of a heartbeat."""
        ...

    async def on_heartbeat_response(self, answer: Mapping[str, Any]) -> None:
        """Handle the conductor's response to a heartbeat."""
        ...
