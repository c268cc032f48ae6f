"""Makes the shared Swarm known to the tests of this folder."""

from swarm.fixtures import busybox, swarm

__all__ = ["busybox", "swarm"]
