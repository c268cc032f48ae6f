"""CloudWatch Logs, asked by boto3: groups, streams, lines written, read and found; whose they are."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from services.logs_manager import insights_rows
from services.logs_manager.filter_patterns import pattern_of
from services.logs_manager.insights import Record
from services.logs_manager.insights_parser import parse_query
from services.logs_manager.insights_rows import rows_of
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.names import group_resource
from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User, serving

_NUMBERS = itertools.count(1)
GROUP, STREAM = "/app/web", "web-0"


@pytest.fixture(scope="module")
def harness() -> Iterator[ServiceHarness]:
    with serving("logs_manager", reconciles=True) as running:
        yield running


@pytest.fixture
def user(harness: ServiceHarness) -> User:
    number = next(_NUMBERS)
    return harness.conductor.add(
        User(f"owner-{number}", namespace=f"team-{number}", access_key=f"AKIATESTLOGS{number:08}")
    )


@pytest.fixture
def logs(harness: ServiceHarness, user: User) -> Any:
    client = harness.boto3_client("logs", user)
    client.create_log_group(logGroupName=GROUP, tags={"team": "shop"})
    client.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return client


def put(logs: Any, *messages: str, stream: str = STREAM, at: int | None = None) -> dict[str, Any]:
    start = round(time.time() * 1000) - 1000 if at is None else at
    events = [{"timestamp": start + number, "message": each} for number, each in enumerate(messages)]
    answer: dict[str, Any] = logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return answer


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_groups_and_streams_are_what_was_asked_for(logs: Any, user: User) -> None:
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/app/")["logGroups"]
    arn = f"arn:aws:logs:us-east-1:{account_of(user.namespace)}:log-group:{GROUP}"
    assert (group["logGroupName"], group["retentionInDays"], group["arn"]) == (GROUP, 7, f"{arn}:*")
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "shop"}
    logs.tag_resource(resourceArn=arn, tags={"cost": "1"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"cost": "1"}
    logs.delete_retention_policy(logGroupName=GROUP)
    assert code_of(logs.tag_resource, resourceArn=f"{arn}:x", tags={"a": "b"}) == "InvalidParameterException"
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    assert code_of(logs.create_log_group, logGroupName=GROUP) == "ResourceAlreadyExistsException"
    again = {"logGroupName": GROUP, "logStreamName": STREAM}
    assert code_of(logs.create_log_stream, **again) == "ResourceAlreadyExistsException"
    assert code_of(logs.put_retention_policy, logGroupName=GROUP, retentionInDays=8) == "InvalidParameterException"
    assert code_of(logs.create_log_group, logGroupName="a b") == "ValidationException"
    assert code_of(logs.describe_log_streams, logGroupName="none") == "ResourceNotFoundException"
    put(logs, "one", "two")
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime")["logStreams"]
    assert stream["lastEventTimestamp"] - stream["firstEventTimestamp"] == 1 and stream["storedBytes"] > 0
    logs.delete_log_stream(**again)
    assert logs.filter_log_events(logGroupName=GROUP)["events"] == []


def test_lines_are_read_page_by_page_both_ways(logs: Any) -> None:
    put(logs, *(f"line {n}" for n in range(10)))
    ask = {"logGroupName": GROUP, "logStreamName": STREAM, "limit": 4}
    answer = logs.get_log_events(**ask)
    assert [each["message"] for each in answer["events"]] == ["line 6", "line 7", "line 8", "line 9"]
    back = logs.get_log_events(**ask, nextToken=answer["nextBackwardToken"])
    assert [each["message"] for each in back["events"]] == ["line 2", "line 3", "line 4", "line 5"]
    onward = logs.get_log_events(**ask, nextToken=answer["nextForwardToken"])
    assert onward["events"] == [] and onward["nextForwardToken"] == answer["nextForwardToken"]
    put(logs, "more")
    assert [e["message"] for e in logs.get_log_events(**ask, nextToken=answer["nextForwardToken"])["events"]] in (
        ["more"],
        [],
    )
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="line", PaginationConfig={"PageSize": 3}
    )
    found = [event for page in pages for event in page["events"]]
    assert [each["message"] for each in found] == [f"line {n}" for n in range(10)]
    assert len({each["eventId"] for each in found}) == 10
    assert code_of(logs.get_log_events, **ask, nextToken="f/nonsense") == "InvalidParameterException"


def test_a_page_holds_a_mebibyte_and_the_next_one_goes_on(logs: Any) -> None:
    lines = [f"{n} " + "x" * 250_000 for n in range(8)]
    put(logs, *lines[:4])
    put(logs, *lines[4:], at=round(time.time() * 1000))
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP))
    assert [each["message"] for page in pages for each in page["events"]] == lines
    assert max(len(page["events"]) for page in pages) == 4


def test_what_is_too_old_or_out_of_order_is_told(logs: Any) -> None:
    now = round(time.time() * 1000)
    old = put(logs, "old", at=now - 15 * 86_400_000)
    assert old["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    new = put(logs, "new", at=now + 3 * 3_600_000)
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    assert logs.filter_log_events(logGroupName=GROUP)["events"] == []
    events = [{"timestamp": now, "message": "b"}, {"timestamp": now - 1, "message": "a"}]
    ask = {"logGroupName": GROUP, "logStreamName": STREAM, "logEvents": events}
    assert code_of(logs.put_log_events, **ask) == "InvalidParameterException"
    assert code_of(logs.put_log_events, **{**ask, "logStreamName": "none"}) == "ResourceNotFoundException"


def test_other_accounts_and_those_who_may_not_see_nothing(harness: ServiceHarness, logs: Any, user: User) -> None:
    put(logs, "secret")
    number = next(_NUMBERS)
    eve = harness.conductor.add(User(f"eve-{number}", namespace="evil", access_key=f"AKIATESTEVIL{number:08}"))
    hers = harness.boto3_client("logs", eve)
    assert code_of(hers.filter_log_events, logGroupName=GROUP) == "ResourceNotFoundException"
    assert hers.describe_log_groups()["logGroups"] == []
    arn = f"arn:aws:logs:us-east-1:{account_of(user.namespace)}:log-group:{GROUP}"
    assert code_of(hers.filter_log_events, logGroupIdentifier=arn) == "ResourceNotFoundException"
    bob = harness.conductor.add(User("bob", namespace=user.namespace, access_key=f"AKIATESTBOBS{number:08}"))
    harness.conductor.judge = lambda name, wanted: name != "bob" or wanted["verb"] == "get"
    try:
        his = harness.boto3_client("logs", bob)
        assert len(his.filter_log_events(logGroupName=GROUP)["events"]) == 1
        assert code_of(his.delete_log_group, logGroupName=GROUP) == "AccessDeniedException"
        event = [{"timestamp": round(time.time() * 1000), "message": "x"}]
        ask = {"logGroupName": GROUP, "logStreamName": STREAM, "logEvents": event}
        assert code_of(his.put_log_events, **ask) == "AccessDeniedException"
    finally:
        harness.conductor.judge = lambda name, wanted: True


@pytest.mark.parametrize(
    ("pattern", "line", "fits"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR timeout", "an ERROR here", False),
        ('"an ERROR"', "an ERROR here", True),
        ("ERROR -here", "an ERROR here", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("%4[0-9]{2}%", "status 404", True),
        ('{ $.level = "error" }', '{"level": "error"}', True),
        ('{ $.level != "error" }', '{"level": "error"}', False),
        ("{ $.a.b[1] >= 5 && $.c IS TRUE }", '{"a": {"b": [1, 6]}, "c": true}', True),
        ("{ ($.a = 1 || $.b = 2) && $.c NOT EXISTS }", '{"b": 2}', True),
        ("{ $.ip = 10.0.* }", '{"ip": "10.0.3.4"}', True),
        ("{ $.n < 3 }", '{"n": "no number"}', False),
        ('{ $.level = "error" }', "no JSON", False),
    ],
)
def test_filter_patterns(pattern: str, line: str, fits: bool) -> None:
    assert pattern_of(pattern).matches(line) is fits


@pytest.mark.parametrize(
    "pattern", ["{ $.a }", "{ a = 1 }", "[a, b]", '"no end', "?a b", "{ $.a = 1", "{ $.a > x }", "%(%"]
)
def test_filter_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(QueryFault):
        pattern_of(pattern)


def ended(logs: Any, query: str, **more: Any) -> dict[str, Any]:
    now = round(time.time())
    ask = {"logGroupName": GROUP, "startTime": now - 3600, "endTime": now + 60, "queryString": query, **more}
    id = logs.start_query(**ask)["queryId"]
    deadline = time.monotonic() + 60
    while (found := logs.get_query_results(queryId=id))["status"] == "Running":
        assert time.monotonic() < deadline
    return dict(found)


def asked(logs: Any, query: str, **more: Any) -> list[dict[str, str]]:
    found = ended(logs, query, **more)
    assert found["status"] == "Complete", found
    return [{each["field"]: each["value"] for each in row} for row in found["results"]]


def test_insights(logs: Any) -> None:
    put(
        logs,
        *(f'{{"status": {200 if n % 3 else 503}, "ms": {n}, "user": {{"name": "u{n % 2}"}}}}' for n in range(12)),
    )
    put(logs, "a plain line")
    failing = asked(
        logs, 'fields ms, user.name as who | filter status >= 500 and user.name != "x" | sort ms desc | limit 2'
    )
    assert failing == [{"ms": "9", "who": "u1"}, {"ms": "6", "who": "u0"}]
    counted = asked(logs, "filter ispresent(status) | stats count(*) as n, avg(ms), max(ms) by status | sort n desc")
    assert counted == [
        {"status": "200", "n": "8", "avg(ms)": "6", "max(ms)": "11"},
        {"status": "503", "n": "4", "avg(ms)": "4.5", "max(ms)": "9"},
    ]
    assert asked(logs, "filter @message like /pl[a-z]+n/ or user.name in ['none'] | stats count()") == [
        {"count(*)": "1"}
    ]
    assert asked(logs, "filter not (@message like 'status') | display @logStream") == [{"@logStream": STREAM}]
    (bins,) = asked(logs, "stats count_distinct(user.name) as users by bin(1h)", limit=1)
    assert bins["users"] == "2" and bins["bin(1h)"].endswith(":00:00.000")


def test_results_are_for_those_who_may_read_all_of_their_groups(
    harness: ServiceHarness, logs: Any, user: User
) -> None:
    logs.create_log_group(logGroupName="prod")
    now = round(time.time())
    ask = {"startTime": now - 3600, "endTime": now + 60, "queryString": "stats count(*)"}
    id = logs.start_query(logGroupNames=[GROUP, "prod"], **ask)["queryId"]
    bob = harness.conductor.add(User("bob", namespace=user.namespace, access_key="AKIATESTBOBSINSIGHTS"))
    his = harness.boto3_client("logs", bob)
    harness.conductor.judge = lambda name, wanted: (
        name != "bob" or wanted.get("name") != group_resource("prod", "us-east-1")
    )
    try:
        assert code_of(his.get_query_results, queryId=id) == "AccessDeniedException"
        assert code_of(his.stop_query, queryId=id) == "AccessDeniedException"
        assert code_of(his.start_query, logGroupNames=[GROUP, "prod"], **ask) == "AccessDeniedException"
        assert his.start_query(logGroupNames=[GROUP], **ask)["queryId"]
    finally:
        harness.conductor.judge = lambda name, wanted: True


def test_a_query_that_fails_says_why(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_rows, "MOST_GROUPS", 2)
    put(logs, "a", "b", "c")
    found = ended(logs, "stats count(*) by @message")
    assert found["status"] == "Failed"
    [[column]] = found["results"]
    assert column["field"] == "@error" and "more than 2 groups" in column["value"]
    assert code_of(ended, logs=logs, query="fields x", limit=10_001) == "InvalidParameterException"


@pytest.mark.parametrize(
    "query",
    [
        "parse @message '*' as x",
        "fields strlen(@message)",
        "filter a >",
        "stats pct(ms, 95)",
        "limit 0",
        "",
        "filter (a = 1",
        "filter a like b",
        "stats count(*) | filter x = 1",
        "bin",
        "'",
    ],
)
def test_insights_that_are_not_done_are_refused(query: str) -> None:
    with pytest.raises(QueryFault):
        parse_query(query, 10)


@settings(max_examples=60)
@given(
    st.text(max_size=50)
    | st.lists(st.sampled_from(["filter", "a", "=", "1", "(", "|", "stats", "by", ","])).map(" ".join)
)
def test_any_text_is_a_query_of_insights_or_refused(text: str) -> None:
    with suppress(QueryFault):
        rows_of(parse_query(text, 10), [Record(5, "x", "s", "g", 0)], lambda: None)
