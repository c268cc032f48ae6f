"""A Docker daemon's place in a Swarm, as `docker info` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
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


def place_in(info: Mapping[str, Any]) -> Place:
    """`info` is the answer of `docker info`."""
    swarm = info.get("Swarm") or {}
    return Place(
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
