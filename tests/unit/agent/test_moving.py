"""Addresses that change: packets from the network, who is believed, and what the kernel is told; times are exact."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.moving.announcing import LARGEST_PACKET, Announcement, is_by, read
from agent.moving.neighbours import Neighbours
from agent.moving.oneself import oneself
from agent.moving.translating import Place, Translation, changed, translation

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NEWS = Announcement("oak", "192.0.2.1", "192.0.2.91", 5)
PORT = 7446


def told(worker: str = "oak", **more: Any) -> dict[str, Any]:
    """As the conductor lists a worker."""
    entry = {"worker": worker, "identity": "192.0.2.1", "address": "192.0.2.1", "sequence": 0, "manager": False}
    return {**entry, "publicKey": base64.b64encode(PUBLIC).decode(), **more}


@pytest.fixture
def neighbours(tmp_path: Path) -> Neighbours:
    made = Neighbours(tmp_path / "neighbours.json", "elm")
    made.take_list([told(), told("elm", identity="192.0.2.2", address="192.0.2.2")])
    return made


def test_what_is_sent_is_what_is_read() -> None:
    seen, signature = read(NEWS.signed(KEY))
    assert seen == NEWS and is_by(seen, signature, PUBLIC)
    assert len(NEWS.signed(KEY)) < LARGEST_PACKET


@given(st.binary(max_size=1500) | st.text().map(str.encode) | st.recursive(
    st.none() | st.integers() | st.text(max_size=20), lambda inner: st.dictionaries(
        st.sampled_from(["worker", "identity", "address", "sequence", "signature"]), inner), max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_from_the_network_is_read_or_refused(packet: bytes) -> None:
    try:
        seen, signature = read(packet)
    except ValueError:
        return
    assert not is_by(seen, signature, PUBLIC)


@given(st.integers(min_value=0, max_value=300), st.binary(min_size=1, max_size=1))
def test_a_changed_packet_is_nobodys_word(at: int, byte: bytes) -> None:
    packet = bytearray(NEWS.signed(KEY))
    at %= len(packet)
    changed_ = bytes(packet[:at]) + byte + bytes(packet[at + 1 :])
    try:
        seen, signature = read(changed_)
    except ValueError:
        return
    assert seen == NEWS or not is_by(seen, signature, PUBLIC)


def test_only_newer_words_of_the_one_it_is_about_are_taken(neighbours: Neighbours) -> None:
    stranger = Ed25519PrivateKey.generate()
    assert neighbours.take(NEWS.signed(stranger)) is None
    assert neighbours.take(Announcement("pine", "192.0.2.1", "192.0.2.9", 9).signed(KEY)) is None
    assert neighbours.take(Announcement("oak", "192.0.2.8", "192.0.2.9", 9).signed(KEY)) is None
    moved = neighbours.take(NEWS.signed(KEY))
    assert moved is not None and moved.place == Place("192.0.2.1", "192.0.2.91")
    assert neighbours.take(NEWS.signed(KEY)) is None
    assert neighbours.take(Announcement("oak", "192.0.2.1", "192.0.2.77", 4).signed(KEY)) is None


def test_the_conductor_does_not_undo_what_is_newer(neighbours: Neighbours, tmp_path: Path) -> None:
    neighbours.take(NEWS.signed(KEY))
    assert not neighbours.take_list([told(sequence=4, address="192.0.2.1")])
    assert neighbours.take_list([told(sequence=6, address="192.0.2.66")])
    again = Neighbours(tmp_path / "neighbours.json", "elm")
    assert [each.address for each in again] == ["192.0.2.66"]
    assert neighbours.take_list([]) and list(neighbours) == []


def test_a_damaged_file_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "neighbours.json").write_text('[{"worker": 1}')
    assert list(Neighbours(tmp_path / "neighbours.json", "elm")) == []


@pytest.mark.parametrize("odd", [{"publicKey": "AA=="}, {"identity": "::1"}, {"sequence": "x"}, {"publicKey": "!"}])
def test_entries_that_make_no_sense_are_left_out(tmp_path: Path, odd: dict[str, Any]) -> None:
    made = Neighbours(tmp_path / "n.json", "elm")
    made.take_list([told(**odd)])
    assert list(made) == []


def test_nobody_moved_nothing_to_translate() -> None:
    home = Place("192.0.2.1", "192.0.2.1")
    assert translation(home, [Place("192.0.2.2", "192.0.2.2")], port=PORT) == Translation()


def test_a_neighbour_that_moved_is_reached_and_recognized() -> None:
    made = translation(Place("192.0.2.1", "192.0.2.1"), [Place("192.0.2.2", "192.0.2.92")], port=PORT)
    assert made.rules == (
        "-A AEREKOS-OUT -p udp -m udp --dport 7446 -j RETURN",
        "-A AEREKOS-OUT -d 192.0.2.2/32 -j DNAT --to-destination 192.0.2.92",
        "-A AEREKOS-IN -s 192.0.2.92/32 -j SNAT --to-source 192.0.2.2",
    )
    assert made.loopback == ()


def test_one_that_moved_answers_to_its_old_address() -> None:
    assert translation(Place("192.0.2.1", "192.0.2.91"), [], port=PORT) == Translation((), ("192.0.2.1",))


def test_connections_from_where_one_was_are_reset_for_a_while() -> None:
    made = translation(Place("192.0.2.1", "192.0.2.92"), [], port=PORT, left=["192.0.2.91", "192.0.2.92"])
    assert made.cuts == ("-A AEREKOS-CUT -s 192.0.2.91/32 -p tcp -j REJECT --reject-with tcp-reset",)
    assert made.loopback == ("192.0.2.1", "192.0.2.91")


def test_two_that_changed_places_are_told_apart() -> None:
    swapped = [Place("192.0.2.2", "192.0.2.3"), Place("192.0.2.3", "192.0.2.2")]
    rules = translation(Place("192.0.2.1", "192.0.2.1"), swapped, port=PORT).rules
    assert "-A AEREKOS-OUT -d 192.0.2.2/32 -j DNAT --to-destination 192.0.2.3" in rules
    assert "-A AEREKOS-IN -s 192.0.2.3/32 -j SNAT --to-source 192.0.2.2" in rules
    assert "-A AEREKOS-IN -s 192.0.2.2/32 -j SNAT --to-source 192.0.2.3" in rules


def test_whoever_has_our_own_address_now_is_left_out() -> None:
    thief = [Place("192.0.2.2", "192.0.2.1")]
    assert translation(Place("192.0.2.1", "192.0.2.91"), thief, port=PORT).rules == ()


def test_what_came_or_went_is_forgotten_by_the_kernel() -> None:
    one = translation(Place("192.0.2.1", "192.0.2.1"), [Place("192.0.2.2", "192.0.2.92")], port=PORT)
    assert changed(Translation(), one) == {"192.0.2.2", "192.0.2.92"} == changed(one, Translation())
    assert changed(one, one) == set()


def test_a_sequence_is_never_used_twice_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    own = oneself(tmp_path / "moving.json", "elm", "192.0.2.2")
    assert (own.sequence, own.place.has_moved) == (0, False)
    own.moved("192.0.2.92", milliseconds=1000)
    own.moved("192.0.2.93", milliseconds=10)
    again = oneself(tmp_path / "moving.json", "elm", "192.0.2.2")
    assert (again.sequence, again.address, again.public_key) == (1001, "192.0.2.93", own.public_key)
    other = oneself(tmp_path / "moving.json", "elm", "192.0.2.7")
    assert (other.address, other.sequence) == ("192.0.2.7", 1001)
