"""What a host setting means, and why one cannot listen there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from controller.kit.listening import CannotListen, Why, listen_addresses, open_listeners


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


six = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def port() -> Iterator[int]:
    """Free in both families."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    yield number


def answered(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 1):
            return True
    except OSError:
        return False


@six
@pytest.mark.parametrize("host", ["localhost", "::"])
def test_both_families_are_served_by_a_socket_each(host: str, port: int) -> None:
    opened = open_listeners(host, port, 8)
    try:
        assert answered("127.0.0.1", port) and answered("::1", port)
        assert sorted(each.family for each in opened) == [socket.AF_INET, socket.AF_INET6]
        assert all(each.getsockname()[1] == port for each in opened)
    finally:
        for each in opened:
            each.close()


def test_where_there_is_no_ipv6_localhost_is_the_other_one(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr("controller.kit.listening.socket.socket", without)
    [only] = open_listeners("localhost", port, 1)
    only.close()
    with pytest.raises(CannotListen) as refused:
        open_listeners("::", port, 1)
    assert refused.value.why is Why.NOT_OURS


@six
def test_a_port_somebody_has_in_one_family_is_taken_and_nothing_stays_open(port: int) -> None:
    with closing(socket.create_server(("::1", port), family=socket.AF_INET6)):
        with pytest.raises(CannotListen, match=rf"\[::1\]:{port}") as refused:
            open_listeners("localhost", port, 1)
        assert refused.value.why is Why.TAKEN
        assert not answered("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "why"),
    [("192.0.2.1", Why.NOT_OURS), ("2001:db8::1", Why.NOT_OURS), ("no-such-host.invalid", Why.UNKNOWN_HOST)],
)
def test_a_wrong_host_is_told_from_a_taken_port(host: str, why: Why, port: int) -> None:
    with pytest.raises(CannotListen) as refused:
        open_listeners(host, port, 1)
    assert refused.value.why is why


def test_an_address_means_itself_alone() -> None:
    assert [str(each) for each in listen_addresses("127.0.0.1", 7443)] == ["127.0.0.1:7443"]
    assert [str(each) for each in listen_addresses("::1", 7443)] == ["[::1]:7443"]


@pytest.mark.anyio
async def test_small_answers_are_not_held_back(port: int) -> None:
    """asyncio turns Nagle's delay off for sockets whose protocol is named."""
    (listener,) = open_listeners("127.0.0.1", port, 8)
    seen: list[int] = []

    def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(served, sock=listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.read()
        writer.close()
    assert seen == [1]
