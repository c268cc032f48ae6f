"""Services as Swarm services, on every machine of a Docker Swarm."""

from controller.runtime.swarm.driver import SwarmDriver

__all__ = ["SwarmDriver"]
