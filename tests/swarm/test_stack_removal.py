"""The product on a Swarm of one machine is taken away again."""

from __future__ import annotations

from pathlib import Path

import pytest
from swarm.cluster import cluster
from swarm.needs import why_not
from swarm.node import until
from swarm.stack import deploy

pytestmark = pytest.mark.product


def test_everything_goes_with_the_stack_except_volumes(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with cluster(1, swarm=False) as made:
        deploy(made, tmp_path)
        docker = made.manager.docker
        docker("stack", "rm", "aerekos")
        until(lambda: not docker("ps", "-q").strip(), "no container is left")
        assert docker("service", "ls", "-q").strip() == ""
        assert docker("secret", "ls", "-q").strip() == "" and docker("config", "ls", "-q").strip() == ""
        until(lambda: "aerekos" not in docker("network", "ls", "--format", "{{.Name}}"), "networks go too")
        assert "aerekos_home" in docker("volume", "ls", "--format", "{{.Name}}").split()
