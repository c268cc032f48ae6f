"""What is written in one turn of the loop is sent together; nothing is lost, and nothing is held back."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.server import JOINED_BYTES, TurnEnd, WriteCoalescer

pytestmark = pytest.mark.anyio


class Wire:
    """Keeps what is sent, in order; None is the end."""

    def __init__(self) -> None:
        self.sent: list[bytes | None] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append(None)

    def is_closing(self) -> bool:
        return None in self.sent


def joined() -> tuple[Wire, WriteCoalescer]:
    wire = Wire()
    return wire, WriteCoalescer(wire, TurnEnd(asyncio.get_running_loop(), lambda: None))


async def test_head_and_body_leave_together_when_the_turn_ends() -> None:
    wire, transport = joined()
    transport.write(b"head ")
    transport.write(b"body")
    assert wire.sent == []
    await anyio.lowlevel.checkpoint()
    assert wire.sent == [b"head body"]
    transport.write(b"next")
    await anyio.lowlevel.checkpoint()
    assert wire.sent == [b"head body", b"next"]


async def test_what_was_written_leaves_before_the_end() -> None:
    wire, transport = joined()
    transport.write(b"last words")
    transport.close()
    await anyio.lowlevel.checkpoint()
    assert wire.sent == [b"last words", None]
    assert transport.is_closing()


async def test_what_must_come_before_the_answers_of_a_turn_does_once() -> None:
    wire = Wire()
    turn = TurnEnd(asyncio.get_running_loop(), lambda: wire.write(b"noted"))
    one, other = WriteCoalescer(wire, turn), WriteCoalescer(wire, turn)
    one.write(b"one")
    other.write(b"other")
    await anyio.lowlevel.checkpoint()
    assert wire.sent == [b"noted", b"one", b"other"]


async def test_a_connection_that_fails_keeps_no_other_answer_back() -> None:
    loop, wire, told = asyncio.get_running_loop(), Wire(), list[object]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    turn = TurnEnd(loop, lambda: None)

    class Broken(Wire):
        def write(self, data: bytes) -> None:
            raise RuntimeError("closed")

    for each in (Broken(), wire):
        WriteCoalescer(each, turn).write(b"answer")
    await anyio.lowlevel.checkpoint()
    assert wire.sent == [b"answer"]
    assert [str(each) for each in told] == ["closed"]


async def test_much_is_not_held_back() -> None:
    wire, transport = joined()
    transport.write(b"x" * JOINED_BYTES)
    assert wire.sent == []
    transport.write(b"y")
    assert [len(each or b"") for each in wire.sent] == [JOINED_BYTES + 1]


@given(turns=st.lists(st.lists(st.binary(max_size=JOINED_BYTES))))
@settings(max_examples=50, deadline=None)
def test_every_byte_arrives_in_order(turns: list[list[bytes]]) -> None:
    async def write() -> Wire:
        wire, transport = joined()
        for turn in turns:
            for data in turn:
                transport.write(data)
            await anyio.lowlevel.checkpoint()
        return wire

    sent = anyio.run(write).sent
    assert b"".join(each or b"" for each in sent) == b"".join(data for turn in turns for data in turn)
