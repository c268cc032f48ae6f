"""Where workers of a Swarm say they are: believed of themselves only, shown to the others, told to people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.api.components import ADMIN, HOW, House
from unit.api.test_agent_routes import BEAT, post

from api.agents.peer_addresses import PeerAddressBook
from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from controller.kit.leases import LEASE_SECONDS, Leases
from controller.kit.peers import Peer, Peers
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
OAK = Peer("oak", "n1", "192.0.2.1", "192.0.2.1", False, "key", 0)
ELM = Peer("elm", "n2", "192.0.2.2", "192.0.2.2", True, "other key", 0)
PART = {"nodeId": "n1", "identity": "192.0.2.1", "address": "192.0.2.1", "publicKey": "key", "sequence": 0}


def who(name: str) -> Principal:
    return Principal(f"system:worker:{name}", frozenset({WORKERS, AUTHENTICATED}))


class Room:
    """The house's records, leases of its own, and what people were told."""

    def __init__(self, house: House) -> None:
        self.house, self.leases, self.peers = house, Leases(house.clock), Peers()
        self.told: list[tuple[str, str, str, bool]] = []
        self.whereabouts = PeerAddressBook(house.store, self.leases, self.peers, self.tell)

    def tell(self, about: Any, reason: str, message: str, *, warning: bool = False) -> None:
        self.told.append((about.metadata.name, reason, message, warning))

    def beat(self, told: Peer) -> None:
        self.whereabouts.take(told)
        self.leases.beat(told.worker, swarm=told)


@pytest.fixture
async def room(house: House) -> Room:
    for name in ("oak", "elm"):
        await house.registry.create(WORKER, "", {"metadata": {"name": name}}, HOW)
    return Room(house)


async def test_a_move_is_told_once_with_how_long_it_was_silent(room: Room) -> None:
    room.beat(OAK)
    room.house.clock.forward(1.3)
    for _ in range(3):
        room.beat(replace(OAK, address="192.0.2.91", sequence=5))
    assert room.told == [
        (
            "oak",
            "AddressChanged",
            "oak, known by 192.0.2.1, moved from 192.0.2.1 to 192.0.2.91; "
            "heard again 1.3 s after its last word from there",
            False,
        )
    ]


async def test_one_that_has_begun_again_elsewhere_is_no_news(room: Room) -> None:
    room.beat(replace(OAK, address="192.0.2.91", sequence=5))
    room.beat(replace(OAK, address="192.0.2.91", sequence=5, manager=True))
    assert room.told == []


async def test_who_counts_backwards_is_not_followed_before_it_has_a_new_key(room: Room) -> None:
    room.beat(replace(OAK, address="192.0.2.91", sequence=5))
    room.beat(replace(OAK, address="192.0.2.66", sequence=4))
    assert room.peers.get("oak") == replace(OAK, address="192.0.2.91", sequence=5)
    room.beat(replace(OAK, address="192.0.2.66", sequence=0, public_key="new"))
    assert room.peers.get("oak") == replace(OAK, address="192.0.2.66", sequence=0, public_key="new")


async def test_nobody_takes_the_identity_of_one_who_lives(room: Room) -> None:
    room.beat(OAK)
    thief = replace(ELM, identity="192.0.2.1", address="192.0.2.66", sequence=99)
    for _ in range(3):
        room.beat(thief)
    assert room.peers.get("elm") is None and room.peers.get("oak") == OAK
    ((name, reason, message, warning),) = room.told
    assert (name, reason, warning) == ("elm", "IdentityConflict", True)
    assert message.startswith("elm and oak are both known by 192.0.2.1; only oak is followed")
    room.beat(ELM)
    assert room.peers.get("elm") == ELM, "it is believed about its own"


async def test_the_identity_of_one_who_is_silent_is_still_its_own(room: Room) -> None:
    """Until its record is deleted: everybody sends there what is for that one."""
    room.beat(OAK)
    room.house.clock.forward(LEASE_SECONDS + 0.1)
    heir = replace(ELM, identity="192.0.2.1")
    room.beat(heir)
    assert room.peers.get("oak") == OAK and room.peers.get("elm") is None
    assert [reason for _, reason, _, _ in room.told] == ["IdentityConflict"]
    await room.house.registry.delete(WORKER, WORKER.key("oak"), HOW)
    room.peers.forget("oak")
    room.beat(heir)
    assert room.peers.holder("192.0.2.1") == heir


async def test_peers_are_told_when_they_are_news_and_to_nodes_only(house: House) -> None:
    for name in ("oak", "elm"):
        await house.registry.create(WORKER, "", {"metadata": {"name": name}}, HOW)
    first = (await post(house, "/agents/heartbeat", {**BEAT, "swarm": PART})).json()
    assert [each["worker"] for each in first["peers"]] == ["oak"]
    known = {**BEAT, "swarm": PART, "peersVersion": first["peersVersion"]}
    assert "peers" not in (await post(house, "/agents/heartbeat", known)).json()
    elms = {**PART, "nodeId": "n2", "identity": "192.0.2.2", "address": "192.0.2.92", "sequence": 7}
    await post(house, "/agents/heartbeat", {**BEAT, "swarm": elms}, who("elm"))
    (elm, oak) = (await post(house, "/agents/heartbeat", known)).json()["peers"]
    assert oak["worker"] == "oak"
    assert elm == {"worker": "elm", "identity": "192.0.2.2", "address": "192.0.2.92", "sequence": 7,
                   "publicKey": "key", "manager": False}  # fmt: skip
    assert "peers" not in (await post(house, "/agents/heartbeat", BEAT)).json()


async def test_leases_show_where_nodes_are(house: House) -> None:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    await post(house, "/agents/heartbeat", BEAT)
    async with house.client(house.bearer(ADMIN)) as client:
        assert "swarm" not in (await client.get("/agents/leases")).json()["leases"][0]
        await post(house, "/agents/heartbeat", {**BEAT, "swarm": {**PART, "address": "192.0.2.91", "sequence": 3}})
        (lease,) = (await client.get("/agents/leases")).json()["leases"]
    assert lease["swarm"] == {"nodeId": "n1", "identity": "192.0.2.1", "address": "192.0.2.91", "sequence": 3,
                              "manager": False, "leaving": False}  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"address": "home"},
        {"address": "192.0.2.1/24"},
        {"address": "0.0.0.0"},
        {"identity": "224.0.0.1"},
        {"identity": "::"},
        {"sequence": -1},
        {"sequence": 2**53},
        {"sequence": "much"},
        {"publicKey": "x" * 65},
    ],
)
async def test_a_place_that_makes_no_sense_is_invalid(house: House, odd: dict[str, Any]) -> None:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    answer = await post(house, "/agents/heartbeat", {**BEAT, "swarm": {**PART, **odd}})
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
    assert next(iter(odd)) in answer.json()["message"]
