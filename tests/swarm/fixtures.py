"""The Swarm tests share; where none can run they are skipped, and say why. Import the fixtures into a conftest."""

from collections.abc import Iterator

import pytest
from swarm.cluster import Cluster, busybox_tar, cluster
from swarm.needs import why_not

NODES = 3


@pytest.fixture(scope="session")
def swarm() -> Iterator[Cluster]:
    """Three nodes, one of them the manager, with the heartbeat our own clouds use."""
    if reason := why_not():
        pytest.skip(reason)
    with cluster(NODES, heartbeat_seconds=1) as made:
        yield made


@pytest.fixture(scope="session")
def busybox(swarm: Cluster) -> str:
    """The name of a small image every node can pull."""
    return swarm.push("busybox:1", busybox_tar(swarm.slot.folder))
