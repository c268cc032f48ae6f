"""The product on a Swarm of three machines, from nothing: deployed, joined, used with the aws CLI."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl import oldest_or_newest
from swarm.cluster import busybox_tar, cluster
from swarm.load import loaded
from swarm.needs import why_not
from swarm.node import Node, run, until
from swarm.stack import REPOSITORY, Deployed, deploy

pytestmark = pytest.mark.product
# A machine that is back is taken for good after five seconds.
STILL_SECONDS = 15.0
NODES = ("node-1", "node-2", "node-3")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if reason := why_not():
        pytest.skip(reason)
    with cluster(3, swarm=False) as made:
        yield deploy(made, tmp_path_factory.mktemp("stack"))


@pytest.fixture
def three(cloud: Deployed) -> Deployed:
    """With all machines, the second by the line that was printed."""
    _, second, third = cloud.made.nodes
    if second.name not in cloud.workers():
        cloud.join(second, cloud.join_line)
    if third.name not in cloud.workers():
        cloud.join(third)
    return cloud


@pytest.fixture(scope="module")
def image(cloud: Deployed) -> str:
    """Pushed on the first machine."""
    name = "127.0.0.1:7444/busybox:1"
    cloud.manager.docker("import", str(busybox_tar(cloud.made.slot.folder)), name)
    cloud.push(name)
    return name


@pytest.fixture
def web(three: Deployed, image: str) -> Deployed:
    """`web` is ready, one copy on each machine, with a page that says `one`."""
    asking = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 127.0.0.1 80 | grep -q 200"
    probe = {"exec": {"command": ["sh", "-c", asking]}, "periodSeconds": 0.5, "timeoutSeconds": 1}
    three.apply(web={"image": image, "replicas": 3, "command": ["sh", "-c", serving("one")], "ports": [{"port": 80}],
                     "probes": {"liveness": {**probe, "failureThreshold": 2}}})  # fmt: skip
    until(lambda: is_everywhere(three, "one"), "every copy serves")
    until(lambda: is_even(three), "one copy of web is on each machine")
    return three


def serving(text: str) -> str:
    """What a container does that serves a page of that text."""
    return f"mkdir -p /www; echo {text} > /www/index.html; exec httpd -f -p 80 -h /www"


def environment(cloud: Deployed) -> dict[str, str]:
    """As `eval $(aerekos env)` leaves it, by the login `make swarm-up` made."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_"))}
    env = {**kept, "XDG_CONFIG_HOME": str(cloud.folder / "config"), "AEREKOS_HOME": str(cloud.folder / "home")}
    told = subprocess.run(
        [sys.executable, "-m", "cli.main", "env", "--format", "json"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return env | json.loads(told.stdout)


def aws(env: dict[str, str], *arguments: str) -> str:
    program = str(Path(sys.executable).with_name("aws"))
    done = subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_command_ends_with_the_address_and_the_line_to_join(cloud: Deployed) -> None:
    assert f"Your cloud is ready:  {cloud.url}" in cloud.said
    # Of a password that is good for everything: the one-time one has gone for it.
    assert re.search(r"^Login \(shown once\):   admin / [0-9a-f]{36}$", cloud.said, re.MULTILINE), cloud.said
    assert f"{cloud.url}/join.sh" in cloud.join_line
    assert "key-manager       1/1     Ready" in cloud.said


def test_the_aws_cli_works_against_it(cloud: Deployed, tmp_path: Path) -> None:
    env = environment(cloud)
    key = json.loads(aws(env, "kms", "create-key"))["KeyMetadata"]["KeyId"]
    plain = tmp_path / "plain"
    plain.write_bytes(os.urandom(1000))
    sealed = json.loads(aws(env, "kms", "encrypt", "--key-id", key, "--plaintext", f"fileb://{plain}"))
    (tmp_path / "sealed").write_bytes(b64decode(sealed["CiphertextBlob"]))
    opened = json.loads(aws(env, "kms", "decrypt", "--ciphertext-blob", f"fileb://{tmp_path / 'sealed'}"))
    assert b64decode(opened["Plaintext"]) == plain.read_bytes()
    large = tmp_path / "large"
    large.write_bytes(os.urandom(30_000_000))
    aws(env, "s3", "mb", "s3://first")
    aws(env, "s3", "cp", str(large), "s3://first/large")
    aws(env, "s3", "cp", "s3://first/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def processes_of(cloud: Deployed, service: str) -> list[dict[str, str]]:
    """What the kernel says of each process of that service on the first machine, but Docker's own first one."""
    name = f"label=com.docker.swarm.service.name={service}"
    container = cloud.manager.docker("ps", "-q", "--filter", name).split()[0]
    first = cloud.manager.docker("inspect", "-f", "{{.State.Pid}}", container).strip()
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    lines = [(Path(f"/proc/{each}/status").read_text().splitlines()) for each in children]
    return [dict(line.split(":\t", 1) for line in each if ":\t" in line) for each in lines]


def test_a_database_by_its_name(cloud: Deployed, tmp_path: Path) -> None:
    """It waits for its image with the line that builds it, starts by itself then, and keeps its rows."""
    cloud.apply(db={"engine": {"name": "postgresql"}})

    def missing() -> str:
        told = cloud.get("services", "db").get("status", {}).get("conditions", [])
        return next((each["message"] for each in told if each["reason"] == "EngineMissing"), "")

    until(lambda: "images/engine.sh postgresql" in missing(), "it is said what builds its image")
    told = ("env", f"DOCKER_HOST={cloud.manager.url}", f"PYTHON={sys.executable}")
    run(*told, str(REPOSITORY / "images" / "engine.sh"), "postgresql", timeout=600)
    cloud.until_ready("db", 1)
    password = b64decode(json.loads(cloud.do("get", "secret", "db-superuser", "-o", "json"))["data"]["password"])

    def container() -> str:
        return cloud.manager.docker(
            "ps", "-q", "--filter", "label=com.docker.swarm.service.name=aerekos_default_db"
        ).strip()

    def sql(query: str) -> str:
        psql = ("psql", "-h", "db", "-U", "postgres", "-tAqc", query)
        try:
            return cloud.manager.docker("exec", "-e", f"PGPASSWORD={password.decode()}", container(), *psql).strip()
        except RuntimeError as lost:
            return str(lost)

    sql("create table lines as select generate_series(1, 100) as n")
    assert sql("select count(*) from lines") == "100"
    cloud.manager.docker("kill", "-s", "KILL", container())
    until(lambda: sql("select count(*) from lines") == "100", "it is back, with its rows")


def test_what_runs_has_only_the_rights_it_is_for(cloud: Deployed) -> None:
    chown, dac_override, fowner, net_admin, net_raw = (1 << bit for bit in (0, 1, 3, 12, 13))
    allowed = {
        "aerekos_default_key-manager": 0,
        "aerekos_registry": 0,
        "aerekos_mesh": 0,
        "aerekos_conductor": chown | dac_override | fowner,
        "aerekos_agent": net_admin | net_raw | dac_override,
    }
    for service, rights in allowed.items():
        for process in processes_of(cloud, service):
            assert int(process["CapEff"], 16) & ~rights == 0, (service, process["CapEff"])
            assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2"), service
    uids = {each["Uid"].split()[0] for each in processes_of(cloud, "aerekos_default_key-manager")}
    assert uids == {"10001"}


def test_a_local_user_gets_nothing_at_the_agents_door(cloud: Deployed) -> None:
    """Root does: it could ask Docker itself."""
    ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:7444/v2/token"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert (cloud.manager.inside(*ask), cloud.manager.inside(*nobody, *ask)) == ("200", "403")


def test_where_networks_cannot_be_encrypted_it_is_said(cloud: Deployed) -> None:
    conditions = cloud.workers()["node-1"]["status"]["conditions"]
    (found,) = [each for each in conditions if each["type"] == "OverlayEncrypted"]
    said = "WARNING: traffic between machines will not be encrypted" in cloud.said
    options = cloud.manager.docker("network", "inspect", "-f", "{{json .Options}}", "aerekos_control")
    assert (found["status"] == "False") == said == ("encrypted" not in options)


def test_two_machines_join_by_the_printed_line(three: Deployed) -> None:
    seen = three.workers()
    assert set(seen) == {"node-1", "node-2", "node-3"}
    for worker in seen.values():
        capacity = worker["status"]["capacity"]
        assert int(capacity["memory"]) > 0 and int(capacity["disk"]) > 0 and float(capacity["cpu"]) > 0


def test_a_container_of_ones_own_runs_on_every_machine_from_the_clouds_images(web: Deployed) -> None:
    """Pushed once on one machine, it is pulled by the others through their own agents."""
    instances = web.get("services", "web")["status"]["instances"]
    assert {each["worker"] for each in instances} == {"node-1", "node-2", "node-3"}


def page(cloud: Deployed) -> str:
    with cloud.http() as api:
        return api.get("/services/web/").text.strip()


def is_everywhere(cloud: Deployed, text: str) -> bool:
    """Whether every copy of `web` serves that page, and says that it is ready."""
    return cloud.ready("web") == "3/3" and {page(cloud) for _ in range(12)} == {text}


def updated(cloud: Deployed, text: str, *, command: str = "", image: str = "") -> None:
    """`web`, with another page (and another command or image)."""
    spec = cloud.get("services", "web")["spec"]
    script = ["sh", "-c", command or serving(text)]
    cloud.apply(web={**spec, "image": image or spec["image"], "command": script})


def test_updates_and_undo_lose_no_request(web: Deployed) -> None:
    cloud = web
    program = str(oldest_or_newest("oldest"))
    tls = cloud.folder / "tls"
    proof = [f"--certificate-authority={tls}/ca.crt", f"--client-certificate={tls}/admin.crt"]
    kubectl = [program, f"--server={cloud.url}", *proof, f"--client-key={tls}/admin.key", f"--cache-dir={tls}/cache"]
    with loaded(cloud, "web") as load:
        updated(cloud, "two")
        until(lambda: is_everywhere(cloud, "two"), "the second revision is everywhere")
        run(*kubectl, "rollout", "undo", "deployment/web")
        until(lambda: is_everywhere(cloud, "one"), "the first revision is back")
    assert load.failures == []
    assert set(load.answers) == {"one", "two"} and load.answers.total() > 500


def test_what_does_not_get_ready_goes_back_by_itself(web: Deployed) -> None:
    cloud = web
    with loaded(cloud, "web") as load:
        updated(cloud, "three", image="127.0.0.1:7444/busybox:none")
        until(lambda: "ImageNotFound" in told(cloud), "it is told that the image is not there")
        updated(cloud, "four", image="127.0.0.1:7444/busybox:1", command="exit 3")
        until(lambda: "RolledBack" in told(cloud), "it is told that the revision was rolled back")
        until(lambda: is_everywhere(cloud, "one"), "the revision before is everywhere")
    assert load.failures == []
    assert set(load.answers) == {"one"}
    updated(cloud, "five")
    until(lambda: is_everywhere(cloud, "five"), "a good revision goes on")


def told(cloud: Deployed) -> str:
    """What the status of `web` says."""
    return json.dumps(cloud.get("services", "web")["status"])


def asked(cloud: Deployed, one: Node, other: Node) -> bool:
    """Whether a container on one machine reaches one on the other through the overlay network."""
    mesh = "label=com.docker.swarm.service.name=aerekos_mesh"
    there = other.docker("ps", "-q", "--filter", mesh).split()[0]
    template = '{{(index .NetworkSettings.Networks "aerekos_control").IPAddress}}'
    address = other.docker("inspect", "-f", template, there).strip()
    code = f"import socket; print(socket.create_connection(('{address}', 7448), 1).recv(64).decode())"
    try:
        return other.name in one.docker(
            "exec", one.docker("ps", "-q", "--filter", mesh).split()[0], "python3", "-c", code
        )
    except RuntimeError:
        return False


def all_pairs(cloud: Deployed) -> bool:
    return all(asked(cloud, one, other) for one in cloud.made.nodes for other in cloud.made.nodes if one is not other)


def is_even(cloud: Deployed) -> bool:
    instances = cloud.get("services", "web")["status"]["instances"]
    return sorted(each["worker"] for each in instances) == sorted(NODES)


def tasks(cloud: Deployed) -> set[str]:
    """Those that should run: id, name and machine, so that a failure says which one Swarm has made anew."""
    shown = "{{.ID}} {{.Name}} {{.Node}}"
    listed = cloud.manager.docker("node", "ps", "--format", shown, "--filter", "desired-state=running", *NODES)
    return set(listed.splitlines())


def settled(cloud: Deployed) -> set[str]:
    """What runs once nothing changes any more: on a machine that is back, what is alone elsewhere is moved to."""
    since, seen = time.monotonic(), tasks(cloud)

    def still() -> bool:
        nonlocal since, seen
        if (now := tasks(cloud)) != seen:
            since, seen = time.monotonic(), now
        return time.monotonic() - since > STILL_SECONDS

    until(still, "nothing is moved any more")
    return seen


@pytest.mark.parametrize(
    "moves", [{1: 41}, {0: 42}, {0: 51, 2: 53}, {0: 11, 1: 12, 2: 13}], ids=["worker", "manager", "both", "back"]
)
def test_machines_move_and_swarm_does_not_notice(web: Deployed, moves: dict[int, int]) -> None:
    cloud = web
    until(lambda: all_pairs(cloud), "all pairs reach each other")
    before = settled(cloud)
    for number, host in moves.items():
        cloud.made.nodes[number].move(host)
    until(lambda: all_pairs(cloud), "all pairs reach each other again")
    assert cloud.made.ready_nodes() == set(NODES)
    assert tasks(cloud) == before
    until(lambda: cloud.ready_workers() == set(NODES), "the conductor hears all of them")


def test_the_only_managers_docker_restarts_and_no_other_machine_notices(web: Deployed) -> None:
    cloud = web

    def elsewhere() -> set[str]:
        listed = cloud.manager.docker("node", "ps", "-q", "--filter", "desired-state=running", *NODES[1:])
        return set(listed.split())

    before = elsewhere()
    cloud.manager.stop()
    cloud.manager.start()
    until(lambda: cloud.made.ready_nodes() == set(NODES), "everybody is back")
    until(cloud.is_ready, "the conductor answers again")
    cloud.until_ready("web", 3)
    assert before <= elsewhere()
    told = cloud.manager.docker("events", "--since", "2m", "--until", "0s", "--filter", "type=node")
    assert "state.new=down" not in told, told


def test_a_worker_leaves_cleanly(web: Deployed) -> None:
    cloud = web
    gone = cloud.made.nodes[2]
    cloud.do("worker", "remove", "node-3", timeout=90)
    assert set(cloud.workers()) == {"node-1", "node-2"}
    assert cloud.made.ready_nodes() == {"node-1", "node-2"}
    assert gone.docker("info", "-f", "{{.Swarm.LocalNodeState}}").strip() == "inactive"
    cloud.until_ready("web", 3)
    cloud.join(gone)
