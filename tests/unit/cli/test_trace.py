"""trace: lines of a request and of the trace they name, and its spans, by time; what is asked of logs_manager."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cli.main import run
from cli.resources.trace import Step, shown
from tests.unit.cli.conftest import Cloud, status

TRACE = "0af7651916cd43dd8448eb211c80319c"
NS = 1_000_000_000
FIRST = {"event": "answered", "requestId": "req-12345", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
LINES = {
    "req-12345": [("key-manager-0", 5 * NS, json.dumps(FIRST))],
    TRACE: [("key-manager-0", 5 * NS, json.dumps(FIRST)), ("web-0", 3 * NS, f"asking for {TRACE}")],
}
SPAN = {"startTime": 4_000_000, "duration": 1_500_000, "operationName": "kms:Decrypt", "processID": "p1"}


def kept(request: httpx.Request) -> httpx.Response:
    """What logs_manager answers."""
    if request.url.path == f"/services/logs-manager/jaeger/api/traces/{TRACE}":
        return httpx.Response(200, json={"data": [{"spans": [SPAN], "processes": {"p1": {"serviceName": "keys"}}}]})
    if request.url.path != "/services/logs-manager/loki/api/v1/query_range":
        return status(404, "not found")
    query = request.url.params["query"]
    found = [each for id, lines in LINES.items() if f'"{id}"' in query for each in lines]
    result = [
        {"stream": {"namespace": "default", "instance": who, "log_group": "g"}, "values": [[str(at), line]]}
        for who, at, line in found
    ]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "streams", "result": result}})


def test_lines_and_spans_of_a_request_come_by_time(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.refuse = kept
    assert run(["trace", "req-12345", "-o", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(each["who"], each["seconds"]) for each in found] == [
        ("default/web-0", None),
        ("keys", 1.5),
        ("default/key-manager-0", None),
    ]
    assert run(["trace", TRACE]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 and "span kms:Decrypt 1.5 s" in out[1]


def test_what_is_no_id_and_a_cloud_without_logs_are_told(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.refuse = lambda request: status(404, "no such service")
    assert run(["trace", 'x"} or {']) == 2
    assert run(["trace", "req-12345"]) == 1
    assert "logs_manager" in capsys.readouterr().err


def test_what_is_left_out_is_told(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.resources.trace.MOST_LINES", 2)
    cloud.refuse = kept
    assert run(["trace", "req-12345", "-o", "json"]) == 0
    out, err = capsys.readouterr()
    assert f"of the lines with {TRACE} only the first 2 are shown" in err and "with req-12345" not in err
    assert len(json.loads(out)) == 3


def test_what_others_named_and_wrote_cannot_steer_a_terminal() -> None:
    found = [Step(1, "default/web\x1b[2J", "a\x1b[2J"), Step(2, "keys\x1b[2J", "b\x1b[2J", 3)]
    assert "\x1b" not in "".join(shown(found, colour=False))
