"""A message as it is kept: the bytes that are sent, to whom, and how its delivery stands. Plain data."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """How a message stands. The numbers are on disk."""

    WAITING = 0
    DELIVERED = 1
    FAILED = 2


class Draft(NamedTuple):
    """A message to be sent. `to`: the uid of the endpoint or source it is for; `id`: stays the same on every attempt.
    `headers`: what is sent beside the body, but for signatures. `asked`: a digest of what was asked for, by which the
    same is known when it is asked for again; empty where that is what is sent.
    """

    to: str
    id: str
    type: str
    headers: dict[str, str]
    content: bytes
    asked: str = ""


class Message(NamedTuple):
    """A message that waits for an attempt, which is the next after `attempts`."""

    number: int
    to: str
    id: str
    type: str
    headers: dict[str, str]
    content: bytes
    made: float
    attempts: int


class Amount(NamedTuple):
    """So many messages, of so many bytes together."""

    number: int
    size: int


class Due(NamedTuple):
    """A message that is to be sent, without what is in it."""

    number: int
    id: str


class Listed(NamedTuple):
    """A message without what is in it. `due`: of its next attempt; `ended`: None while it waits; `fault`: of its last
    attempt.
    """

    number: int
    id: str
    type: str
    size: int
    made: float
    state: State
    due: float
    attempts: int
    ended: float | None
    fault: str


class Attempt(NamedTuple):
    """One attempt that was made. `status`: of the answer, 0 where there was none; `seconds`: how long it took;
    `fault`: empty where it was taken.
    """

    id: str
    at: float
    status: int
    seconds: float
    fault: str


class Health(NamedTuple):
    """How an endpoint stands, over restarts. `failing_since`: the first failure after the last success;
    `failed_at`: the last one. `disabled_at`, `because`: since when and why nothing is sent to it. `generation`: of
    its spec when it was disabled.
    """

    failing_since: float | None = None
    failed_at: float | None = None
    disabled_at: float | None = None
    because: str = ""
    generation: int = 0


HEALTHY = Health()
