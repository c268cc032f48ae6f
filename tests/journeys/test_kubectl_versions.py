"""Every kubectl between the oldest and the newest this machine has: a short day's work with each.

The names of the tests are fixed, so that every test process collects the same ones; what is not here is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clouds import Cloud, eventually
from kubectl import Kubectl, following, kubectl_for, programs

NOT_HERE = "not on this machine, or tried with every verb as its oldest or newest"
WITH_EXEC, WITH_TOKENS = 30, 24
CONF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, labels: {day: NAME}}
data: {a: "1"}
"""
WEB = """
apiVersion: aerekos.cloud/v1
kind: Service
metadata: {name: NAME}
spec: {image: "nginx:1", replicas: 0}
"""


@pytest.fixture(params=range(21, 46), ids=lambda minor: f"1.{minor}")
def between(request: pytest.FixtureRequest) -> tuple[int, Path]:
    known = programs()
    version = (1, request.param)
    if version not in known or version in (min(known), max(known)):
        pytest.skip(NOT_HERE)
    return request.param, known[version]


def test_a_day_s_work(between: tuple[int, Path], cloud: Cloud, tmp_path: Path) -> None:
    minor, program = between
    kubectl, name = kubectl_for(cloud, program, tmp_path), f"day-{minor}"
    conf, web = CONF.replace("NAME", name), WEB.replace("NAME", name)
    watching, lines = following(kubectl, "get", "cm", "--watch", "--output-watch-events", "-l", f"day={name}")
    try:
        applied(kubectl, name, conf, web)
        eventually(lambda: any("MODIFIED" in each for each in lines), f"the watch tells; it told {lines}")
    finally:
        watching.kill()
        watching.wait()
    read(kubectl, name)
    if minor >= WITH_EXEC:
        assert kubectl.do("exec", "key-manager-0", "--", "echo", "hi") == "hi\n"
    if minor >= WITH_TOKENS:
        kubectl.do("create", "serviceaccount", name)
        assert kubectl.do("create", "token", name).count(".") == 2
    kubectl.do("delete", "cm,asvc,sa", name, "--ignore-not-found", "--timeout=60s")


def applied(kubectl: Kubectl, name: str, conf: str, web: str) -> None:
    assert "created" in kubectl.do("apply", "-f", "-", text=f"{conf}---{web}")
    assert "unchanged" in kubectl.do("apply", "-f", "-", text=conf)
    assert kubectl.say("diff", "-f", "-", text=web.replace("nginx:1", "nginx:2")).code == 1
    assert "configured" in kubectl.do("apply", "-f", "-", text=conf.replace('"1"', '"2"'))
    mine = ("apply", "--server-side", "--field-manager=mine", "-f", "-")
    assert "conflict" in kubectl.say(*mine, text=conf.replace('"1"', '"3"')).err
    assert "serverside-applied" in kubectl.do(*mine, "--force-conflicts", text=conf.replace('"1"', '"3"'))
    refused = kubectl.say("apply", "-f", "-", text=web.replace("replicas", "replikas"))
    assert refused.code == 1 and "replikas" in refused.err


def read(kubectl: Kubectl, name: str) -> None:
    assert json.loads(kubectl.do("get", "cm", name, "-o", "json"))["data"] == {"a": "3"}
    assert "READY" in kubectl.do("get", "services", "-o", "wide")
    assert name in kubectl.do("describe", "asvc", name)
    assert "How many copies" in kubectl.do("explain", "deployment.spec.replicas")
    assert "key-manager-0" in kubectl.do("get", "pods,nodes,deployments", "-A")
    assert kubectl.do("auth", "can-i", "create", "secrets").startswith("yes")
    assert kubectl.do("logs", "key-manager-0", "--tail=1")
    assert "condition met" in kubectl.do("wait", "--for=condition=Ready", "pod", "key-manager-0", "--timeout=60s")
