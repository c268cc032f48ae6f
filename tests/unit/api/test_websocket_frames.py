"""Frames of a WebSocket are cut apart, however the bytes came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.gateway.websocket_frames import FrameSplitter

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"


def frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([0x82, size]) + payload
    long = (126, 2) if size < 65_536 else (127, 8)
    return bytes([0x82, long[0]]) + size.to_bytes(long[1], "big") + payload


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


PAYLOADS = st.lists(st.one_of(st.binary(max_size=200), st.integers(120, 70_000).map(bytes)), max_size=5)


@given(PAYLOADS, st.lists(st.integers(0, 200_000), max_size=8))
def test_no_part_holds_two_frames_and_nothing_is_lost(payloads: list[bytes], places: list[int]) -> None:
    frames = [HEAD, *map(frame, payloads)]
    splitter, sent = FrameSplitter(), b""
    ends = {sum(map(len, frames[: at + 1])) for at in range(len(frames))}
    for piece in cut(b"".join(frames), places):
        for part in splitter.split(piece):
            assert not {end for end in ends if len(sent) < end < len(sent) + len(part)}
            sent += part
    assert sent == b"".join(frames)


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5))
def test_a_refusal_is_passed_on_whole(body: bytes, places: list[int]) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    splitter = FrameSplitter()
    assert b"".join(part for piece in cut(refusal, places) for part in splitter.split(piece)) == refusal
