"""The place of a Docker daemon in a Swarm, as `docker info` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SwarmNodeInfo:
    """`address`: the one it joined with; `managers`: `address:2377` of each; `name`: of the machine.

    `state` is Docker's word: inactive, pending, active, error, locked.
    """

    node_id: str
    address: str
    state: str
    manager: bool
    managers: tuple[str, ...]
    version: str
    root: str
    error: str = ""
    name: str = ""

    @property
    def in_swarm(self) -> bool:
        return self.state == "active"


def parse_node_info(info: Mapping[str, Any]) -> SwarmNodeInfo:
    """`info` is the answer of `docker info`."""
    swarm = info.get("Swarm") or {}
    return SwarmNodeInfo(
        node_id=str(swarm.get("NodeID", "")),
        address=str(swarm.get("NodeAddr", "")),
        state=str(swarm.get("LocalNodeState", "inactive")),
        manager=bool(swarm.get("ControlAvailable")),
        managers=tuple(each["Addr"] for each in swarm.get("RemoteManagers") or ()),
        version=str(info.get("ServerVersion", "")),
        root=str(info.get("DockerRootDir", "")),
        error=str(swarm.get("Error", "")),
        name=str(info.get("Name", "")),
    )
