"""The transport of a connection that has ended.

Protocol and transport know each other. Left so, each connection with all its buffers would wait for the collector,
which comes seldom (controller/kit/gc_tuning.py); a crowd that came and went would stay in memory for minutes.
"""

from __future__ import annotations


class EndedTransport:
    """Takes everything and does nothing."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return True


ENDED = EndedTransport()
