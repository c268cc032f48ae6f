"""Queries of Insights over lines in memory: what they answer, and what they may take."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from crds.errors import Forbidden
from services.logs_manager import insights_rows
from services.logs_manager.insights import Record, Row
from services.logs_manager.insights_parser import parse_query
from services.logs_manager.insights_rows import rows_of
from services.logs_manager.kinds import LOG_GROUP, LogGroup, LogGroupSpec
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.operations.insights import InsightsOperations
from services.logs_manager.operations.log_access import Parts
from services.logs_manager.operations.started_queries import Asked, Started, StartedQueries
from services.logs_manager.store.reader import TookTooLong
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.identity import Caller
from services.sdk.testing.virtual import virtual_time

NS = 1_000_000_000


def lines(*messages: str) -> Iterator[Record]:
    for number, each in enumerate(messages):
        yield Record(number * NS, each, "stream", "group", 0)


def found(query: str, *messages: str) -> list[Row]:
    asked = parse_query(query, 1_000)
    return rows_of(asked, (each for each in lines(*messages) if asked.fits(each)), lambda: None)


def long_lines(count: int, length: int) -> Iterator[Record]:
    for number in range(count):
        yield Record(number, f"{number:08}" + "x" * length, "stream", "group", 0)


def test_what_is_sorted_is_the_beginning_of_all_in_order() -> None:
    messages = [f'{{"a": {n * 37 % 101}, "b": "{n % 7}"}}' for n in range(1_000)]
    every = found("fields a, b | sort b desc, a | limit 1000", *messages)
    assert every == sorted(every, key=lambda row: (-int(row["b"]), int(row["a"])))
    assert found("fields a, b | sort b desc, a | limit 3", *messages) == every[:3]


def test_rows_that_are_not_shown_are_not_held() -> None:
    query = parse_query("fields @message | sort @message desc | limit 1", 1_000)
    tracemalloc.start()
    try:
        rows = rows_of(query, long_lines(2_000, 20_000), lambda: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows[0]["@message"].startswith("00001999") and peak < 4 << 20


@pytest.mark.parametrize(
    "query",
    [
        "fields @message | sort x",
        "fields @message as a, @message as b, @message as c, @message as d",
        "stats count(*) by @message",
    ],
)
def test_what_is_too_much_to_hold_is_refused_in_words(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_rows, "MOST_ANSWER", 1 << 20)
    monkeypatch.setattr(insights_rows, "MOST_KEYS", 1 << 20)
    taken = 0

    def counted() -> Iterator[Record]:
        nonlocal taken
        for each in long_lines(900, 10_000):
            taken += 1
            yield each

    with pytest.raises(QueryFault, match="MiB"):
        rows_of(parse_query(query, 1_000), counted(), lambda: None)
    assert taken < 400


def test_a_query_ends_where_its_time_does() -> None:
    def ended() -> None:
        raise TookTooLong("20 s")

    for query in ("fields @message | sort x", "stats count(*)", "fields @message"):
        with pytest.raises(TookTooLong):
            rows_of(parse_query(query, 1_000), lines("a", "b"), ended)


@pytest.mark.parametrize("command", ["fields", "display", "sort", "stats count(*) by"])
def test_columns_are_few(command: str) -> None:
    parse_query(command + " " + ", ".join(f"a{n}" for n in range(50)), 1_000)
    with pytest.raises(QueryFault, match="at most 50"):
        parse_query(command + " " + ", ".join(f"a{n}" for n in range(51)), 1_000)


def test_different_values_are_counted_as_many_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("stats count_distinct(@message)", *map(str, range(30_000)), "7") == [
        {"count_distinct(@message)": "30000"}
    ]
    assert found(
        "stats count_distinct(a) as n, count_distinct(b) as m by b", '{"a": 1, "b": 2}', '{"a": 1, "b": 3}'
    ) == [
        {"b": "2", "n": "1", "m": "1"},
        {"b": "3", "n": "1", "m": "1"},
    ]
    monkeypatch.setattr(insights_rows, "MOST_DISTINCT", 100)
    with pytest.raises(QueryFault, match="count_distinct"):
        found("stats count_distinct(@message) by bin(60s)", *map(str, range(101)))


def test_display_chooses_columns_of_stats() -> None:
    messages = ('{"x": "a", "i": 1}', '{"x": "a", "i": 5}', '{"x": "b", "i": 3}')
    stats = "stats count(*) as n, max(i) as m by x"
    assert found(f"{stats} | sort m desc | display n", *messages) == [{"n": "2"}, {"n": "1"}]
    assert found("stats max(i) by bin(1m) as t | display `max(i)`", *messages) == [{"max(i)": "5"}]
    for refused in ("display i", "display n as k", "sort i"):
        with pytest.raises(QueryFault):
            found(f"{stats} | {refused}", *messages)


@pytest.mark.parametrize(
    "query",
    [
        "limit 10 | filter x = 1",
        "limit 10 | sort x",
        "limit 10 | stats count(*)",
        "limit 10 | limit 20",
        "sort x | stats count(*) by x",
        "sort x | sort y",
        "display x | stats count(*) by x",
        "stats count(*) by x | filter x = 1",
        "stats count(*) by x | limit 3 | sort x",
    ],
)
def test_what_would_be_done_in_another_order_is_refused(query: str) -> None:
    with pytest.raises(QueryFault, match="after"):
        parse_query(query, 1_000)


def test_names_that_are_given_are_known_or_refused() -> None:
    line = '{"a": 7}'
    assert found("fields a as b | stats count(*) as n by b", line) == [{"b": "7", "n": "1"}]
    assert found("fields a as b | display b", line) == [{"b": "7"}]
    for refused in ("filter b = 7", "filter ispresent(b)", "stats max(b)"):
        with pytest.raises(QueryFault, match="as gave"):
            found(f"fields a as b | {refused}", line)


def started(id: str, account: str, at: int = 0) -> Started:
    return Started(id, account, "fields x", (Asked("group", "group"),), at)


def test_nobody_s_many_queries_take_the_place_of_others() -> None:
    queries = StartedQueries(lambda: 0)
    for number in range(4):
        queries.add(started(f"a{number}", "a"))
    with pytest.raises(AwsError, match="running already"):
        queries.add(started("a4", "a"))
    queries.add(started("b", "b"))
    queries.found(queries.get("b", "b"), [], 10)
    for number in range(300):
        one = started(f"many{number}", "c")
        queries.add(one)
        queries.found(one, [], 1)
    assert queries.get("b", "b").status == "Complete" and len(queries.newest_first("c")) == 199
    for number in range(9):
        one = started(f"large{number}", "c")
        queries.add(one)
        queries.found(one, [], 16 << 20)
    assert [each.id for each in queries.newest_first("c")] == ["large8", "large7", "large6"]
    assert queries.get("b", "b").size == 10
    with pytest.raises(AwsError, match="does not exist"):
        queries.get("b", "a")


def test_results_are_kept_for_an_hour() -> None:
    now = 0
    queries = StartedQueries(lambda: now)
    queries.add(started("one", "a"))
    queries.add(started("running", "a"))
    queries.found(queries.get("one", "a"), [], 1)
    now = 3_601 * NS
    assert [each.id for each in queries.newest_first("a")] == ["running"]


class Access:
    """Notes what policies and roles are asked about; refuses one ARN."""

    def __init__(self) -> None:
        self.denied = ""

    async def require(self, call: RequestContext, name: str = "") -> None:
        if call.resource == self.denied:
            raise Forbidden(f"{name} is denied")


class Groups:
    async def find(self, call: RequestContext, name: str) -> LogGroup:
        return LOG_GROUP.new(name, namespace="team", spec=LogGroupSpec())


class Nothing:
    """Queries that find nothing, at ten seconds."""

    def now(self) -> int:
        return 10 * NS

    async def run(self, ask: object) -> tuple[list[Row], int]:
        return [], 0


@virtual_time
async def test_policies_are_asked_of_each_group_that_is_named() -> None:
    access, store = Access(), SimpleNamespace(streams=SimpleNamespace(of_group=lambda *_: []))
    operations = InsightsOperations(Parts(Groups(), store, Nothing(), None, access))  # type: ignore[arg-type]
    call = RequestContext(Caller("bob"), "eu-central-1", "1234", "r", None, [], resource="*")  # type: ignore[arg-type]
    ask = {"logGroupNames": ["dev", "prod"], "startTime": 0, "endTime": 1, "queryString": "fields x"}
    id = (await operations.start_query(call, ask))["queryId"]
    assert (await operations.get_query_results(call, {"queryId": id}))["status"] == "Running"
    access.denied = "arn:aws:logs:eu-central-1:1234:log-group:prod:*"
    with pytest.raises(Forbidden):
        await operations.start_query(call, ask)
    for refused in (operations.get_query_results, operations.stop_query):
        with pytest.raises(Forbidden):
            await refused(call, {"queryId": id})
