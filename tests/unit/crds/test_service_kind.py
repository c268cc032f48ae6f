"""What a Service may say, and what it is told when it says too much."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crds.kinds.service import SERVICE, ServiceSpec, ServiceStatus
from crds.kinds.service_programs import WORKING_FOLDER


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


def program(**said: Any) -> ServiceSpec:
    return ServiceSpec.model_validate({"command": ["python3", "/app/main.py"], **said})


def test_a_command_without_an_image_is_a_program() -> None:
    made = program(
        ports=[{"name": "http", "port": 80}, {"name": "admin-ui", "port": 81, "published": 8081}],
        files=[{"path": "/app/main.py", "configMap": {"name": "code", "key": "main.py"}}],
        volumes=[{"name": "data", "path": "/data"}],
        env=[{"name": "MOTTO", "value": "x"}],
    )
    assert made.is_program and not spec().is_program
    assert not ServiceSpec.model_validate({"managed": "key_manager"}).is_program


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"command": []}, r"or a command \(a program of the machine\)"),
        ({"command": [""]}, "or a command"),
        ({"mode": "job"}, "mode: a program runs on"),
        ({"networks": ["payments"]}, "networks: a program is in its machine's network"),
        ({"update": {"order": "start-first"}}, "update.order: copies of a program"),
        ({"ports": [{"port": 53, "protocol": "udp"}]}, "ports: 53/udp"),
        ({"ports": [{"port": 80, "published": 80}]}, "ports: published 80: a program cannot listen below 1024"),
        ({"ports": [{"port": 80, "published": 8080}], "replicas": 2}, "ports: published 8080: one machine has it"),
        ({"probes": {"liveness": {"httpGet": {"path": "/"}}}}, "probes.liveness: a program without ports"),
        ({"env": [{"name": "PORT", "value": "80"}]}, "env: PORT is set by the cloud"),
        (
            {"ports": [{"port": 80, "name": "a-b"}], "env": [{"name": "AEREKOS_PORT_A_B"}]},
            "env: AEREKOS_PORT_A_B is set",
        ),
        *(
            ({"files": [{"path": path, "content": ""}]}, "this is the machine's; put it elsewhere, e.g. /srv/x")
            for path in ("/usr/x", "/etc/x", "/proc/self/x", f"{WORKING_FOLDER}/x", "/dev/x", "/lib64/x")
        ),
        ({"volumes": [{"name": "a", "path": "/tmp"}]}, "this is the machine's"),
        ({"files": [{"path": "/srv/../etc/x", "content": ""}]}, "without ., .. and //"),
        ({"files": [{"path": "/srv//x", "content": ""}]}, "without ., .. and //"),
        (
            {"volumes": [{"name": "a", "path": "/data"}], "files": [{"path": "/data/x", "content": ""}]},
            "path: /data/x: it lies inside a volume",
        ),
        (
            {"volumes": [{"name": "a", "path": "/data"}, {"name": "b", "path": "/data/b"}]},
            "path: /data/b: it lies inside a volume",
        ),
        (
            {"files": [{"path": "/srv/x", "content": ""}, {"path": "/srv/x/y", "content": ""}]},
            "path: /srv/x/y: it lies inside a file",
        ),
    ],
)
def test_what_no_program_can_have_is_refused_in_words(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        program(**said)
