"""Announcements face the network: what is believed, what is ignored, and what either costs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.addressing import peer_table as room
from agent.addressing.announcement import LARGEST_PACKET, Announcement, is_by, machine_address, parse
from agent.addressing.local_peer import load_local_peer
from agent.addressing.nat_rules import PeerAddress
from agent.addressing.peer_table import FORGERIES_PER_SECOND, FORGET_SECONDS, PeerTable

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NEWS = Announcement("oak", "192.0.2.1", "192.0.2.91", 5)
FIELDS = ["worker", "identity", "address", "sequence", "signature"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("192.0.2.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=10,
)


def told(worker: str = "oak", **more: Any) -> dict[str, Any]:
    """As the conductor lists a worker."""
    entry = {"worker": worker, "identity": "192.0.2.1", "address": "192.0.2.1", "sequence": 0, "manager": False}
    return {**entry, "publicKey": base64.b64encode(PUBLIC).decode(), **more}


ODD = {"worker": "oak", "identity": "x", "address": "y", "public_key": ""}
ELM = told("elm", identity="192.0.2.2", address="192.0.2.2")


def knowing(file: Path) -> PeerTable:
    """What elm knows of oak."""
    made = PeerTable(file, "elm")
    made.replace_list([told(), ELM], now=0)
    return made


@pytest.fixture
def neighbours(tmp_path: Path) -> PeerTable:
    return knowing(tmp_path / "neighbours.json")


def test_what_is_sent_is_what_is_read() -> None:
    seen, signature = parse(NEWS.signed(KEY))
    assert seen == NEWS and is_by(seen, signature, PUBLIC)
    assert len(NEWS.signed(KEY)) < LARGEST_PACKET


@given(
    st.binary(max_size=1500)
    | st.text().map(str.encode)
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(dict.fromkeys(FIELDS, ANYTHING)).map(lambda value: json.dumps(value).encode())
)
def test_anything_from_the_network_is_ignored_in_peace(packet: bytes) -> None:
    made = knowing(Path("/nowhere"))
    before = list(made)
    assert made.apply_announcement(packet, now=0) is None
    assert list(made) == before


@given(st.integers(min_value=0, max_value=300), st.binary(min_size=1, max_size=1))
def test_a_changed_packet_is_nobodys_word(at: int, byte: bytes) -> None:
    packet = bytearray(NEWS.signed(KEY))
    at %= len(packet)
    changed = bytes(packet[:at]) + byte + bytes(packet[at + 1 :])
    moved = knowing(Path("/nowhere")).apply_announcement(changed, now=0)
    assert moved is None or (moved.address, moved.sequence) == (NEWS.address, NEWS.sequence)


@given(
    st.builds(
        Announcement,
        worker=st.sampled_from(["oak", "elm", "pine"]) | st.text(max_size=20),
        identity=st.ip_addresses(v=4).map(str) | st.just("192.0.2.1"),
        address=st.ip_addresses(v=4).map(str),
        sequence=st.integers(),
    )
)
def test_a_neighbour_that_speaks_nonsense_harms_nobody(said: Announcement) -> None:
    """Signed by somebody we know: whatever it says, it speaks of itself, of an address a machine can have."""
    made = knowing(Path("/nowhere"))
    moved = made.apply_announcement(said.signed(KEY), now=0)
    assert [each.worker for each in made] == ["oak"]
    if moved is not None:
        assert (moved.worker, moved.identity) == ("oak", "192.0.2.1") and moved.sequence > 0
        assert machine_address(moved.address) == said.address


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_json_in_another_encoding_is_none_of_ours(neighbours: PeerTable, encoding: str) -> None:
    """Python would read it; but it is passed on as text."""
    assert neighbours.apply_announcement(NEWS.signed(KEY).decode().encode(encoding), now=0) is None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "oak", "", 3221225985, None]
)
def test_what_is_no_address_of_a_machine_is_nowhere_believed(neighbours: PeerTable, address: Any) -> None:
    with pytest.raises(ValueError):
        machine_address(address)
    packet = Announcement("oak", "192.0.2.1", address, 5).signed(KEY)
    assert neighbours.apply_announcement(packet, now=0) is None
    neighbours.replace_list([told(address=address, sequence=9)], now=0)
    assert [each.address for each in neighbours] == ["192.0.2.1"]


def test_only_newer_words_of_the_one_it_is_about_are_taken(neighbours: PeerTable) -> None:
    stranger = Ed25519PrivateKey.generate()
    assert neighbours.apply_announcement(NEWS.signed(stranger), now=0) is None
    assert neighbours.apply_announcement(Announcement("pine", "192.0.2.1", "192.0.2.9", 9).signed(KEY), now=0) is None
    assert neighbours.apply_announcement(Announcement("oak", "192.0.2.8", "192.0.2.9", 9).signed(KEY), now=0) is None
    moved = neighbours.apply_announcement(NEWS.signed(KEY), now=0)
    assert moved is not None and moved.peer_address == PeerAddress("192.0.2.1", "192.0.2.91", "oak", 5)
    assert neighbours.apply_announcement(NEWS.signed(KEY), now=0) is None
    assert neighbours.apply_announcement(Announcement("oak", "192.0.2.1", "192.0.2.77", 4).signed(KEY), now=0) is None


def test_a_flood_of_forgeries_costs_little_and_delays_the_truth_by_a_second(
    neighbours: PeerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []

    def counted(*given: Any) -> bool:
        checked.append(is_by(*given))
        return checked[-1]

    monkeypatch.setattr(room, "is_by", counted)
    forged = Announcement("oak", "192.0.2.1", "192.0.2.66", 9).signed(Ed25519PrivateKey.generate())
    for _ in range(500):
        assert neighbours.apply_announcement(forged, now=7.2) is None
    assert len(checked) == FORGERIES_PER_SECOND
    assert neighbours.apply_announcement(NEWS.signed(KEY), now=7.9) is None
    assert neighbours.apply_announcement(NEWS.signed(KEY), now=8.0) is not None


def test_replays_are_told_apart_without_checking_a_signature(
    neighbours: PeerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours.apply_announcement(NEWS.signed(KEY), now=0)
    monkeypatch.delattr(room, "is_by")
    assert neighbours.apply_announcement(NEWS.signed(KEY), now=0) is None


def test_the_conductor_does_not_undo_what_is_newer(neighbours: PeerTable, tmp_path: Path) -> None:
    neighbours.apply_announcement(NEWS.signed(KEY), now=0)
    assert not neighbours.replace_list([told(sequence=4, address="192.0.2.1")], now=0)
    assert neighbours.replace_list([told(sequence=6, address="192.0.2.66")], now=0)
    neighbours.save()
    again = PeerTable(tmp_path / "neighbours.json", "elm")
    assert [each.address for each in again] == ["192.0.2.66"]


def test_a_conductor_that_has_just_begun_makes_nobody_a_stranger(neighbours: PeerTable) -> None:
    """It lists whom it has heard so far. Oak, who has moved, must be reached in the meantime, and believed."""
    neighbours.apply_announcement(NEWS.signed(KEY), now=0)
    assert not neighbours.replace_list([ELM], now=10)
    assert not neighbours.expire(now=10 + FORGET_SECONDS - 1)
    assert (
        neighbours.apply_announcement(Announcement("oak", "192.0.2.1", "192.0.2.92", 6).signed(KEY), now=20)
        is not None
    )
    neighbours.replace_list([told()], now=300)
    assert not neighbours.expire(now=10 + FORGET_SECONDS), "it was listed again"


def test_who_is_not_listed_for_long_is_gone(neighbours: PeerTable) -> None:
    neighbours.replace_list([ELM], now=10)
    neighbours.replace_list([ELM], now=300)
    assert neighbours.expire(now=10 + FORGET_SECONDS)
    assert list(neighbours) == []


def test_who_has_the_place_of_one_that_is_not_listed_has_it_at_once(neighbours: PeerTable) -> None:
    """The same machine, joined again under another name; or the next one that got its address."""
    neighbours.apply_announcement(NEWS.signed(KEY), now=0)
    assert neighbours.replace_list([told("fir", address="192.0.2.1")], now=1)
    assert [(each.worker, each.address) for each in neighbours] == [("fir", "192.0.2.1")]


@pytest.mark.parametrize(
    "text",
    ['[{"worker": 1}', '[{"worker": 1}]', "{}", '[{"worker":"a","identity":"x","address":"y","public_key":""}]'],
)
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "neighbours.json").write_text(text)
    assert list(PeerTable(tmp_path / "neighbours.json", "elm")) == []


@pytest.mark.parametrize("odd", [{"publicKey": "AA=="}, {"identity": "::1"}, {"sequence": "x"}, {"publicKey": "!"}])
def test_entries_that_make_no_sense_are_left_out(tmp_path: Path, odd: dict[str, Any]) -> None:
    made = PeerTable(tmp_path / "n.json", "elm")
    made.replace_list([told(**odd)], now=0)
    assert list(made) == []


def test_a_sequence_is_never_used_twice_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    own = load_local_peer(tmp_path / "moving.json", "elm", "192.0.2.2")
    assert (own.sequence, own.peer_address.has_moved) == (0, False)
    own.move_to("192.0.2.92", milliseconds=1000)
    own.move_to("192.0.2.93", milliseconds=10)
    own.save()
    again = load_local_peer(tmp_path / "moving.json", "elm", "192.0.2.2")
    assert (again.sequence, again.address, again.public_key) == (1001, "192.0.2.93", own.public_key)
    other = load_local_peer(tmp_path / "moving.json", "elm", "192.0.2.7")
    assert (other.address, other.sequence) == ("192.0.2.7", 1001)
    assert (tmp_path / "moving.json").stat().st_mode & 0o777 == 0o600, "the key is nobody else's"
