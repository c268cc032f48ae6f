"""What is known of each engine fits together, and what no engine can have is refused in words."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from pydantic import ValidationError

from crds.engines import ENGINES
from crds.engines.engine import fits
from crds.kinds.service import ServiceSpec
from crds.kinds.service_engines import engine_is_for_life
from crds.rules import Write

SAID = {
    "postgresql": ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
    "valkey": ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7.0.15"),
    "haproxy": ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12"),
}
CONFIG = [{"path": "/config/haproxy.cfg", "content": "x"}]


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_whole(name: str) -> None:
    engine = ENGINES[name]
    said, version = SAID[name]
    assert engine.read_version(said) == version and engine.read_version("nothing of the kind") == ""
    checked = subprocess.run(["/bin/sh", "-n"], input=engine.script, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    for probe in (engine.probes.readiness, engine.probes.liveness):
        if probe and probe.exec:
            asked = subprocess.run(["/bin/sh", "-n", "-c", probe.exec.command[-1]], check=False)
            assert asked.returncode == 0
    assert engine.most == 1 or not engine.volume, "two copies never share data"


def test_which_version_is_meant() -> None:
    assert fits("15.18", "15") and fits("15.18", "15.18") and fits("15.18", "")
    assert not fits("15.18", "15.1") and not fits("16.1", "15")
    assert ENGINES["postgresql"].packages("15.2") == "postgresql-15"
    assert ENGINES["postgresql"].packages() == "postgresql"


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ({"engine": {"name": "oracle"}}, "no engine 'oracle'; known are: haproxy, postgresql, valkey"),
        ({"engine": {"name": "valkey", "version": "seven"}}, "engine.version"),
        ({"image": "postgres:15"}, "give exactly one of managed"),
        ({"managed": "key_manager"}, "give exactly one of managed"),
        ({"command": ["sh"]}, "command: how postgresql starts is known of it"),
        ({"args": ["-c", "ssl=off"]}, "args: how postgresql starts is known of it"),
        ({"mode": "daemon"}, "mode: an engine is always replicated"),
        ({"replicas": 2}, "replicas: two copies of postgresql would write to the same data; use 1"),
        ({"networks": ["other"]}, "networks: an engine is in its machine's network"),
        ({"update": {"order": "start-first"}}, "update.order: copies of an engine"),
        ({"ports": [{"port": 5432, "protocol": "udp"}]}, "an engine has TCP ports only"),
        ({"ports": [{"port": 5432, "published": 543}]}, "an engine cannot listen below 1024"),
        ({"env": [{"name": "PGDATA", "value": "/"}]}, "env: postgresql takes no variables"),
        ({"volumes": [{"name": "data", "path": "/data"}]}, "volumes: data: it must be at /var/lib/postgresql"),
        ({"volumes": [{"name": "x", "path": "/var/lib/postgresql/15"}]}, "there is the data of postgresql"),
        ({"volumes": [{"name": "x", "path": "/secrets"}]}, "there are the files of postgresql"),
        ({"files": [{"path": "/x", "content": ""}]}, "configuration of an engine lies below /config"),
        (
            {"files": [{"path": "/config/x", "secret": {"name": "a", "key": "b"}}]},
            "is secret of an engine lies below",
        ),
        ({"files": [{"path": "/secrets/superuser", "secret": {"name": "a", "key": "b"}}]}, "superuser's password"),
        ({"engine": {"name": "haproxy"}}, "files: haproxy needs its configuration at /config/haproxy.cfg"),
        (
            {"engine": {"name": "haproxy"}, "files": CONFIG, "env": [{"name": "LD_PRELOAD", "value": "x"}]},
            "env: LD_PRELOAD is not for the configuration",
        ),
    ],
)
def test_what_no_engine_can_have_is_refused_in_words(said: dict[str, Any], because: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ServiceSpec.model_validate({"engine": {"name": "postgresql"}, **said})
    assert because in str(refused.value)


def test_what_engines_can_have() -> None:
    spec = ServiceSpec.model_validate(
        {
            "engine": {"name": "haproxy"},
            "replicas": 3,
            "files": [*CONFIG, {"path": "/secrets/tls.pem", "secret": {"name": "a", "key": "b"}}],
            "env": [{"name": "ENVIRONMENT", "value": "x"}],
            "volumes": [{"name": "more", "path": "/srv/more"}],
        }
    )
    assert spec.engine and spec.engine.engine.name == "haproxy" and not spec.is_program


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({"engine": {"name": "postgresql"}}, {"engine": {"name": "postgresql", "version": "15"}}, False),
        ({"engine": {"name": "postgresql"}}, {"engine": {"name": "valkey"}}, True),
        ({"engine": {"name": "postgresql"}}, {"command": ["sh"]}, True),
        ({"image": "x"}, {"engine": {"name": "postgresql"}}, True),
        ({"image": "x"}, {"image": "y"}, False),
    ],
)
def test_it_stays_the_engine_it_is(before: dict[str, Any], after: dict[str, Any], refused: bool) -> None:
    causes = list(engine_is_for_life(Write({"spec": before}, {"spec": after})))
    assert [each.field for each in causes] == (["spec.engine.name"] if refused else [])
