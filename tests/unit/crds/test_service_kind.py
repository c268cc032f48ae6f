"""What a Service may say, and what it is told when it says too much."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crds.kinds.service import SERVICE, ServiceSpec, ServiceStatus


def spec(**said: Any) -> ServiceSpec:
    return ServiceSpec.model_validate({"image": "web:1", **said})


def test_a_container_says_everything_it_needs() -> None:
    made = spec(
        command=["serve"],
        args=["--quiet"],
        ports=[{"name": "http", "port": 80, "published": 8080}, {"port": 53, "protocol": "udp"}],
        volumes=[{"name": "data", "path": "/data"}],
        files=[{"path": "/etc/motto", "content": "x"}, {"path": "/run/p", "secret": {"name": "db", "key": "p"}}],
        networks=["payments"],
        update={"onFailure": "pause", "monitorSeconds": 1},
    )
    assert (made.args, made.ports[0].published, made.update.on_failure) == (["--quiet"], 8080, "pause")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"managed": "key_manager"}, "exactly one of managed"),
        ({"image": None, "managed": "key_manager", "mode": "job"}, "always replicated"),
        ({"mode": "daemon", "replicas": 2}, "a daemon runs once on every worker; leave replicas out"),
        ({"ports": [{"port": 80}, {"port": 80}]}, "ports: 80/tcp is given twice"),
        ({"ports": [{"port": 80, "published": 1}, {"port": 81, "published": 1}]}, "ports: published: 1/tcp is given"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, "ports: name: a is given twice"),
        ({"volumes": [{"name": "a", "path": "/a"}, {"name": "a", "path": "/b"}]}, "volumes: name: a is given twice"),
        ({"volumes": [{"name": "a", "path": "/a"}], "files": [{"path": "/a", "content": ""}]}, "path: /a is given"),
        ({"files": [{"path": "/a"}]}, "exactly one of content, secret or configMap"),
        ({"files": [{"path": "a", "content": ""}]}, "pattern"),
        ({"files": [{"path": "/a", "content": "x" * 500_001}]}, "500000"),
        ({"networks": ["a", "a"]}, "networks: a is given twice"),
        ({"volumes": [{"name": "a", "path": "/a"}], "update": {"order": "start-first"}}, "use stop-first"),
    ],
)
def test_what_cannot_be_is_refused_in_words(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(**said)


def test_the_first_versions_record_of_where_data_is_can_be_read() -> None:
    assert ServiceStatus.model_validate({"dataOn": "oak"}).data_on == ["oak"]
    assert ServiceStatus.model_validate({"dataOn": ""}).data_on == []
    assert SERVICE.schema["properties"]["status"]["properties"]["dataOn"]["type"] == "array"
