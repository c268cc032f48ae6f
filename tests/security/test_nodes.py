"""Nodes speak only of themselves, and only of addresses of the cloud's networks; an agent's ports serve its own.

A worker in foreign hands says by its heartbeats where it is; a conductor in foreign hands tells agents where all
are; a local user asks the agent's ports.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.agent.test_registry_proxy import House as AgentHouse
from unit.agent.test_registry_proxy import house as agent_house
from unit.api.components import ADMIN, HOW, House, make_house

from agent.addressing.address_rules import AddressRules, LocalNetwork
from agent.addressing.interfaces import resolvers, routers
from agent.addressing.nat_rules import PeerAddress, nat_rules
from agent.addressing.peer_table import PeerTable
from agent.swarm.callers import LocalCallers, owner_in
from agent.swarm.connection_hold import ConnectionHold
from agent.swarm.overlay_probe import PeerAddresses, name_responder
from api.agents.heartbeats import Heartbeats
from api.agents.join import SCRIPT
from api.agents.node_claims import NodeClaims
from api.auth.join_tokens import JoinTokens
from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from api.tls import CertificateAuthority
from cli.login.join_tokens import join_line
from controller.kit.authorities import fingerprint
from controller.kit.clock import SystemClock
from controller.kit.networks import NodeNetworks, parse_networks
from controller.kit.peers import Peers
from controller.kit.threads import Threads
from controller.main.bootstrap import let_agents_join
from crds.errors import Forbidden, Unauthorized
from crds.kinds.join_token import JOIN_TOKEN
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
__all__ = ["agent_house"]
KEY = "A" * 43 + "="
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


class Nodes:
    """A conductor as its workers see it; each calls from some address. The Swarm knows nodes by those in `swarm`."""

    def __init__(self, house: House) -> None:
        self.house, self.peers = house, Peers()
        self.swarm: dict[str, set[str]] = {}
        self.told: list[tuple[str, str, str]] = []
        self.begin()

    def begin(self) -> None:
        """As after a restart of the conductor when `peers` are new."""

        async def known_by(worker: str) -> frozenset[str]:
            return frozenset(self.swarm.get(worker, ()))

        def tell(about: Any, reason: str, message: str, *, warning: bool = False) -> None:
            self.told.append((about.metadata.name, reason, message))

        house = self.house
        claims = self.claims = NodeClaims(house.registry, self.peers, house.clock, NodeNetworks(), known_by)
        house.conductor._heartbeats = Heartbeats(  # type: ignore[attr-defined]
            house.registry, house.leases, self.peers, house.authenticator, lambda _: None, tell, claims
        )

    async def beat(self, worker: str, source: str, **claimed: Any) -> dict[str, Any]:
        """What its agent is told."""
        who = Principal(f"system:worker:{worker}", frozenset({WORKERS, AUTHENTICATED}))
        part = {"nodeId": worker, "identity": source, "address": source, "publicKey": KEY, "sequence": 0, **claimed}
        transport = httpx.ASGITransport(app=self.house.door, client=(source, 40000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="https://cloud.test", headers=self.house.bearer(who)
        ) as client:
            answer = await client.post("/agents/heartbeat", json={"swarm": part})
        assert answer.status_code in (200, 422), answer.text
        return {"peers": [], **answer.json()}

    async def believed(self) -> dict[str, tuple[str, str]]:
        """Where the others are, as a worker of good will is told."""
        listed = (await self.beat("watcher", "10.0.0.99"))["peers"]
        return {each["worker"]: (each["identity"], each["address"]) for each in listed if each["worker"] != "watcher"}


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    house = await make_house(tmp_path)
    for name in ("oak", "elm", "watcher"):
        await house.registry.create(WORKER, "", {"metadata": {"name": name}}, HOW)
    yield Nodes(house)
    await house.close()


async def test_a_worker_that_claims_a_public_address_is_told_to_nobody(nodes: Nodes) -> None:
    await nodes.beat("oak", "10.0.0.1", identity="8.8.8.8", address="10.0.0.1")
    assert await nodes.believed() == {}
    ((worker, reason, message),) = nodes.told
    assert (worker, reason) == ("oak", "AddressRejected") and "8.8.8.8 is in no network of this cloud" in message


ODD = ["8.8.8.8", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "0.0.0.1", "240.0.0.1", "::1",
       "fe80::1", "::ffff:10.0.0.1", "2001:4860:4860::8888"]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["identity", "address"])
async def test_addresses_of_no_machine_of_the_cloud_are_never_believed(nodes: Nodes, field: str, odd: str) -> None:
    await nodes.beat("oak", "10.0.0.1", **{field: odd})
    await nodes.beat("oak", "10.0.0.1", **{field: odd}, sequence=7)
    assert await nodes.believed() == {}


async def test_what_was_believed_stays_when_nonsense_follows(nodes: Nodes) -> None:
    await nodes.beat("oak", "10.0.0.1")
    await nodes.beat("oak", "10.0.0.1", address="8.8.8.8", sequence=9)
    assert await nodes.believed() == {"oak": ("10.0.0.1", "10.0.0.1")}


async def test_an_address_of_the_network_is_believed_only_of_who_calls_from_it(nodes: Nodes) -> None:
    """The database beside the cluster, 10.0.0.53, is no worker, whoever says so."""
    await nodes.beat("oak", "10.0.0.1", identity="10.0.0.53", address="10.0.0.53")
    await nodes.beat("elm", "10.0.0.2")
    await nodes.beat("elm", "10.0.0.77", identity="10.0.0.2", address="10.0.0.53", sequence=5)
    assert await nodes.believed() == {"elm": ("10.0.0.2", "10.0.0.2")}
    assert [reason for _, reason, _ in nodes.told] == ["AddressRejected", "AddressRejected"]


async def test_the_swarm_may_know_a_node_by_another_address_than_it_calls_from(nodes: Nodes) -> None:
    nodes.swarm["oak"] = {"10.0.0.1"}
    await nodes.beat("oak", "172.18.0.1", identity="10.0.0.1", address="10.0.0.1")
    assert await nodes.believed() == {"oak": ("10.0.0.1", "10.0.0.1")}


async def test_one_that_moved_is_believed_from_where_it_is(nodes: Nodes) -> None:
    await nodes.beat("oak", "10.0.0.1")
    await nodes.beat("oak", "10.0.0.91", identity="10.0.0.1", sequence=5)
    assert await nodes.believed() == {"oak": ("10.0.0.1", "10.0.0.91")}


async def test_nobody_is_where_another_worker_is(nodes: Nodes) -> None:
    """Its traffic would come to us in its place. `source`: a conductor that translates sees who moved at home."""
    await nodes.beat("oak", "10.0.0.1")
    await nodes.beat("elm", "10.0.0.2")
    await nodes.beat("elm", "10.0.0.2", address="10.0.0.1", sequence=5)
    assert await nodes.believed() == {"oak": ("10.0.0.1", "10.0.0.1"), "elm": ("10.0.0.2", "10.0.0.2")}


async def test_an_identity_belongs_to_its_first_worker_also_after_a_restart_of_the_conductor(nodes: Nodes) -> None:
    await nodes.beat("oak", "10.0.0.1")
    nodes.house.clock.forward(3600)
    await nodes.beat("elm", "10.0.0.1")
    nodes.peers = Peers()
    nodes.begin()
    await nodes.beat("elm", "10.0.0.1")
    assert await nodes.believed() == {}
    assert {reason for _, reason, _ in nodes.told} == {"IdentityConflict"}
    await nodes.beat("oak", "10.0.0.1")
    assert await nodes.believed() == {"oak": ("10.0.0.1", "10.0.0.1")}
    status = nodes.house.registry.get(WORKER, WORKER.key("oak")).object["status"]
    assert status["identityAddress"] == "10.0.0.1"


async def test_what_a_worker_registers_with_is_an_address_and_a_host_name(nodes: Nodes) -> None:
    oak = Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED}))
    facts = {"capacity": {"cpu": "2", "memory": "4Gi", "disk": "10Gi"}}
    for odd in ({"address": "\x1b[2Joak"}, {"address": "0.0.0.0"}, {"type": "Hostname", "address": "a\x1b[31mb"}):
        async with nodes.house.client(nodes.house.bearer(oak)) as client:
            answer = await client.post("/agents/register", json={**facts, "addresses": [odd]})
        assert answer.status_code == 422, odd
    async with nodes.house.client(nodes.house.bearer(ADMIN)) as client:
        assert (await client.post("/agents/heartbeat", json={})).status_code == 403, "only of itself"


# --- the token that every agent of a stack holds ---

TOKEN = "agents." + "s" * 48


async def enrolling(nodes: Nodes, tmp_path: Path) -> JoinTokens:
    """As a conductor begins: the stack's secret is in a file."""
    (tmp_path / "agent-token").write_text(TOKEN)
    await let_agents_join(nodes.house.registry, tmp_path / "agent-token", nodes.house.clock.now())
    return JoinTokens(nodes.house.registry, nodes.house.clock, nodes.claims.is_member)


async def test_the_stacks_token_lets_in_nodes_of_the_swarm_alone(nodes: Nodes, tmp_path: Path) -> None:
    nodes.swarm = {"pine": {"10.0.0.7"}, "fir": {"10.0.0.8"}}
    tokens = await enrolling(nodes, tmp_path)
    for name, source in (("stranger", "10.0.0.7"), ("pine", "10.0.0.8"), ("pine", "127.0.0.1"), ("pine", "")):
        with pytest.raises(Forbidden, match="nodes of the cloud's Swarm"):
            await tokens.use(TOKEN, name, source)
    assert nodes.house.store.get(WORKER.key("pine")) is None
    await tokens.use(TOKEN, "pine", "10.0.0.7")
    with pytest.raises(Forbidden):
        await JoinTokens(nodes.house.registry, nodes.house.clock).use(TOKEN, "fir", "10.0.0.8")


async def test_the_stacks_token_is_bounded_in_time_and_uses_and_renewed(nodes: Nodes, tmp_path: Path) -> None:
    """Also one of a cloud of the version before: ten years, any number of machines."""
    nodes.swarm = {"pine": {"10.0.0.7"}}
    registry, clock = nodes.house.registry, nodes.house.clock
    old = {"secretSha256": sha256(b"s" * 48).hexdigest(), "expiresAt": "2036-01-01T00:00:00Z", "uses": 0}
    await registry.create(JOIN_TOKEN, "", {"metadata": {"name": "agents"}, "spec": old}, HOW)
    tokens = await enrolling(nodes, tmp_path)
    spec = JOIN_TOKEN.parse(registry.get(JOIN_TOKEN, JOIN_TOKEN.key("agents")).body).spec
    assert spec.members_only and 0 < spec.uses <= 1000
    assert spec.expires_at <= clock.now() + timedelta(days=30)
    await tokens.use(TOKEN, "pine", "10.0.0.7")
    clock.forward(31 * 86_400)
    with pytest.raises(Unauthorized):
        await tokens.use(TOKEN, "pine", "10.0.0.7")
    await (await enrolling(nodes, tmp_path)).use(TOKEN, "pine", "10.0.0.7")
    await registry.merge(JOIN_TOKEN, JOIN_TOKEN.key("agents"), {"spec": {"revoked": True}}, HOW)
    with pytest.raises(Unauthorized):
        await (await enrolling(nodes, tmp_path)).use(TOKEN, "pine", "10.0.0.7")


FAKES = {
    "curl": 'case "$*" in *auth/ca.pem*) cat "$CA" > "$6";; *join/agent*) echo agent:1;; esac',
    "docker": 'case "$1" in version) echo 24.0.1;; info) echo /nowhere;; esac\n'
    'env | grep -c "^AEREKOS_AGENT_TOKEN=t.s" >> "$LOG" || true',
}


async def test_the_token_of_a_machine_that_joins_is_no_argument_of_any_program(tmp_path: Path) -> None:
    """The printed line is run as it is, with programs that note what they were started with."""
    authority = CertificateAuthority(tmp_path / "tls", now=datetime.now(UTC))
    pem = authority.ca_file.read_text()
    (tmp_path / "join.sh").write_text(SCRIPT)
    for name, does in FAKES.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "$LOG"\n{does}\n')
        (tmp_path / name).chmod(0o755)
    token = f"t.s3cret.{fingerprint(pem)}"
    how = {"swarm": True, "url": "https://c:7443", "scriptSha256": sha256(SCRIPT.encode()).hexdigest()}
    line = join_line(how, "", token)
    line = line.replace("curl -fsSk https://c:7443/join.sh -o $f", f"cp {tmp_path}/join.sh $f")
    assert f" sh $f {how['url']}" in line and line.endswith(str(how["url"])), (
        "nothing else is an argument of the script"
    )
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(tmp_path / "log"), "CA": str(authority.ca_file)}
    done = await anyio.run_process(["sh", "-c", line], env=env, check=False)
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, done.stderr
    assert "aerekos-agent join --api https://c:7443" in log and log.rstrip().endswith("1"), "it has it all the same"
    assert "s3cret" not in log
    refused = await anyio.run_process(["sh", str(tmp_path / "join.sh"), "https://c", token], env=env, check=False)
    assert refused.returncode == 1 and b"arguments can be read by everybody" in refused.stderr


# --- what agents believe, of anybody ---


def rules(**here: Any) -> AddressRules:
    return AddressRules(NodeNetworks(), SystemClock(), lambda: LocalNetwork(**here))


def rules_of(*peers: PeerAddress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    here = rules(routers=frozenset({"10.0.0.254"}), resolvers=frozenset({"10.0.0.53"}))
    made = nat_rules(PeerAddress("10.0.0.1", "10.0.0.1"), peers, port=7446, refuses=here.why_not)
    return made.rules, made.refused


@pytest.mark.parametrize("odd", ["8.8.8.8", "127.0.0.1", "169.254.169.254", "10.0.0.254", "10.0.0.53"])
def test_an_agent_translates_no_such_address_whoever_says_so(odd: str, tmp_path: Path) -> None:
    """Also when the conductor's list says it, and when it was kept by an agent of the version before."""
    entry = {"worker": "elm", "publicKey": KEY, "sequence": 5}
    for claimed in ({"identity": odd, "address": "10.0.0.66"}, {"identity": "10.0.0.2", "address": odd}):
        known = PeerTable(tmp_path / "n.json", "oak")
        known.replace_list([{**entry, **claimed}], 0.0)
        made, refused = rules_of(*(each.peer_address for each in known))
        assert made == () and (refused or not list(known))


def test_an_agent_goes_on_following_the_others() -> None:
    made, refused = rules_of(
        PeerAddress("8.8.8.8", "10.0.0.66", "elm", 9), PeerAddress("10.0.0.3", "10.0.0.93", "fir", 5)
    )
    assert [line for line in made if "DNAT" in line] == [
        "-A AEREKOS-OUT -d 10.0.0.3/32 -j DNAT --to-destination 10.0.0.93"
    ]
    assert len(refused) == 1 and "elm is not followed: 8.8.8.8" in refused[0]


def test_networks_are_what_the_settings_say_and_what_the_machine_is_in() -> None:
    allowed = parse_networks("203.0.113.0/24")
    assert allowed.allows("203.0.113.9") and not allowed.allows("10.0.0.1") and not allowed.allows("8.8.8.8")
    assert parse_networks("private, 8.8.8.0/24").allows("8.8.8.8")
    assert not parse_networks("0.0.0.0/0, ::/0").allows("127.0.0.1"), "whatever is allowed"
    with pytest.raises(ValueError, match="home"):
        parse_networks("home")
    inside = AddressRules(NodeNetworks(), SystemClock(), lambda: LocalNetwork(parse_networks("8.8.8.0/24").networks))
    assert inside.why_not("8.8.8.8") == "" and inside.why_not("8.8.4.4")


@given(st.ip_addresses())
def test_what_is_globally_reachable_is_never_allowed_unasked(address: Any) -> None:
    allowed = NodeNetworks().allows(str(address))
    assert not (
        allowed and (address.is_global or address.is_loopback or address.is_multicast or address.is_link_local)
    )


def test_routers_and_resolvers_are_read_as_the_kernel_and_libc_write_them() -> None:
    table = "Iface\tDestination\tGateway\tFlags\neth0\t00000000\tFE00000A\t0003\neth0\t0000000A\t00000000\t0001\n"
    assert routers(table) == ({"10.0.0.254"} if sys.byteorder == "little" else {"254.0.0.10"})
    assert resolvers("search x\nnameserver 10.0.0.53\n#nameserver 1.1.1.1\nnameserver\n") == {"10.0.0.53"}


# --- the agent's ports ---

ASK = """
import encodings.idna, os, socket, sys
os.setgid(65534); os.setuid(65534)
asked = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
asked.sendall(f"{sys.argv[2]} {sys.argv[3]} HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n".encode())
while piece := asked.recv(4096):
    sys.stdout.write(piece.decode())
"""


async def asked_as_nobody(port: int, method: str, path: str) -> str:
    command = [sys.executable, "-S", "-c", ASK, str(port), method, path]
    done = await anyio.run_process(command, stderr=subprocess.STDOUT)
    return done.stdout.decode()


@ROOT
async def test_a_local_user_gets_no_token_and_no_image_at_the_agents_door(agent_house: AgentHouse) -> None:
    port = agent_house.client.base_url.port or 0
    for path, method in (("/v2/token", "GET"), ("/v2/", "GET"), ("/v2/web/blobs/uploads/", "POST")):
        said = await asked_as_nobody(port, method, path)
        assert said.startswith("HTTP/1.1 403 ") and "DENIED" in said and "mine" not in said
    assert agent_house.conductor.asked == [], "the conductor was not even asked"
    assert (await agent_house.client.get("/v2/")).status_code == 200, "root is the daemon's user"


async def test_the_token_at_the_agents_door_is_for_pulling_alone(agent_house: AgentHouse) -> None:
    query = "/v2/token?service=aerekos&scope=repository%3Aweb%3Apush%2Cpull&scope=registry:catalog:*&account=root"
    await agent_house.client.get(query)
    assert agent_house.conductor.asked[0]["query"] == "service=aerekos&scope=repository%3Aweb%3Apull"
    await agent_house.client.post("/v2/web/blobs/uploads/")
    assert "authorization" not in agent_house.conductor.asked[1]["headers"], "nobody pushes as this worker"


def row(local: str, remote: str, state: str, uid: int) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {uid}        0 1 1"


@pytest.mark.skipif(sys.byteorder != "little", reason="written as such a machine writes it")
def test_only_a_connection_that_stands_has_an_owner() -> None:
    """One in TIME_WAIT is shown as root's, whoever had it."""
    here, there = ("127.0.0.1", 4660), ("127.0.0.1", 7444)
    ours = row("0100007F:1234", "0100007F:1D14", "01", 1000)
    assert owner_in([ours], here, there) == 1000
    assert owner_in([row("0100007F:1234", "0100007F:1D14", "06", 0)], here, there) is None
    assert owner_in([row("0100007F:1234", "0100007F:0050", "01", 0), ours], here, there) == 1000, (
        "another of that port"
    )
    mapped = row("0000000000000000FFFF00000100007F:1234", "0000000000000000FFFF00000100007F:1D14", "01", 7)
    assert owner_in([mapped], here, there) == 7
    assert owner_in(["nonsense", ""], here, there) is None


async def test_who_cannot_be_found_is_not_admitted() -> None:
    assert not await LocalCallers().admits(("127.0.0.1", 1), ("127.0.0.1", 2))


class OpenGate:
    port = 0

    def install(self, port: int) -> None:
        self.port = port

    def redirect(self, addresses: Any) -> None: ...

    def stop_redirecting(self) -> None: ...

    def is_connected(self) -> bool:
        return True


async def test_the_waiting_room_carries_nobody_who_was_not_led_there() -> None:
    """Else any local user would speak to the manager's port with a mark that passes our own rules."""
    reached: list[str] = []
    gate = OpenGate()

    async def reach(address: str) -> anyio.abc.SocketStream:
        reached.append(address)
        raise OSError

    room = ConnectionHold(gate, Threads(1), lambda: ["192.0.2.1"], connect=reach)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(room.run)
        with anyio.fail_after(30):
            while not gate.port:  # noqa: ASYNC110 (a fake tells nothing)
                await anyio.sleep(0.01)
            async with await anyio.connect_tcp("127.0.0.1", gate.port) as stranger:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stranger.receive()
        tasks.cancel_scope.cancel()
    assert reached == []


async def test_the_mesh_says_its_name_to_peers_alone() -> None:
    found: set[str] = set()

    async def find() -> set[str]:
        return found

    async def said(known: PeerAddresses) -> bytes:
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as go,
        ):
            go.start_soon(listener.serve, name_responder(lambda: "oak", known.is_peer))
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            try:
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    return await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return b""
            finally:
                go.cancel_scope.cancel()

    assert await said(PeerAddresses(find, SystemClock())) == b""
    found.add("127.0.0.1")
    assert await said(PeerAddresses(find, SystemClock())) == b"oak"
