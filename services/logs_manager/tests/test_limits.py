"""What one outsider asks or sends takes as much as it may, in time and in memory, and never a 500."""

from __future__ import annotations

import itertools
import math
import tempfile
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crds.errors import BadRequest
from services.logs_manager import push
from services.logs_manager.logql import evaluate
from services.logs_manager.logql.nodes import LogQuery
from services.logs_manager.logql.parser import parse
from services.logs_manager.logql.stages import Row, steps_of
from services.logs_manager.logql.vectors import Windows
from services.logs_manager.pages import TOKENS, placed
from services.logs_manager.push import MOST_RAW, message, of_json, of_protobuf
from services.logs_manager.store import reader
from services.logs_manager.store.log_store import LONGEST_LINE, NewLine, Written
from services.logs_manager.store.reader import OVERHEAD, Span
from services.logs_manager.tests.in_memory import LOKI, NS, logs
from services.logs_manager.tests.test_store import opened
from services.sdk.aws.errors import AwsError
from services.sdk.testing.virtual import virtual_time


def test_stages_make_no_line_longer_than_any_may_be() -> None:
    query = parse(
        '{a="b"}' + ' | line_format "{{__line__}}{{__line__}}"' * 14 + ' | label_format x="{{__line__}}"' * 3
    )
    assert isinstance(query, LogQuery)
    row = Row(0, "x" * 100, {})
    for step in steps_of(query.stages):
        assert step(row)
    assert len(row.line) == LONGEST_LINE and len(row.labels["x"]) < LONGEST_LINE


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40), st.data())
def test_windows_are_what_their_parts_are(few: list[int], data: st.DataObject) -> None:
    values = array("d", few * 100)
    first = data.draw(st.integers(0, len(values) - 1))
    end = data.draw(st.integers(first + 1, len(values)))
    for reduce in (math.fsum, min, max):
        assert Windows(values, reduce).of(first, end) == reduce(values[first:end])


def test_a_wide_window_is_not_looked_at_value_by_value() -> None:
    looked = 0

    def counting(values: Iterable[float]) -> float:
        nonlocal looked
        found = list(values)
        looked += len(found)
        return math.fsum(found)

    windows = Windows(array("d", [1.0] * 200_000), counting)
    for first in range(100):
        assert windows.of(first, 199_000) == 199_000 - first
    assert looked < 200_000 + 100 * 2_500


class Ticking:
    """A clock that goes on by half a second whenever it is looked at."""

    def __init__(self) -> None:
        self._now = itertools.count()

    def monotonic(self) -> float:
        return next(self._now) / 2


@virtual_time
async def test_all_parts_of_a_query_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logs() as m:
        assert await m.push({"app": "a"}, "1", "2", "3") == 204
        one = 'sum(count_over_time({app="a"}[5m]))'
        monkeypatch.setattr(reader, "time", Ticking())
        assert (await m.ask("query", query=f"{one}+{one}"))["result"]
        found = await m.ask("query", query="+".join([one] * 30))
        assert isinstance(found, str) and "20 s" in found
        found = await m.ask(
            "query_range",
            query='max_over_time({app="a"} | regexp `(?P<n>.)` | unwrap n [1m])',
            start=m.now // NS - 300,
            end=m.now // NS,
            step=1,
        )
        assert isinstance(found, str) and "20 s" in found


@virtual_time
async def test_values_and_samples_are_counted_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logs() as m:
        assert await m.push({"app": "a"}, "1", "2", "3") == 204
        one = 'count_over_time({app="a"}[5m])'
        monkeypatch.setattr(evaluate, "MOST_SAMPLES", 5)
        assert (await m.ask("query", query=one))["result"]
        assert "reads more than 5" in await m.ask("query", query=f"{one} + {one}")
        monkeypatch.setattr(evaluate, "MOST_VALUES", 400)
        span: dict[str, Any] = {"start": m.now // NS - 300, "end": m.now // NS, "step": 1}
        assert (await m.ask("query_range", query=one, **span))["result"]
        assert "more than 400 values" in await m.ask("query_range", query=f"{one} * 2", **span)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60), st.booleans()), max_size=40),
    st.integers(1, 12),
    st.integers(1, 300),
    st.booleans(),
)
def test_what_is_found_is_the_beginning_of_what_a_list_has(
    lines: list[tuple[int, int, bool]], limit: int, most: int, newest: bool
) -> None:
    @virtual_time
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            file, store = opened(Path(folder))
            stream = store.streams.make("a", "g", "s", {"s": "1"}, 0)
            new = [NewLine(at, (b"w" if wanted else b"-") * size) for at, size, wanted in lines]
            for i in range(0, len(new), 5):
                await store.append([Written(stream, new[i : i + 5])], 0)
            asking = store.reader()
            found = asking.first(
                {stream.id}, Span(0, 10), limit, lambda _, e: b"-" not in e.line, newest=newest, cut_at=most
            )
            rows = sorted(
                ((each.time, i, each.line) for i, each in enumerate(new) if b"-" not in each.line), reverse=newest
            )
            sizes = list(itertools.accumulate(len(row[2]) + OVERHEAD for row in rows))
            count = max(sum(size <= most for size in sizes), 1)
            assert [(e.entry.time, e.entry.line) for e in found] == [(r[0], r[2]) for r in rows[: min(count, limit)]]
            assert found.is_cut == (len(rows) > len(found) and len(found) < limit)
            asking.close()
            file.close()

    check()


@virtual_time
async def test_an_answer_that_is_too_large_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logs() as m:
        assert await m.push({"app": "a"}, *(str(n) * 100 for n in range(10))) == 204
        monkeypatch.setattr(reader, "MOST_FOUND", 600)
        assert "MiB" in await m.ask("query_range", query='{app="a"}')
        assert len(await m.lines('{app="a"}', limit=3)) == 3
        monkeypatch.setattr(evaluate, "MOST_FOUND", 600)
        assert "MiB" in await m.ask("query_range", query='{app="a"} | label_format b="{{__line__}}"', limit=3)


@virtual_time
async def test_names_are_listed_and_lines_are_read() -> None:
    """Who may list groups alone sees which there are, not what is in them."""
    async with logs() as m:
        assert await m.push({"app": "a"}, "secret") == 204
        m.service.conductor.judge = lambda user, wanted: wanted["verb"] == "list"
        assert "app" in await m.ask("labels")
        for path in ("query", "query_range", "series"):
            async with m.service.client() as client:
                assert (await client.get(f"{LOKI}/{path}", params={"query": '{app="a"}'})).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        '{app="a"} | json x="a[' + "9" * 5_000 + ']"',
        '{app="\\ud800"}',
        "+".join(['rate({app="a"}[5m])'] * 300),
        '{app="a"} | ' + " or ".join(["b=1"] * 1_000),
        'rate({app="a"}[5m] offset ' + "9" * 60 + "y)",
        'rate({app="a"}[' + "9" * 60 + "y])",
        'topk(1e999, rate({app="a"}[5m]))',
        "1e999",
    ],
)
@virtual_time
async def test_a_query_that_cannot_be_is_refused(query: str) -> None:
    async with logs() as m:
        assert await m.push({"app": "a"}, '{"a": [1]}') == 204
        async with m.service.client() as client:
            for path in ("query", "query_range"):
                assert (await client.get(f"{LOKI}/{path}", params={"query": query})).status_code == 400


@pytest.mark.parametrize("after", [[1 << 63, 1], [1, 1 << 63], [-1, 1], ["a", 1], [1], 5])
def test_tokens_are_places_of_lines(after: Any) -> None:
    with pytest.raises(AwsError, match="invalid"):
        placed(["filter"], TOKENS.seal(["filter"], after))


@virtual_time
async def test_lines_that_are_nested_deeply_stop_no_query() -> None:
    async with logs() as m:
        assert await m.push({"app": "a"}, '{"a": ' + "[" * 400 + "]" * 400 + "}") == 204
        assert len(await m.lines('{app="a"} | json x="a"')) == 1


@virtual_time
async def test_labels_that_are_no_text_are_refused() -> None:
    async with logs() as m:
        stream = message("Stream")(labels='{app="\\ud800"}', entries=[message("Entry")(line="x").SerializeToString()])
        request = message("PushRequest")(streams=[stream.SerializeToString()])
        packed = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        sent = {"content-type": "application/x-protobuf"}
        async with m.service.client() as client:
            assert (await client.post(f"{LOKI}/push", content=packed, headers=sent)).status_code == 400


def field(number: int, content: bytes) -> bytes:
    """As on the wire, of less than 2 MiB."""
    size = len(content)
    return bytes([number << 3 | 2, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + content


MANY = 600_000
LABELS = field(1, b'{app="a"}')


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (of_protobuf, field(1, b"") * (MANY // 2)),
        (of_protobuf, field(1, LABELS + b"\x12\x00" * MANY)),
        (of_protobuf, field(1, LABELS + field(2, b"\x1a\x00" * MANY))),
        (of_json, b'{"streams": [{"stream": {"a": "b"}, "values": [' + b"[]," * MANY + b"[]]}]}"),
        (of_json, b'{"streams": [' + b'{"stream":{},"values":[]},' * 2_000 + b'{"stream":{},"values":[]}]}'),
    ],
)
def test_a_push_of_many_small_things_is_refused_before_they_are_made(
    read: Callable[[bytes], object], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counting(name: str) -> Any:
        made.append(name)
        return message(name)

    monkeypatch.setattr(push, "message", counting)
    monkeypatch.setattr(push, "_value", lambda where, value: made.append(where))
    with pytest.raises(BadRequest, match=r"too much|at most 64"):
        read(bytes(cramjam.snappy.compress_raw(body)) if read is of_protobuf else body)
    assert len(made) <= 3
    with pytest.raises(BadRequest, match="more than"):
        of_protobuf(bytes(cramjam.snappy.compress_raw(bytes(MOST_RAW + 1))))
