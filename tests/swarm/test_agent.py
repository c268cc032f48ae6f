"""Agents on a real Swarm of three machines: joining, leaving, coming back, containers, images, and the overlay."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from swarm.agents import Conductor, Running, begin, conducted
from swarm.cluster import Cluster, busybox_tar, cluster
from swarm.needs import why_not
from swarm.node import Node, run, until

pytestmark = pytest.mark.product
WEB = "mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"
# Asked by hand: the wget of Debian's static busybox crashes outside Debian.
ASKING = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 127.0.0.1 80 | grep -q 200"
PROBE = {
    "exec": {"command": ["sh", "-c", ASKING]},
    "periodSeconds": 0.5,
    "timeoutSeconds": 1,
    "failureThreshold": 2,
}


@pytest.fixture(scope="module")
def made() -> Iterator[Cluster]:
    """Three machines; the first manages a Swarm of one."""
    if reason := why_not():
        pytest.skip(reason)
    with cluster(3, swarm=False) as machines:
        manager = machines.manager
        manager.docker("swarm", "init", "--advertise-addr", manager.address, "--dispatcher-heartbeat", "1s")
        yield machines


@pytest.fixture(scope="module")
def conductor(made: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conductor]:
    with conducted(made.manager, tmp_path_factory.mktemp("conductor")) as running:
        yield running


@pytest.fixture(scope="module")
def busybox_here(made: Cluster) -> str:
    return made.push("busybox:1", busybox_tar(made.slot.folder))


@pytest.fixture(scope="module")
def joined(made: Cluster, conductor: Conductor) -> Running:
    """How the second machine joined the first time."""
    return conductor.join(made.nodes[1], "--token", conductor.new_token())


@pytest.fixture(scope="module")
def started() -> dict[str, Running]:
    """The agents of the first two machines, by machine, which may have ended."""
    return {}


@pytest.fixture
def agents(made: Cluster, conductor: Conductor, joined: Running, started: dict[str, Running]) -> dict[str, Running]:
    """One on each of the first two machines, whatever became of them; the first joins with the token that must be
    proven.
    """
    if swarm_state(made.nodes[1]) != "active":
        again = conductor.join(made.nodes[1], "--token", conductor.new_token())
        assert again.process.returncode == 0, again.text()
    for node in made.nodes[:2]:
        if node.name not in started or started[node.name].process.poll() is not None:
            started[node.name] = conductor.agent(node, TOKEN=conductor.token, LOG_LEVEL="debug")
    until(lambda: all(conductor.is_ready(name) for name in started), "both are Ready workers")
    return started


@pytest.fixture(scope="module")
def wanted(conductor: Conductor, busybox_here: str) -> None:
    """A Service with two copies."""
    conductor.apply("web", image=busybox_here, command=["sh", "-c", WEB], ports=[{"port": 80}], replicas=2,
                    probes={"liveness": PROBE}, stopGraceSeconds=30)  # fmt: skip


@pytest.fixture
def web(made: Cluster, conductor: Conductor, agents: dict[str, Running], wanted: None) -> None:
    """Both copies are ready, one on each of the first two machines."""
    until(lambda: conductor.service("web").get("ready") == "2/2", "both copies are ready")
    here = made.nodes[:2]
    until(lambda: all(len(containers_of(each, "aerekos_default_web")) == 1 for each in here), "one on each", 120)


def swarm_state(node: Node) -> str:
    return node.docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip()


def nodes(manager: Node) -> list[tuple[str, str]]:
    """But for the third machine, of which a manager has a memory once it has left by hand."""
    told = manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}").split()
    return sorted(each for each in zip(told[::2], told[1::2], strict=True) if each[0] != "node-3")


def containers_of(node: Node, service: str) -> list[str]:
    return node.docker("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={service}").split()


def test_a_machine_joins_with_one_command_and_says_so_the_next_time(
    made: Cluster, conductor: Conductor, joined: Running, agents: dict[str, Running]
) -> None:
    second = made.nodes[1]
    assert joined.process.returncode == 0, joined.text()
    assert "known to the conductor as node-2" in joined.text()
    assert f"joined the Swarm as {second.address}" in joined.text()
    assert swarm_state(second) == "active"
    until(lambda: ("node-2", "Ready") in nodes(made.manager), "the manager sees it")
    again = conductor.join(second)
    assert (again.process.returncode, again.text().strip()) == (0, "this machine is a worker already: node-2")


def test_what_makes_a_machine_unfit_is_said_with_a_way_out(made: Cluster, conductor: Conductor) -> None:
    third = made.nodes[2]

    def refused(*arguments: str, **env: str) -> str:
        tried = conductor.join(third, *arguments, **env)
        assert tried.process.returncode == 1, tried.text()
        assert swarm_state(third) in ("inactive", "active")
        return tried.text()

    token = conductor.new_token()
    holder = begin(
        third,
        [sys.executable, "-c", "import socket, time; s = socket.create_server(('', 7946)); time.sleep(60)"],
        conductor.home / "holder.out",
    )
    until(lambda: "7946" in third.inside("ss", "-ltn"), "the port is taken")
    assert re.search(r"port 7946/tcp is taken on this machine.*ss -lnp", refused("--token", token))
    holder.stop()
    name, secret, pin = token.split(".")
    assert "another conductor, or somebody sits in between" in refused("--token", f"{name}.{secret}.{'0' * 64}")
    assert "does not know the token's secret" in refused("--token", f"agents.{'x' * 48}")
    assert "join token was refused" in refused("--token", f"{name}.{'x' * 40}.{pin}")
    assert "no Docker daemon answers here" in refused("--token", token, DOCKER="unix:///nowhere.sock")
    third.docker("swarm", "init", "--advertise-addr", third.address)
    assert re.search(r"another Swarm.*docker swarm leave", refused("--token", token))
    third.docker("swarm", "leave", "--force")


def test_agents_join_the_cloud_by_a_token_that_is_proven(conductor: Conductor, agents: dict[str, Running]) -> None:
    """The one on the manager had no identity; the other one has it from joining the Swarm."""
    assert agents["node-1"].said("joined") and not agents["node-2"].said("joined")
    assert conductor.worker("node-1")["status"]["capacity"]["cpu"] != "0"


def test_what_happens_to_a_container_is_known_at_once(
    made: Cluster, conductor: Conductor, agents: dict[str, Running], web: None
) -> None:
    """Docker tells a manager nothing of it, and the conductor looks by itself only every ten seconds."""
    time.sleep(2)  # until nothing moves: then only the agent's word makes the conductor look
    second = made.nodes[1]
    (victim,) = containers_of(second, "aerekos_default_web")
    second.docker("kill", victim)
    until(lambda: conductor.service("web").get("ready") != "2/2", "the conductor knows")
    told = [each for each in agents["node-2"].said("told where to look") if "die" in each["because"]]
    assert told and told[-1]["services"] == ["default/web"]
    until(lambda: conductor.service("web").get("ready") == "2/2", "and is content again")


def test_a_process_that_hangs_is_replaced_long_before_its_grace_time(
    made: Cluster, conductor: Conductor, agents: dict[str, Running], web: None
) -> None:
    second = made.nodes[1]
    (victim,) = containers_of(second, "aerekos_default_web")
    pid = int(second.docker("inspect", "-f", "{{.State.Pid}}", victim))
    for each in (pid, *children(pid)):
        run("kill", "-STOP", str(each))

    def replaced() -> bool:
        now = containers_of(second, "aerekos_default_web")
        return bool(now) and victim not in now

    until(replaced, "another container runs")
    (line,) = [each for each in agents["node-2"].said("killed") if each["container"] == victim[:12]]
    assert (line["service"], line["because"]) == ("default/web", "its health check fails")
    until(lambda: conductor.service("web").get("ready") == "2/2", "both are ready again")


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_each_copy_is_measured_under_its_own_name(
    conductor: Conductor, agents: dict[str, Running], made: Cluster, web: None
) -> None:
    (busy,) = containers_of(made.nodes[1], "aerekos_default_web")
    made.nodes[1].docker("exec", "-d", busy, "timeout", "8", "sh", "-c", "while true; do :; done")
    listed = conductor.service("web")["instances"]
    here = next(each["name"] for each in listed if each["worker"] == "node-2")

    def used() -> dict[str, Any]:
        leases = {each["worker"]: each for each in conductor.get("/agents/leases")["leases"]}
        return dict(leases["node-2"]["services"])

    until(lambda: used().get(here, {}).get("cpu", 0) > 0.2, "its CPU is seen")
    assert set(used()) == {here} and used()[here]["memory"] > 100_000


def test_the_door_for_images_leads_to_the_conductor(
    conductor: Conductor, agents: dict[str, Running], made: Cluster
) -> None:
    """Whole images pass through it in tests/swarm/test_stack.py."""
    ask = ["curl", "-s", "-i", "--max-time", "10", "http://127.0.0.1:7444/v2/"]
    told = made.nodes[1].inside(*ask)
    assert told.startswith("HTTP/1.1 401") and 'realm="http://127.0.0.1:7444/v2/token"' in told
    token = made.nodes[1].inside("curl", "-s", "--max-time", "10", "http://127.0.0.1:7444/v2/token")
    # It ends with the worker's own token, of which it is made.
    assert 0 < json.loads(token)["expires_in"] <= 900


FETCH = """
import json, sys, botocore.session
found = botocore.session.Session().get_credentials().get_frozen_credentials()
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
told = AWSRequest("POST", sys.argv[1], data=b"{}", headers={"X-Amz-Target": "TrentService.ListKeys",
                  "Content-Type": "application/x-amz-json-1.1"})
SigV4Auth(found, "kms", "us-east-1").add_auth(told)
answer = URLLib3Session(verify=sys.argv[2]).send(told.prepare())
print(json.dumps({"key": found.access_key, "status": answer.status_code, "said": answer.text}))
"""


def test_a_container_with_a_role_finds_credentials_where_sdks_look(
    made: Cluster, conductor: Conductor, agents: dict[str, Running], busybox_here: str, tmp_path: Path
) -> None:
    """botocore in the container's own network, with its variables; what it got is good until the role goes."""
    second = made.nodes[1]
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}  # fmt: skip
    conductor.post("/api/v1/namespaces", {"metadata": {"name": "acme"}})
    place = "/apis/aerekos.cloud/v1/namespaces/acme"
    role = {"trust": json.dumps(trust), "roleName": "jobs"}
    conductor.post(f"{place}/iamroles", {"metadata": {"name": "jobs"}, "spec": role})
    spec = {"image": busybox_here, "command": ["sleep", "1000"], "role": "jobs", "mode": "daemon"}
    conductor.post(f"{place}/services", {"metadata": {"name": "job"}, "spec": spec})
    until(lambda: containers_of(second, "aerekos_acme_job"), "it runs")
    (container,) = containers_of(second, "aerekos_acme_job")
    (told,) = json.loads(second.docker("inspect", container))
    env = dict(each.partition("=")[::2] for each in told["Config"]["Env"])
    token = second.docker("exec", container, "cat", env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_text(second.docker("exec", container, "cat", env["AWS_CA_BUNDLE"]))

    def fetched(**more: str) -> Running:
        given = {name: text for name, text in env.items() if name.startswith("AWS_")}
        given |= {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"), "HOME": str(tmp_path), **more}
        command = [sys.executable, "-c", FETCH, env["AWS_ENDPOINT_URL"], str(tmp_path / "ca.crt")]
        net = f"/proc/{told['State']['Pid']}/ns/net"
        done = begin(second, command, tmp_path / f"fetch-{len(list(tmp_path.iterdir()))}.out", net=net, **given)
        done.process.wait(60)
        return done

    first = fetched()
    assert first.process.returncode == 0, first.text()
    answer = json.loads(first.text().splitlines()[-1])
    # Signed with what it got, a request is past the gateway: the service itself is not there.
    assert answer["key"].startswith("ASIA") and answer["status"] == 503, answer
    (tmp_path / "token").write_text(token + "x")
    assert fetched().process.returncode != 0, "another token gets nothing"
    (tmp_path / "token").write_text(token)
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: {token}"]
    url = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    assert second.inside(*asked, url) == "403", "the machine's other programs are no containers"
    began = time.monotonic()
    conductor.delete(f"{place}/iamroles/jobs")
    inside = ["nsenter", f"--net=/proc/{told['State']['Pid']}/ns/net", *asked, url]
    until(lambda: run(*inside) == "403", "the role is gone here as well")
    assert time.monotonic() - began < 2
    conductor.delete(f"{place}/services/job")
    until(lambda: not containers_of(second, "aerekos_acme_job"), "it is gone")


def test_a_daemon_that_hangs_costs_no_heartbeat(
    conductor: Conductor, agents: dict[str, Running], made: Cluster
) -> None:
    second = made.nodes[1]
    assert second.process is not None
    second.process.send_signal(signal.SIGSTOP)
    try:
        hear(conductor, "node-2", 4)
    finally:
        second.process.send_signal(signal.SIGCONT)
    until(lambda: swarm_state(second) == "active", "it goes on")


def hear(conductor: Conductor, name: str, times: int) -> None:
    """Until it was heard that often: each beat makes its lease young again."""
    ages = [0.0]

    def enough() -> bool:
        leases = {each["worker"]: each["ageSeconds"] for each in conductor.get("/agents/leases")["leases"]}
        ages.append(leases[name])
        return sum(later < earlier for earlier, later in pairwise(ages)) >= times

    until(enough, f"{name} is heard {times} times")


def test_machines_that_do_not_reach_each_other_through_the_overlay_are_named(
    made: Cluster, conductor: Conductor, agents: dict[str, Running], busybox_here: str
) -> None:
    manager, second = made.nodes[:2]
    manager.docker("network", "create", "-d", "overlay", "control")
    manager.docker("service", "create", "-d", "--name", "mesh", "--mode", "global", "--endpoint-mode", "dnsrr",
                   "--network", "control", busybox_here, "sleep", "1000")  # fmt: skip
    until(lambda: all(containers_of(each, "mesh") for each in (manager, second)), "one on each machine")
    probers = [prober(conductor, each) for each in (manager, second)]

    def overlay(status: str) -> bool:
        return all(conductor.condition(name, "OverlayReachable").get("status") == status for name in agents)

    until(lambda: overlay("True"), "both reach the other")
    for node, drop in ((manager, "-I"), (second, "-I")):
        node.inside("iptables", drop, "INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP")
    until(lambda: overlay("False"), "the break is seen")
    message = conductor.condition("node-1", "OverlayReachable")["message"]
    assert message.startswith("node-1 does not reach through the overlay network: node-2 (")
    assert conductor.is_ready("node-2"), "its own network is not the machines'"
    for node in (manager, second):
        node.inside("iptables", "-D", "INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP")
    until(lambda: overlay("True"), "and its end")
    events = conductor.get("/api/v1/namespaces/default/events")["items"]
    told = [each["reason"] for each in events if each["involvedObject"].get("name") == "node-1"]
    assert {"PeersUnreachable", "PeersReachable"} <= set(told)
    for each in probers:
        each.stop()
    manager.docker("service", "rm", "mesh")


def prober(conductor: Conductor, node: Node) -> Running:
    """`aerekos-agent mesh` in the network of a container of the overlay: its addresses, and Docker's own names."""
    (container,) = containers_of(node, "mesh")
    pid = node.docker("inspect", "-f", "{{.State.Pid}}", container).strip()
    # The conductor is in no overlay here: a way out, as the real one has through the control network.
    env = {"API": f"https://{node.address}:7443", "HOME": str(conductor.home / node.name), "NAME": node.name}
    own = {f"AEREKOS_AGENT_{name}": value for name, value in env.items()}
    command = [sys.executable, "-m", "agent.main", "mesh", "--api", conductor.url]
    file = conductor.home / node.name / "mesh.out"
    made = begin(node, command, file, net=f"/proc/{pid}/ns/net", resolver="127.0.0.11", **own)
    conductor.agents.append(made)
    return made


def test_who_lost_its_swarm_comes_back_by_itself(
    made: Cluster, conductor: Conductor, agents: dict[str, Running]
) -> None:
    """Its daemon was made to leave by hand, and knows nothing any more."""
    second = made.nodes[1]
    second.docker("swarm", "leave")
    until(lambda: swarm_state(second) == "active", "it is a node again")
    until(lambda: nodes(made.manager) == [("node-1", "Ready"), ("node-2", "Ready")], "and no ghost is left")
    assert agents["node-2"].said("is in the Swarm again")
    assert conductor.is_ready("node-2"), "the cloud never lost it"


def test_a_deleted_worker_leaves_and_its_agent_ends(
    made: Cluster, conductor: Conductor, agents: dict[str, Running]
) -> None:
    second = made.nodes[1]
    conductor.delete("/apis/aerekos.cloud/v1/workers/node-2")
    until(lambda: swarm_state(second) == "inactive", "it has left")
    until(lambda: not conductor.worker("node-2"), "its record is gone")
    until(lambda: nodes(made.manager) == [("node-1", "Ready")], "the Swarm forgot it")
    agents["node-2"].process.wait(15)
    assert agents["node-2"].process.returncode == 1
    assert "this machine has left the cloud, as its conductor told it to" in agents["node-2"].text()
    assert not (conductor.home / "node-2" / "agent" / "identity.json").exists()


def test_the_manager_is_not_made_to_leave_by_hand(
    made: Cluster, conductor: Conductor, agents: dict[str, Running]
) -> None:
    tried = conductor.agent(made.manager, "leave")
    tried.process.wait(30)
    assert tried.process.returncode == 1 and "docker node demote" in tried.text()
    assert swarm_state(made.manager) == "active"


def test_a_machine_that_joined_by_hand_leaves_by_hand(made: Cluster, conductor: Conductor) -> None:
    third = made.nodes[2]
    assert conductor.join(third, "--token", conductor.new_token()).process.returncode == 0
    left = conductor.agent(third, "leave", "--when-empty")
    left.process.wait(30)
    assert left.process.returncode == 0 and "this machine has left the Swarm" in left.text()
    assert swarm_state(third) == "inactive"
    assert not (conductor.home / "node-3" / "agent" / "identity.json").exists()
