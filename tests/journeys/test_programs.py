"""Something of one's own, without Docker: from a template to an address, through kills and changes, to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clouds import Cloud, eventually, kill

from controller.runtime.sandbox import landlock, seccomp

# A machine with fewer walls runs no programs, which tests/security/test_programs.py is about.
pytestmark = pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls")
PROGRAM = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        seen = open("/data/seen", "a+")
        seen.write("x")
        seen.flush()
        seen.seek(0)
        told = {"version": VERSION, "instance": os.environ["AEREKOS_INSTANCE"], "seen": len(seen.read()),
                "secret": os.environ.get("PASSWORD", ""), "admin": os.environ["AEREKOS_PORT_ADMIN"]}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("version", VERSION, "listens", flush=True)
ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


def asked(cloud: Cloud, name: str = "mine") -> dict[str, Any]:
    """What it answers through the gateway; empty while nobody does."""
    with cloud.http() as client:
        answer = client.get(f"/services/{name}/x")
    return dict(answer.json()) if answer.status_code == 200 else {}


def program(version: int) -> str:
    return PROGRAM.replace("VERSION", str(version))


def manifest(folder: Path, version: int, *, code: str = "") -> str:
    """The Service, its ConfigMap and its Secret, in files."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine-code"},
              "data": {"main.py": code or program(version)}}  # fmt: skip
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"p": "hunter2"}}
    spec = {
        "command": ["python3", "/app/main.py"],
        "ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "p"}}}],
        "files": [{"path": "/app/main.py", "configMap": {"name": "mine-code", "key": "main.py"}}],
        "volumes": [{"name": "data", "path": "/data"}],
        "probes": {"liveness": {"exec": {"command": ["sh", "-c", "test -e /app/main.py"]}}},
        "stopGraceSeconds": 2,
    }
    service = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "mine"}, "spec": spec}
    file = folder / "mine.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [config, secret, service]}))
    return str(file)


@pytest.fixture
def mine(cloud: Cloud, tmp_path: Path) -> dict[str, Any]:
    """Version 1 runs and answers."""
    cloud.do("apply", "-f", manifest(tmp_path, 1))
    eventually(lambda: asked(cloud).get("version") == 1, "it answers")
    return asked(cloud)


def test_a_template_answers_at_its_address_and_goes_without_a_trace(cloud: Cloud) -> None:
    cloud.do("create", "service", "site", "--template", "static-site", "--set", "page=<h1>mine</h1>")
    eventually(lambda: cloud.is_ready("site"), "the site is ready")
    with cloud.http() as client:
        assert client.get("/services/site/").text == "<h1>mine</h1>"
    with cloud.http(admin=False) as stranger:
        assert stranger.get("/services/site/").status_code == 401
    assert "GET / HTTP/1.1" in cloud.do("logs", "site")
    pid = cloud.instances()["site-0"]
    cloud.do("delete", "service", "site")
    assert "site-0" not in cloud.instances() and not Path(f"/proc/{pid}").exists()
    left = [each for each in cloud.home.rglob("*site*") if "logs" not in each.parts]
    assert left == []


def test_it_is_told_what_it_needs_and_is_healed(cloud: Cloud, mine: dict[str, Any]) -> None:
    assert mine["secret"] == "hunter2" and int(mine["admin"]) > 0 and mine["instance"] == "mine-0"
    pid = cloud.instances()["mine-0"]
    kill(pid)
    eventually(lambda: cloud.instances().get("mine-0") not in (None, pid), "another process")
    again = eventually(lambda: asked(cloud), "it answers again")
    assert again["seen"] > mine["seen"], "its volume outlives it"
    record = (cloud.home / "run" / "instances" / "mine-0.json").read_text()
    assert "hunter2" not in record and "hunter2" not in cloud.do("get", "service", "mine", "-o", "json")


def test_two_copies_then_a_new_version_rolls_through_them(cloud: Cloud, mine: dict[str, Any], tmp_path: Path) -> None:
    cloud.do("scale", "mine", "--replicas", "2")
    eventually(lambda: {asked(cloud).get("instance") for _ in "1234"} == {"mine-0", "mine-1"}, "both answer")
    cloud.do("apply", "-f", manifest(tmp_path, 2))
    eventually(lambda: {asked(cloud).get("version") for _ in "1234"} == {2}, "the new file everywhere")
    assert "version 2 listens" in cloud.do("logs", "mine")
    said = cloud.command("exec", "mine-1", "--", "sh", "-c", "cat /data/seen; echo $PASSWORD")
    assert said.code == 0 and said.out.strip().endswith("hunter2") and said.out.startswith("xx"), said
    cloud.do("scale", "mine", "--replicas", "1")
    eventually(lambda: "mine-1" not in cloud.instances(), "one is enough again")


def test_a_conductor_that_was_killed_finds_it_again_and_heals_it_with_its_secrets(
    cloud: Cloud, mine: dict[str, Any]
) -> None:
    before = cloud.instances()
    kill(cloud.conductor_pid())
    cloud.do("up")
    assert cloud.instances()["mine-0"] == before["mine-0"], "it ran on"
    kill(before["mine-0"])
    eventually(lambda: cloud.instances().get("mine-0") not in (None, before["mine-0"]), "another process")
    assert eventually(lambda: asked(cloud), "it answers")["secret"] == "hunter2"


def test_a_mistake_is_rolled_back_and_told(cloud: Cloud, mine: dict[str, Any], tmp_path: Path) -> None:
    cloud.do("apply", "-f", manifest(tmp_path, 3, code="raise SystemExit('a mistake')"))
    told = eventually(lambda: is_rolled_back(cloud), "it says so")
    assert "did not get ready (exit code 1)" in told["message"] and "aerekos rollback mine" in told["message"]
    assert eventually(lambda: asked(cloud), "what was there before answers")["version"] == mine["version"]
    assert "a mistake" in cloud.do("logs", "mine")


def is_rolled_back(cloud: Cloud) -> dict[str, Any]:
    told = cloud.condition("mine", "Progressing")
    return told if told.get("reason") == "RolledBack" else {}


def test_who_listens_for_other_machines_is_ended_and_told_how_not_to(cloud: Cloud) -> None:
    wide = "python3 -m http.server $(PORT) --bind 0.0.0.0 --directory /work"
    cloud.do("create", "service", "wide", "--command", wide, "--port", "80")
    told = eventually(lambda: cloud.events("UnexpectedListener"), "it is told")[0]
    assert "listen at the address HOST says (127.0.0.1), or publish the port" in told
    assert not cloud.is_ready("wide")
    cloud.do("delete", "service", "wide")


def test_an_image_says_in_one_sentence_what_is_missing(cloud: Cloud) -> None:
    cloud.do("create", "service", "shop", "--image", "nginx:1")
    told = eventually(lambda: cloud.condition("shop", "Ready"), "a verdict")
    assert told["reason"] == "NeedsContainerRuntime"
    assert "start Docker on this machine" in told["message"] and "--runtime swarm" in told["message"]
    cloud.do("delete", "service", "shop")
