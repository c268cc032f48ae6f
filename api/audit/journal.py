"""The audit log's files: lines appended whole, chained, rotated by size and day, kept for a floor of days.

`audit.log` is the newest; older ones are `audit.log.<when it ended>.<number of its first line>`. What is younger than
the floor is never deleted. A line that the disk does not take waits in memory and is written when it can be; while
any wait, the log is said to be failing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import orjson
import structlog

from api.audit.chain import Chain, Link, split
from controller.kit.clock import Clock

LIMIT_BYTES = 64 * 2**20
MOST_WAITING_BYTES = 4 * 2**20
_END_BYTES = 2**19
log = structlog.get_logger("audit")


class Journal:
    """Appends to one file. `floor`: how long lines are kept at least, and as far as there is room, at most."""

    def __init__(
        self,
        file: Path,
        clock: Clock,
        chain: Chain,
        *,
        floor: timedelta = timedelta(days=30),
        limit_bytes: int = LIMIT_BYTES,
        most_bytes: int = 10 * 2**30,
    ) -> None:
        self.path, self._clock, self._chain = file, clock, chain
        self._floor, self._limit, self._most = floor, limit_bytes, most_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes, self.lost = 0, 0
        self.failure = self.alarm = ""
        self._head = b""
        self._soon: Callable[[Callable[[], object]], object] | None = None
        self.link = Link()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()
        self.link = self._end_of_chain()
        if not self._size:
            self._first = self.link.seq + 1

    def gather(self, soon: Callable[[Callable[[], object]], object]) -> None:
        """From now on, lines wait for `flush`, which `soon` is told to call: one write for many."""
        self._soon = soon

    def append(self, text: bytes) -> bytes:
        """Seals and writes the line; returns it as it stands in the file. Never raises: see `failure`."""
        sealed, self.link = self._chain.seal(text, self.link)
        if self._waiting_bytes + len(sealed) > MOST_WAITING_BYTES and self.failure:
            # The gap stays visible: its number is in no file.
            self.lost += 1
            return sealed
        self._waiting.append(sealed)
        self._waiting_bytes += len(sealed)
        if self._soon is None or self.failure:
            self.flush()
        elif len(self._waiting) == 1:
            self._soon(self.flush)
        return sealed

    def flush(self) -> None:
        """Write what waits, as far as the disk takes it."""
        if len(self._waiting) > 1 and not self.failure:
            with suppress(OSError):  # what it does not take together it may take singly
                self._write_first(len(self._waiting))
        while self._waiting:
            try:
                self._write_first(1)
            except OSError as error:
                self._fail(error)
                return
        if self.failure:
            log.warning("the audit log can be written again", lost=self.lost)
            self.failure = ""

    def look_after(self) -> None:
        """Rotate by day, delete what is older than the floor, write the head, measure. To be called now and then."""
        self.flush()
        if self._size and self._clock.now().date() != self._began:
            self._turn_over()
        files = self.rotated()
        for old in files:
            if self._clock.now() - _ended(old) > self._floor:
                old.unlink(missing_ok=True)
        self._write_head()
        used = sum(_size(each) for each in (*self.rotated(), self.path))
        self.alarm = f"{used} bytes of audit log, over the {self._most} allowed" if used > self._most else ""

    def rotated(self) -> list[Path]:
        """The older files, oldest first."""
        return rotated_files(self.path)

    def close(self) -> None:
        self.flush()
        self._write_head()
        os.close(self._file)

    def _write_first(self, count: int) -> None:
        """Raises OSError when not all of them could be written; then none was."""
        lines = list(islice(self._waiting, count))
        self._write(b"\n".join([*lines, b""]))
        for line in lines:
            self._waiting.popleft()
            self._waiting_bytes -= len(line)
        if self._size > self._limit:
            self._turn_over()

    def _write(self, data: bytes) -> None:
        """Whole, or not at all. Raises OSError."""
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            if done:
                os.ftruncate(self._file, self._size)
            raise
        self._size += done

    def _fail(self, error: OSError) -> None:
        if not self.failure:
            with suppress(OSError):  # the same disk, perhaps
                log.error("the audit log cannot be written", file=str(self.path), error=str(error))
        self.failure = error.strerror or str(error)

    def _opened(self) -> int:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)
        self._size, self._began = os.fstat(handle).st_size, self._clock.now().date()
        self._first = self._next_number()
        if self._size:
            end = end_of(self.path)
            self._began = datetime.fromtimestamp(self.path.stat().st_mtime, self._clock.now().tzinfo).date()
            self._first = _first_number(self.path) or self._first
            if not end.whole:  # a power cut broke the last line
                self._size += os.write(handle, b"\n")
        return handle

    def _turn_over(self) -> None:
        """A new file. Failing to make one leaves the old one in use."""
        ended = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        old = self.path.with_name(f"{self.path.name}.{ended}.{self._first:012d}")
        try:
            self.path.rename(old)
            handle, self._file = self._file, self._opened()
            os.close(handle)
        except OSError as error:
            self._fail(error)

    def _next_number(self) -> int:
        """Of the line that will be written next."""
        waiting = split(self._waiting[0])[1] if self._waiting else None
        return waiting.seq if waiting is not None else self.link.seq + 1

    def _end_of_chain(self) -> Link:
        for file in (self.path, *reversed(self.rotated())):
            for line in reversed(end_of(file).lines):
                if (link := split(line)[1]) is not None:
                    return link
        return Link()

    def _write_head(self) -> None:
        head = orjson.dumps({"seq": self.link.seq, "chain": self.link.code})
        if head == self._head:
            return
        temporary = head_file(self.path).with_suffix(".new")
        try:
            temporary.write_bytes(head)
            temporary.chmod(0o600)
            temporary.replace(head_file(self.path))
            self._head = head
        except OSError as error:
            self._fail(error)


class End:
    """The last whole lines of a file."""

    def __init__(self, lines: list[bytes], *, whole: bool) -> None:
        self.lines, self.whole = lines, whole


def end_of(file: Path) -> End:
    """The last whole lines; of one that a power cut broke, nothing."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _END_BYTES))
            text = stream.read()
    except FileNotFoundError:
        return End([], whole=True)
    lines = text.split(b"\n")
    if size > _END_BYTES:
        lines = lines[1:]
    whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    return End(whole, whole=not text or text.endswith(b"\n"))


def rotated_files(path: Path) -> list[Path]:
    """The older files of the log at `path`, oldest first; those of versions that only numbered them come before."""
    found = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdigit()]
    numbered = sorted((each for each in found if not _is_rotated(each)), key=lambda each: -int(each.suffix[1:]))
    named = sorted((each for each in found if _is_rotated(each)), key=lambda each: int(each.suffix[1:]))
    return [*numbered, *named]


def head_file(file: Path) -> Path:
    """The file that keeps the head of that log."""
    return file.with_name(f"{file.name}.head")


def read_head(file: Path) -> Link:
    """How far that log had come; nothing when nobody wrote it down."""
    try:
        kept = orjson.loads(head_file(file).read_bytes())
        return Link(int(kept["seq"]), str(kept["chain"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Link()


def lines_of(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Every whole line of those files, with the file's name."""
    for file in files:
        with file.open("rb") as stream:
            for raw in stream:
                if raw.endswith(b"}\n") and raw.startswith(b"{"):
                    yield file.name, raw[:-1]


def _first_number(file: Path) -> int:
    with file.open("rb") as stream:
        link = split(stream.readline(LIMIT_BYTES).rstrip(b"\n"))[1]
    return link.seq if link else 0


def _is_rotated(file: Path) -> bool:
    parts = file.name.rsplit(".", 2)
    return len(parts) == 3 and len(parts[2]) == 12 and parts[2].isdigit() and parts[1].endswith("Z")


def _ended(file: Path) -> datetime:
    """When its last line was written: said by its name, else by the file system."""
    if _is_rotated(file):
        return datetime.strptime(file.name.rsplit(".", 2)[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
