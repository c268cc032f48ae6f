"""Where the frames of a WebSocket end, so that each goes to the client in a TLS record of its own.

A client that polls its socket (Python's for Kubernetes does) does not see what came in the record of the frame it has
read: it would hear of the end of a command when it gives up waiting. Source: RFC 6455, 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator

_HEAD_END = b"\r\n\r\n"
_SWITCHING = b"HTTP/1.1 101 "
_LONGEST_FRAME_HEAD = 14


class FrameSplitter:
    """Cuts what a server sends at the ends of its frames. Before them comes its answer to the upgrade; where it
    refuses, there are none.
    """

    def __init__(self) -> None:
        self._start, self._upgraded = b"", False
        self._left = 0  # bytes of the frame under way
        self._refused = False

    def split(self, data: bytes) -> Iterator[bytes]:
        """The same bytes, in parts: none holds bytes of two frames. The head of a frame may wait for its rest."""
        if self._refused:
            yield data
            return
        data, self._start = self._start + data, b""
        at = 0 if self._upgraded else data.find(_HEAD_END) + len(_HEAD_END)
        if not self._upgraded:
            if at < len(_HEAD_END):
                self._start = data
                return
            self._upgraded = data.startswith(_SWITCHING)
            self._refused = not self._upgraded
            yield data if self._refused else data[:at]
        yield from () if self._refused else self._frames(data, at)

    def _frames(self, data: bytes, at: int) -> Iterator[bytes]:
        while at < len(data):
            if not self._left:
                size = _frame_size(data[at : at + _LONGEST_FRAME_HEAD])
                if size is None:
                    self._start = data[at:]
                    return
                self._left = size
            part = data[at : at + self._left]
            at, self._left = at + len(part), self._left - len(part)
            yield part


def _frame_size(data: bytes) -> int | None:
    """Bytes of the whole frame that begins there; None while too little of it is known."""
    if len(data) < 2:
        return None
    masked, short = data[1] >> 7, data[1] & 0x7F
    more = {126: 2, 127: 8}.get(short, 0)
    if len(data) < 2 + more:
        return None
    payload = int.from_bytes(data[2 : 2 + more], "big") if more else short
    return 2 + more + 4 * masked + payload
