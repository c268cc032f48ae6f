"""LogQL: what is done of it says what Loki says; the rest is refused by its name; no text stops the parser."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crds.errors import BadRequest
from services.logs_manager.levels import level_of
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.lexer import seconds_of
from services.logs_manager.logql.matching import require_selective
from services.logs_manager.logql.nodes import LogQuery, Matcher
from services.logs_manager.logql.parser import parse, parse_selector
from services.logs_manager.logql.stages import Row, logfmt_pairs, steps_of
from services.logs_manager.push import message, of_json, of_protobuf
from services.logs_manager.tests.in_memory import LOKI, NS, Logs, logs
from services.sdk.testing.virtual import virtual_time

JSON = '{"status": 503, "took": "1.5s", "size": "2KB", "user": {"name": "ann"}, "level": "error", "tags": [1, 2]}'
LOGFMT = 'level=warn msg="two words" status=404 took=20ms'


def result(query: str, line: str, **labels: str) -> tuple[str, dict[str, str]] | None:
    """The line and its labels after the stages, None where it is left out."""
    found = parse(query)
    assert isinstance(found, LogQuery)
    row = Row(0, line, dict(labels))
    return (row.line, row.labels) if all(step(row) for step in steps_of(found.stages)) else None


@pytest.mark.parametrize(
    ("stages", "line", "fits"),
    [
        ('|= "503"', JSON, True),
        ('|= "nothing" or "503"', JSON, True),
        ('!= "503"', JSON, False),
        ("|~ `5\\d\\d`", JSON, True),
        ('!~ "4.." or "5.."', JSON, False),
        ("| json | status >= 500", JSON, True),
        ('| json | status >= 500 and user_name != "ann"', JSON, False),
        ('| json | status < 500 or user_name =~ "a.*"', JSON, True),
        ("| json | took > 1s | size >= 2KB", JSON, True),
        ('| json name="user.name", first="tags[0]" | name="ann", first="1"', JSON, True),
        ('| json | __error__="JSONParserErr"', "no JSON", True),
        ('| logfmt | msg="two words" | status=404 | took < 1m', LOGFMT, True),
        ('| detected_level="warn"', LOGFMT, True),
        ('| regexp `status=(?P<code>\\d+)` | code="404"', LOGFMT, True),
        ('| pattern `level=<lvl> msg="<msg>" <_>` | lvl="warn" and msg="two words"', LOGFMT, True),
        ('| logfmt | drop level | level=""', LOGFMT, True),
        ('| logfmt | keep level | status="" | level="warn"', LOGFMT, True),
        ('| logfmt | label_format code=status | code="404" | status=""', LOGFMT, True),
        ('| logfmt | label_format both="{{.level}}-{{.status}}" | both="warn-404"', LOGFMT, True),
    ],
)
def test_stages(stages: str, line: str, fits: bool) -> None:
    assert (result(f'{{a="b"}} {stages}', line, a="b") is not None) is fits


def test_lines_are_written_anew() -> None:
    found = result('{a="b"} | logfmt | line_format "{{.msg}} ({{.status}})"', LOGFMT, a="b", status="mine")
    assert found is not None and found[0] == "two words (mine)"
    assert found[1]["status_extracted"] == "404"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("{", "label"),
        ("{}", "has to name something"),
        ('{a="b"} | unpack', "unpack"),
        ('{a="b"} |> "<_>"', "pattern filters"),
        ('{a="b"} | addr = ip("10.0.0.0/8")', "ip()"),
        ('{a="b"} | line_format "{{ ToUpper .x }}"', "ToUpper"),
        ('absent_over_time({a="b"}[5m])', "absent_over_time"),
        ('sum by (a) (rate({a="b"}[5m])) / on (a) rate({a="b"}[5m])', "on"),
        ('rate({a="b"}[5m]) or rate({a="c"}[5m])', "or"),
        ('rate({a="b"})', "range"),
        ('sum_over_time({a="b"}[5m])', "unwrap"),
        ('count_over_time({a="b"} | unwrap x [5m])', "unwrap"),
        ('{a=~"("}', "RE2"),
        ('topk(0, rate({a="b"}[5m]))', "topk"),
        ("(" * 100 + "1" + ")" * 100, "brackets"),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(query: str, word: str) -> None:
    with pytest.raises(QueryFault) as refused:
        found = parse(query)
        assert isinstance(found, LogQuery)
        steps_of(found.stages)
        require_selective(found.matchers)
    assert word in str(refused.value)


WORDS = [
    "{",
    "}",
    "(",
    ")",
    "[5m]",
    "|",
    "|=",
    "!=",
    '"x"',
    "a",
    "=",
    ",",
    "json",
    "sum",
    "by",
    "rate",
    "5",
    "offset",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    with suppress(QueryFault):
        parse(text)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=20), min_size=1, max_size=4))
def test_a_selector_says_what_it_was_made_of(labels: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels.items()) + "}"
    assert parse_selector(text) == tuple(Matcher(name, "=", value) for name, value in labels.items())


@given(st.text(max_size=80))
def test_any_line_has_a_level_and_fields(line: str) -> None:
    assert level_of(line) in ("critical", "error", "warn", "info", "debug", "trace", "unknown")
    assert all(key for key, _ in logfmt_pairs(line))
    result('{a="b"} | json | logfmt | pattern "<x> <y>"', line, a="b")


def test_levels_and_durations() -> None:
    said = {'{"level":"ERROR"}': "error", "lvl=warn x": "warn", "2026 INFO started": "info", "nothing": "unknown"}
    assert {line: level_of(line) for line in said} == said
    assert (seconds_of("1h30m"), seconds_of("250ms"), seconds_of("x")) == (5400, 0.25, None)


async def values(m: Logs, query: str, **parameters: Any) -> dict[str, list[float]]:
    found = await m.ask("query_range", query=query, **parameters)
    assert isinstance(found, dict), found
    return {
        ",".join(f"{k}={v}" for k, v in series["metric"].items()): [float(v) for _, v in series["values"]]
        for series in found["result"]
    }


@virtual_time
async def test_counting_over_time() -> None:
    async with logs() as m:
        start = m.now - 600 * NS
        for minute in range(10):
            for n in range(minute):
                level = "error" if n % 2 else "info"
                text = f'{{"level": "{level}", "ms": {n}}}'
                assert await m.push({"app": "a"}, text, at=start + minute * 60 * NS + n) == 204
        span = {"start": start + 59 * NS, "end": start + 599 * NS, "step": 60}
        counted = await values(m, 'sum by (app) (count_over_time({app="a"}[1m]))', **span)
        assert counted == {"app=a": [1, 2, 3, 4, 5, 6, 7, 8, 9]}
        levels = await values(m, 'sum by (detected_level) (count_over_time({app="a"}[10m]))', start=m.now, end=m.now)
        assert levels == {"detected_level=info": [25], "detected_level=error": [20]}
        most = await values(m, 'max_over_time({app="a"} | json | unwrap ms [1m]) by (app)', **span)
        assert most == {"app=a": [0, 1, 2, 3, 4, 5, 6, 7, 8]}
        half = await values(m, 'sum(count_over_time({app="a"} |= "error" [10m])) / 2', start=m.now, end=m.now)
        assert half == {"": [10]}
        (health,) = (await m.ask("query", query="vector(1)+vector(1)"))["result"]  # as Grafana asks
        assert (health["metric"], health["value"][1]) == ({}, "2")


@virtual_time
async def test_pushes_are_taken_whole_or_refused_in_words() -> None:
    async with logs() as m:
        pair = message("Pair")(name="trace_id", value="abc").SerializeToString()
        entry = message("Entry")(line="packed", structuredMetadata=[pair])
        entry.timestamp.seconds = m.now // NS
        stream = message("Stream")(labels='{app="p", host="a"}', entries=[entry.SerializeToString()])
        request = message("PushRequest")(streams=[stream.SerializeToString()])
        packed_push = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        async with m.service.client() as client:
            sent = {"content-type": "application/x-protobuf"}
            assert (await client.post(f"{LOKI}/push", content=packed_push, headers=sent)).status_code == 204
            await m.advance(1)
            assert await m.lines('{app="p"} | trace_id="abc"') == ["packed"]
            old = {"streams": [{"stream": {"a": "b"}, "values": [["5", "too old"]]}]}
            refused = await client.post(f"{LOKI}/push", json=old)
            assert (refused.status_code, "older" in refused.text) == (400, True)
            for body in (
                b"",
                b"{}",
                b'{"streams": [{"values": []}]}',
                b'{"streams": [{"stream": {}, "values": [1]}]}',
            ):
                answer = await client.post(f"{LOKI}/push", content=body, headers={"content-type": "application/json"})
                assert answer.status_code == 400, body
            assert (await client.get(f"{LOKI}/query_range", params={"query": '{a="b"}', "x": 1})).status_code == 400
            assert (await client.get(f"{LOKI}/query_range", params={"query": "{}"})).status_code == 400


@given(st.binary(max_size=60))
def test_any_body_is_a_push_or_refused(body: bytes) -> None:
    for read in (of_json, of_protobuf, lambda raw: of_protobuf(bytes(cramjam.snappy.compress_raw(raw)))):
        with suppress(BadRequest):
            read(body)
