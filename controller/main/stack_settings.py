"""Settings that stack.yml gives to a conductor that is a part of a Docker stack. Plain data, like settings.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.main.errors import Misuse

REGISTRY_PORT = 5000
REGISTRY_PROXY = "127.0.0.1:7444"


@dataclass(frozen=True, slots=True)
class Stack:
    """`published_port`: the door's port on its machine. `agent_token_file`: a Swarm secret, `<name>.<secret>`.

    `registry_ca_file`: vouches for the registry, and for nothing else.
    """

    name: str
    published_port: int
    agent_token_file: Path
    services_image: str
    agent_image: str
    registry_ca_file: Path

    @property
    def registry(self) -> str:
        """Where images are kept. By its whole name, which no Service can have."""
        return f"{self.name}_registry:{REGISTRY_PORT}"

    @property
    def control_network(self) -> str:
        return f"{self.name}_control"

    @property
    def url(self) -> str:
        """Where the parts of the stack reach the conductor: its name in the control network."""
        return "https://conductor:7443"


def from_environment(env: Mapping[str, str]) -> Stack | None:
    """None outside a stack. Raises Misuse naming the variable that is missing or wrong."""
    if not env.get("AEREKOS_STACK"):
        return None
    port = _of(env, "AEREKOS_PUBLISHED_PORT")
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise Misuse(f"AEREKOS_PUBLISHED_PORT: must be a port from 1 to 65535, not {port!r}", hint="use e.g. 7443")
    return Stack(
        name=_of(env, "AEREKOS_STACK"),
        published_port=int(port),
        agent_token_file=Path(_of(env, "AEREKOS_AGENT_TOKEN_FILE")),
        services_image=_of(env, "AEREKOS_IMAGE_SERVICES"),
        agent_image=_of(env, "AEREKOS_IMAGE_AGENT"),
        registry_ca_file=Path(_of(env, "AEREKOS_REGISTRY_CA_FILE")),
    )


def _of(env: Mapping[str, str], name: str) -> str:
    if value := env.get(name):
        return value
    raise Misuse(f"{name}: is missing, though AEREKOS_STACK is set", hint="deploy stack.yml as it is: make swarm-up")
