"""Lines of logs: one JSON object each, also where many are written as one."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from services.sdk.logs import MOST_WAITING, AccessLog, JsonLines
from services.sdk.testing import virtual_time


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the access log writes, as its reader gets it."""
    stream, log = io.StringIO(), logging.getLogger("access")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(service="key-manager"))
    before, log.propagate = log.level, False
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(before)
    log.propagate = True


@virtual_time
async def test_requests_of_a_moment_are_written_together_and_each_has_its_line(written: io.StringIO) -> None:
    log = AccessLog()
    for number in range(3):
        log.note({"path": f"/{number}\n"})
    assert written.getvalue() == ""
    await asyncio.sleep(0.2)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["path"] for line in lines] == ["/0\n", "/1\n", "/2\n"]
    assert {(line["event"], line["level"], line["service"]) for line in lines} == {
        ("answered", "info", "key-manager")
    }
    assert all(line["timestamp"].endswith("Z") for line in lines)


@virtual_time
async def test_a_crowd_does_not_wait_for_the_clock(written: io.StringIO) -> None:
    log = AccessLog()
    for _ in range(MOST_WAITING):
        log.note({})
    assert len(written.getvalue().splitlines()) == MOST_WAITING
    log.flush()
    assert len(written.getvalue().splitlines()) == MOST_WAITING


@virtual_time
async def test_who_wants_no_lines_pays_for_none(written: io.StringIO) -> None:
    logging.getLogger("access").setLevel(logging.WARNING)
    log = AccessLog()
    log.note({"path": "/"})
    log.flush()
    assert written.getvalue() == ""
