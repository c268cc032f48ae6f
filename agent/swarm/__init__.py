"""What an agent does besides on a machine that is a node of a Docker Swarm."""

from agent.swarm.node import SwarmNode

__all__ = ["SwarmNode"]
