"""Who is where → what the kernel is told: rules, reasons where there are none, and the steps from what stands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.addressing import netfilter as room
from agent.addressing.nat_plan import Addresses, ForgetConnections, NatState, Restore, Step, plan, state_after
from agent.addressing.nat_rules import NatRules, PeerAddress, nat_rules
from agent.addressing.netfilter import Netfilter, NetfilterError

PORT = 7446
HOME = PeerAddress("192.0.2.1", "192.0.2.1", "oak")
ELM = PeerAddress("192.0.2.2", "192.0.2.92", "elm", 5)
RULES = (
    "-A AEREKOS-OUT -p udp -m udp --dport 7446 -j RETURN",
    "-A AEREKOS-OUT -d 192.0.2.2/32 -j DNAT --to-destination 192.0.2.92",
    "-A AEREKOS-IN -s 192.0.2.92/32 -j SNAT --to-source 192.0.2.2",
)
ALL = frozenset({"AEREKOS-OUT", "AEREKOS-IN"})
STANDS = NatState(rules=RULES, chains=ALL, hooked=ALL)


def made(*peers: PeerAddress, own: PeerAddress = HOME, left: tuple[str, ...] = ()) -> NatRules:
    return nat_rules(own, peers, port=PORT, left=left)


def test_nobody_moved_nothing_to_translate() -> None:
    assert made(PeerAddress("192.0.2.2", "192.0.2.2")) == NatRules()


def test_a_neighbour_that_moved_is_reached_and_recognized() -> None:
    assert made(ELM) == NatRules(RULES)


def test_one_that_moved_answers_to_its_old_address() -> None:
    assert made(own=PeerAddress("192.0.2.1", "192.0.2.91")) == NatRules((), ("192.0.2.1",))


def test_connections_from_where_one_was_are_reset_for_a_while_but_not_those_within() -> None:
    own = PeerAddress("192.0.2.1", "192.0.2.93")
    seen = made(own=own, left=("192.0.2.91", "192.0.2.93"))
    assert seen.cuts == ("-A AEREKOS-CUT -s 192.0.2.91/32 ! -o lo -p tcp -j REJECT --reject-with tcp-reset",)
    assert seen.loopback == ("192.0.2.1", "192.0.2.91")
    assert made(replace(ELM, address="192.0.2.91"), own=own, left=("192.0.2.91",)).cuts == (), "elm is there now"


def test_two_that_changed_places_are_told_apart() -> None:
    seen = made(PeerAddress("192.0.2.2", "192.0.2.3", "elm", 5), PeerAddress("192.0.2.3", "192.0.2.2", "fir", 6))
    assert "-A AEREKOS-OUT -d 192.0.2.2/32 -j DNAT --to-destination 192.0.2.3" in seen.rules
    assert "-A AEREKOS-IN -s 192.0.2.3/32 -j SNAT --to-source 192.0.2.2" in seen.rules
    assert "-A AEREKOS-IN -s 192.0.2.2/32 -j SNAT --to-source 192.0.2.3" in seen.rules
    assert seen.refused == ()


def test_one_that_came_where_another_was_is_followed_before_the_other_was_heard() -> None:
    seen = made(PeerAddress("192.0.2.2", "192.0.2.3", "elm", 5), PeerAddress("192.0.2.3", "192.0.2.3", "fir"))
    assert "-A AEREKOS-IN -s 192.0.2.3/32 -j SNAT --to-source 192.0.2.2" in seen.rules


@pytest.mark.parametrize(
    ("own", "peers", "words"),
    [
        (HOME, [replace(ELM, address="192.0.2.1")], "elm is at 192.0.2.1, this machine's own address"),
        (
            PeerAddress("192.0.2.1", "192.0.2.2", "oak", 6),
            [replace(ELM, address="192.0.2.1")],
            "elm is at 192.0.2.1, this machine's own address",
        ),
        (PeerAddress("192.0.2.1", "192.0.2.2", "oak", 6), [ELM], "elm is known by 192.0.2.2, where this machine is"),
        (HOME, [replace(ELM, identity="192.0.2.1")], "elm and this machine are both known by 192.0.2.1"),
        (
            HOME,
            [ELM, PeerAddress("192.0.2.2", "192.0.2.2", "fir", 9)],
            "elm and fir are both known by 192.0.2.2: remove the worker that is gone",
        ),
        (
            HOME,
            [ELM, PeerAddress("192.0.2.92", "192.0.2.92", "fir", 9)],
            "elm is said to be at 192.0.2.92, where fir has come since",
        ),
    ],
    ids=["our-address", "swapped-with-us", "we-are-in-its-place", "our-identity", "same-identity", "overtaken"],
)
def test_who_cannot_be_told_apart_is_left_out_in_words(
    own: PeerAddress, peers: list[PeerAddress], words: str
) -> None:
    seen = made(*peers, own=own)
    assert seen.rules == ()
    (refused,) = seen.refused
    assert refused.startswith(words)


def test_the_newest_of_two_with_the_same_identity_is_followed_and_the_other_is_named() -> None:
    seen = made(ELM, PeerAddress("192.0.2.2", "192.0.2.2", "fir"))
    assert seen.rules == RULES and len(seen.refused) == 1


places = st.builds(
    PeerAddress,
    st.sampled_from(range(6)).map(lambda number: f"192.0.2.{number}"),
    st.sampled_from(range(8)).map(lambda number: f"192.0.2.{number}"),
    st.sampled_from("abcdefgh"),
    st.integers(0, 9),
)


@given(places, st.lists(places, unique_by=lambda each: each.worker), st.randoms())
def test_whatever_is_claimed_each_address_means_one_machine(
    own: PeerAddress, peers: list[PeerAddress], rng: object
) -> None:
    seen = nat_rules(own, peers, port=PORT)
    out = [rule.split()[3] for rule in seen.rules if "DNAT" in rule]
    in_ = [rule.split()[3] for rule in seen.rules if "SNAT" in rule]
    assert len(set(out)) == len(out) == len(set(in_)) == len(in_)
    ours = {f"{own.identity}/32", f"{own.address}/32"}
    assert not ours & {*out, *in_}, "what is for this machine is never sent away"
    rng.shuffle(peers)  # type: ignore[attr-defined]
    assert nat_rules(own, peers, port=PORT) == seen, "all machines come to the same, in whatever order they heard"


def forget(identity: str, *addresses: str) -> ForgetConnections:
    """Connections from and to an identity, and from real addresses; nothing else is searched for."""
    options = [("--orig-dst", identity), *(("--orig-src", each) for each in (identity, *addresses))]
    return ForgetConnections(tuple(sorted(options)))


def restored(steps: list[Step]) -> str:
    (only,) = [each for each in steps if isinstance(each, Restore)]
    return "\n".join(only.lines)


def test_from_nothing_chains_are_made_and_hooked_and_old_connections_forgotten() -> None:
    steps = plan(NatRules(RULES), NatState())
    assert steps[1:] == [forget("192.0.2.2", "192.0.2.92")]
    assert restored(steps).splitlines() == [
        "*nat",
        ":AEREKOS-OUT - [0:0]",
        ":AEREKOS-IN - [0:0]",
        *RULES,
        "-I OUTPUT 1 -j AEREKOS-OUT",
        "-I INPUT 1 -j AEREKOS-IN",
        "COMMIT",
    ]


def test_what_stands_already_needs_no_step_however_it_is_printed() -> None:
    assert plan(NatRules(RULES), STANDS) == []
    other = "-A AEREKOS-IN -j SNAT --to-source 192.0.2.2 -s 192.0.2.92/32"
    assert plan(NatRules(RULES), replace(STANDS, rules=(*RULES[:2], other))) == []


def test_when_nobody_has_moved_any_more_nothing_of_ours_is_left() -> None:
    steps = plan(NatRules(), replace(STANDS, loopback=frozenset({"192.0.2.1"})))
    assert restored(steps).splitlines()[1:-1] == [
        *("-D INPUT -j AEREKOS-IN", "-D OUTPUT -j AEREKOS-OUT"),
        *("-F AEREKOS-IN", "-X AEREKOS-IN", "-F AEREKOS-OUT", "-X AEREKOS-OUT"),
    ]
    assert steps[-1] == Addresses(("addr del 192.0.2.1/32 dev lo",))
    assert plan(NatRules(), NatState()) == []


def test_a_hook_that_somebody_took_away_is_put_back() -> None:
    text = restored(plan(NatRules(RULES), replace(STANDS, hooked=frozenset({"AEREKOS-IN"}))))
    assert "-I OUTPUT 1 -j AEREKOS-OUT" in text and "-I INPUT" not in text


def test_only_connections_of_machines_whose_rules_change_are_forgotten() -> None:
    fir = PeerAddress("192.0.2.3", "192.0.2.93", "fir", 7)
    assert plan(made(ELM, fir), STANDS)[1:] == [forget("192.0.2.3", "192.0.2.93")]
    assert plan(made(replace(ELM, address="192.0.2.93")), STANDS)[1:] == [
        forget("192.0.2.2", "192.0.2.92", "192.0.2.93")
    ]


def test_addresses_of_others_on_the_loopback_interface_are_left_alone() -> None:
    seen = NatState(foreign=frozenset({"127.0.0.1", "198.51.100.7", "192.0.2.1"}))
    assert plan(NatRules(loopback=("192.0.2.1",)), seen) == []
    assert plan(NatRules(), seen) == []


def test_an_address_is_kept_before_its_connections_are_reset_and_dropped_after() -> None:
    wanted = made(own=PeerAddress("192.0.2.1", "192.0.2.91"), left=("192.0.2.90",))
    steps = plan(wanted, NatState())
    kept = "addr add 192.0.2.{}/32 dev lo scope host label lo:aerekos"
    assert steps[0] == Addresses((kept.format(1), kept.format(90))) and "REJECT" in restored(steps)
    over = plan(made(own=PeerAddress("192.0.2.1", "192.0.2.91")), state_after(wanted, NatState()))
    assert [type(each) for each in over] == [Restore, Addresses]
    assert over[-1] == Addresses(("addr del 192.0.2.90/32 dev lo",))


@given(st.lists(st.builds(made, places), min_size=2, max_size=5))
def test_what_should_stand_after_the_steps_needs_no_more_of_them(worlds: list[NatRules]) -> None:
    stands = NatState(foreign=frozenset({"127.0.0.1"}))
    for wanted in worlds:
        stands = state_after(wanted, stands)
        assert plan(wanted, stands) == []


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every program refuses with these words."""
    words = [""]

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if not words[0]:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 4, "", words[0])

    monkeypatch.setattr(room.subprocess, "run", run)
    yield words


def test_what_is_missing_is_said_with_the_package_that_has_it(said: list[str]) -> None:
    with pytest.raises(NetfilterError, match="iptables is not installed: apt-get install iptables"):
        Netfilter().apply(NatRules(), look=True)


def test_a_lack_of_rights_is_said_with_what_would_help(said: list[str]) -> None:
    said[0] = "Permission denied (you must be root)"
    with pytest.raises(NetfilterError, match=r"-t (nat|filter) -S: Permission denied.*needs root, or CAP_NET_ADMIN"):
        Netfilter().apply(NatRules(), look=True)


def test_conntrack_is_asked_until_it_comes_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up when an entry ends by itself just then, and a connection that it left would never be translated."""
    gives_up = "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist"
    done = "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted."
    answers = [[gives_up, done, gives_up], [done, gives_up], [done]]
    asked: list[list[list[str]]] = []

    def at_once(commands: list[list[str]]) -> list[str]:
        asked.append(list(commands))
        return answers[len(asked) - 1]

    monkeypatch.setattr(room, "_at_once", at_once)
    room._do(forget("192.0.2.2", "192.0.2.92"))
    first, second, third = asked
    assert [len(each) for each in asked] == [3, 2, 1]
    assert second == [first[0], first[2]] and third == [first[2]]
