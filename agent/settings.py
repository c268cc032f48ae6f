"""Settings of the agent: arguments first, then AEREKOS_AGENT_* variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from controller.kit.networks import NodeNetworks

API_PORT = 7443
IMAGE_DOOR = "127.0.0.1:7444"
ANNOUNCE_PORT = 7446
MESH_PORT = 7448
MESH_PEERS = "tasks.mesh"


@dataclass(frozen=True)
class Settings:
    """`api` is tried in turn. `ca` is a PEM file, `ca_sha256` the hex SHA-256 of the CA's DER form.

    token: `<name>.<secret>.<ca-sha256>`, or `<name>.<secret>` whose secret proves the CA; needed once to join.
    token_file: where the token is read when it is needed.
    services_dir: the process runtime's `run/instances`; None means this node's services are not measured.
    docker: URL of this machine's Docker daemon; None means this machine is in no Swarm.
    api_port: where the managers of that Swarm have the conductor. image_door: `host:port`, empty for none.
    announce_port: UDP, where machines tell each other that they have moved; the same one everywhere.
    mesh_port, mesh_peers: where `aerekos-agent mesh` answers, and the name under which it finds the others.
    node_networks: where other machines of the cloud may be, besides the networks this machine is in.
    """

    name: str
    home: Path
    api: tuple[str, ...] = ()
    token: str | None = None
    token_file: Path | None = None
    ca: Path | None = None
    ca_sha256: str | None = None
    services_dir: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)
    docker: str | None = None
    api_port: int = API_PORT
    image_door: str = IMAGE_DOOR
    announce_port: int = ANNOUNCE_PORT
    mesh_port: int = MESH_PORT
    mesh_peers: str = MESH_PEERS
    node_networks: NodeNetworks = field(default_factory=NodeNetworks)

    @property
    def join_token(self) -> str:
        """The token as it is now; empty when there is none. Raises OSError for a file that cannot be read."""
        if self.token:
            return self.token
        return self.token_file.read_text(encoding="utf-8").strip() if self.token_file else ""

    @property
    def pin(self) -> str | None:
        """The CA's fingerprint: given, or the third part of the token. Lower case hex, no colons."""
        token = self.join_token
        given = self.ca_sha256 or (token.split(".")[2] if token.count(".") == 2 else "")
        return given.lower().replace(":", "") or None
