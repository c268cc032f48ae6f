"""What is sent here, by whatever protocol: into which group it goes, and that it is kept or refused in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from crds.errors import BadRequest, Unavailable
from services.logs_manager.directory import Directory
from services.logs_manager.names import LONGEST, PUSHED
from services.logs_manager.push import Pushed
from services.logs_manager.store.log_store import LONGEST_LINE, LogStore, NewLine, Written
from services.logs_manager.store.streams import Stream, TooManyStreams
from services.sdk.reconcile import Clock

AHEAD_NS, OWN_LABELS = 7_200 * 1_000_000_000, ("namespace", "log_group", "log_stream")


class Taking:
    """One for the process."""

    def __init__(self, store: LogStore, directory: Directory, clock: Clock) -> None:
        self._store, self._directory, self._clock = store, directory, clock

    async def pushed(self, namespace: str, pushed: Sequence[Pushed], group: str = PUSHED) -> None:
        """Durable when it returns, all or none. Raises BadRequest, Unavailable, ApiError."""
        now = round(self._clock.now().timestamp() * 1e9)
        resource = await self._directory.require(namespace, group)
        written, oldest = [], self.oldest(namespace, group, now)
        with self._store.streams.all_or_none():
            for each in pushed:
                lines = [new_line(*line, oldest, now + AHEAD_NS) for line in each.lines]
                written.append(Written(self._stream(namespace, resource, group, each.labels, now), lines))
        await self.keep(written, now)

    def oldest(self, namespace: str, group: str, now: int) -> int:
        """The moment (ns) before which that group takes no lines."""
        return now - self._directory.retention_of(namespace, group)

    async def keep(self, written: Sequence[Written], now: int) -> None:
        """`now` in ns. Raises Unavailable."""
        try:
            await self._store.append(written, now // 1_000_000)
        except sqlite3.Error as error:
            raise Unavailable(f"the lines cannot be written: {error}", retry_after=5) from error

    def _stream(self, namespace: str, resource: str, group: str, pushed: dict[str, str], now: int) -> Stream:
        """What says whose lines these are is ours to say: a `namespace` of theirs is `exported_namespace`."""
        theirs = {f"exported_{name}" if name in OWN_LABELS else name: value for name, value in pushed.items()}
        labels = {**theirs, "namespace": namespace, "log_group": group}
        try:
            return self._store.streams.make(namespace, resource, stream_name(theirs), labels, now // 1_000_000)
        except TooManyStreams as error:
            raise BadRequest(str(error)) from None


def new_line(at: int, line: str, fields: dict[str, str], oldest: int, newest: int) -> NewLine:
    """Raises BadRequest for what is not taken: never later than now by hours, nor older than lines are kept."""
    if not oldest <= at <= newest:
        which = "older than its group keeps lines" if at < oldest else "more than two hours ahead"
        raise BadRequest(f"a line of {at} ns since 1970 is {which}")
    content = line.encode("utf-8", "replace")
    if len(content) > LONGEST_LINE:
        raise BadRequest(f"a line has {len(content)} bytes; at most {LONGEST_LINE} are taken")
    return NewLine(at, content, orjson.dumps(fields) if fields else b"")


def stream_name(labels: dict[str, str]) -> str:
    """What a stream that is known by labels alone is called in CloudWatch: `app=web,host=a`."""
    text = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return "".join("_" if each in ":*" else each for each in text)[:LONGEST] or "-"
