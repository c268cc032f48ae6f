"""Log lines: what taking them in costs, how small they become, how long a search takes.

`python bench/log_lines.py [lines]`. The store of logs_manager over its own file, without a cloud around it: JSON with
random ids, access logs and PostgreSQL's lines of 12 services with 4 instances each, over four hours, a thousand at a
time. Seconds are those of this process's CPU, all threads together.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from verdicts import Verdict, limit, table

from services.logs_manager.logql.evaluate import Steps, lines_of, metric_of
from services.logs_manager.logql.nodes import LogQuery
from services.logs_manager.logql.parser import parse
from services.logs_manager.store.log_store import LogStore, NewLine, Written
from services.logs_manager.store.reader import LogReader, Span
from services.logs_manager.store.streams import Stream
from services.logs_manager.store.tables import open_logs
from services.sdk.group_commit import GroupCommitter

NS = 1_000_000_000
BEGIN, HOURS, AT_ONCE = 1_796_000_000 * NS, 4, 1_000
HOUR = Span(BEGIN + 3600 * NS, BEGIN + 2 * 3600 * NS)
ALL = Span(BEGIN, BEGIN + HOURS * 3600 * NS)
LEVELS = (*("info",) * 8, "warn", "error")


class Everything:
    """As `evaluate.Source`."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams

    def streams(self) -> Sequence[Stream]:
        return self._streams

    def kept_since(self, stream: Stream) -> int:
        return 0


def line(rng: random.Random, number: int) -> bytes:
    at = f"2026-11-30T0{number % HOURS}:00:{number % 60:02d}.{number % 1000:03d}Z"
    if number % 3 == 0:
        said = {"timestamp": at, "level": rng.choice(LEVELS), "event": "answered", "status": 200}
        return json.dumps(
            {**said, "seconds": round(rng.random(), 4), "trace": f"{rng.getrandbits(128):032x}"}
        ).encode()
    if number % 3 == 1:
        request = f"GET /orders/{rng.randrange(100_000)} HTTP/1.1"
        return f'10.0.{number % 250}.{rng.randrange(250)} - - [{at}] "{request}" 200 {rng.randrange(20_000)}'.encode()
    took = rng.random() * 100
    return f"{at} [{rng.randrange(30_000)}] LOG:  duration: {took:.3f} ms  statement: select * from orders".encode()


def batches(streams: Sequence[Stream], count: int) -> list[list[Written]]:
    rng, step, found = random.Random(1), (ALL.end - ALL.start) // count, []
    for begin in range(0, count, AT_ONCE):
        lines: dict[int, list[NewLine]] = {}
        for number in range(begin, begin + AT_ONCE):
            new = NewLine(BEGIN + number * step, line(rng, number))
            lines.setdefault(rng.randrange(len(streams)), []).append(new)
        found.append([Written(streams[each], new) for each, new in lines.items()])
    return found


async def taken(folder: Path, count: int) -> tuple[float, float, list[Stream]]:
    """Lines a second of CPU, bytes of a line on the disk, and whose they are."""
    file = open_logs(folder)
    store = LogStore(file, GroupCommitter(file, ThreadPoolExecutor(1)), folder)
    streams = [
        store.streams.make("default", f"g{service}", f"i{i}", {"service": f"svc{service}", "instance": f"i{i}"}, 0)
        for service in range(12)
        for i in range(4)
    ]
    ready, before = batches(streams, count), time.process_time()
    for number, each in enumerate(ready):
        await store.append(each, 0)
        if number % 20 == 19:
            await store.merge()
    await store.merge()
    spent = time.process_time() - before
    stored = sum(each.stored for each in (await store.sizes()).values())
    file.close()
    return count / spent, stored / count, streams


def searched(folder: Path, streams: Sequence[Stream]) -> dict[str, float]:
    """Milliseconds of CPU."""
    reader, source = LogReader(folder / "logs.db"), Everything(streams)

    def lines(text: str, span: Span) -> Callable[[], object]:
        query = parse(text)
        assert isinstance(query, LogQuery)
        return lambda: lines_of(reader, source, query, span, 100, newest=True)

    counted = parse('sum by (service) (count_over_time({service=~".+"}[1m]))')
    assert not isinstance(counted, LogQuery)
    steps = Steps(HOUR.start, HOUR.end, 60 * NS)
    asked: dict[str, Callable[[], object]] = {
        "a service and a text, one hour": lines('{service="svc3"} |= "/orders/77"', HOUR),
        "an id anywhere, four hours": lines('{service=~".+"} |= "deadbeefdeadbeef"', ALL),
        "the last 100 of a service": lines('{service="svc3"}', ALL),
        "a count by minute and service, one hour": lambda: metric_of(reader, source, counted, steps),
    }
    found = {}
    for name, ask in asked.items():
        before = time.process_time()
        ask()
        found[name] = (time.process_time() - before) * 1000
    reader.close()
    return found


def measure(count: int = 1_000_000) -> list[Verdict]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speed, size, streams = asyncio.run(taken(folder, count))
        took = searched(folder, streams)
    targets = {"a service and a text, one hour": 100.0}
    return [
        Verdict(
            f"log lines, {count:,}, taken in a second of CPU", speed, 100_000, True, f"{speed:,.0f}/s", unit="/s"
        ),
        limit("the same, on the disk", size, 60, " bytes a line"),
        *(
            Verdict(f"the same, {what}", ms, targets.get(what), False, f"{ms:.1f} ms", unit=" ms")
            for what, ms in took.items()
        ),
    ]


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
