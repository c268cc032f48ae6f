"""Deleting: questions where somebody sits at a terminal, dates for keys, and what it waits for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.main import run
from tests.unit.cli.conftest import Cloud

ROOM = "/apis/aerekos.cloud/v1/namespaces/default"
Answer = Callable[[str], None]


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Makes a real terminal of stdin and stderr, in which that answer is typed ahead."""
    ours, theirs = os.openpty()
    with os.fdopen(os.dup(theirs)) as reads, os.fdopen(theirs, "w", buffering=1) as writes:

        def sit_down(answer: str) -> None:
            # Here, not before: pytest puts its own in their place when the test begins.
            monkeypatch.setattr(sys, "stdin", reads)
            monkeypatch.setattr(sys, "stderr", writes)
            os.write(ours, answer.encode())

        yield sit_down
        monkeypatch.undo()
    os.close(ours)


@pytest.fixture
def key(cloud: Cloud) -> str:
    path = f"{ROOM}/keys/orders"
    cloud.resources[path] = {"metadata": {"name": "orders", "uid": "1"}, "spec": {}}
    return path


def test_no_means_that_nothing_is_asked_of_the_cloud(cloud: Cloud, key: str, at_a_terminal: Answer) -> None:
    for answer in ("\n", "n\n", "no\n", "yesterday\n", "\x04"):
        at_a_terminal(answer)
        assert run(["delete", "key", "orders"]) == 1
    assert cloud.writes == []


def test_yes_gives_a_key_seven_days(cloud: Cloud, key: str, at_a_terminal: Answer) -> None:
    at_a_terminal("y\n")
    assert run(["delete", "key", "orders"]) == 0
    assert [each.method for each in cloud.writes] == ["PATCH"]
    left = _date(cloud) - datetime.now(UTC)
    assert timedelta(days=7) < left < timedelta(days=7, hours=1)


@pytest.mark.parametrize("days", [7, 18, 30])
def test_a_script_says_the_days_and_is_not_asked(cloud: Cloud, key: str, days: int) -> None:
    assert run(["delete", "key/orders", "--after", str(days)]) == 0
    left = _date(cloud) - datetime.now(UTC)
    assert timedelta(days=7) < left < timedelta(days=30) and abs(left - timedelta(days=days)) < timedelta(hours=1)


def test_without_days_the_cloud_says_what_to_do(cloud: Cloud, key: str) -> None:
    assert run(["delete", "key", "orders"]) == 0  # this cloud refuses nothing; the real one names the line
    assert [each.method for each in cloud.writes] == ["DELETE"]


@pytest.mark.parametrize("arguments", [["--after", "6"], ["--after", "31"]])
def test_other_days_are_refused(cloud: Cloud, key: str, arguments: list[str]) -> None:
    assert run(["delete", "key", "orders", *arguments]) == 2
    assert cloud.writes == []


def test_what_can_be_made_again_is_not_asked_about(cloud: Cloud, at_a_terminal: Answer) -> None:
    at_a_terminal("")
    cloud.resources[f"{ROOM}/buckets/photos"] = {"metadata": {"name": "photos", "uid": "1"}}
    assert run(["delete", "bucket", "photos"]) == 0
    assert run(["delete", "bucket", "photos", "--after", "7"]) == 2


def test_yes_on_the_line_asks_nothing(cloud: Cloud, at_a_terminal: Answer) -> None:
    at_a_terminal("")
    cloud.resources["/api/v1/namespaces/team"] = {"metadata": {"name": "team", "uid": "1"}}
    assert run(["delete", "namespace", "team", "--yes"]) == 0
    assert [each.method for each in cloud.writes] == ["DELETE"]


def test_a_worker_is_asked_about_too(cloud: Cloud, at_a_terminal: Answer) -> None:
    for answer in ("\n", "n\n"):
        at_a_terminal(answer)
        assert run(["worker", "remove", "oak"]) == 1
    assert cloud.writes == []


def test_its_help_does_not_frighten(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name it refuses: nothing deletes all of a kind."""
    assert run(["delete", "--help"]) == 0
    assert "all of the kind" not in capsys.readouterr().out
    assert run(["delete", "services"]) == 2 and cloud.writes == []


def test_what_does_not_go_says_what_it_waits_for(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = {"conditions": [{"type": "Reconciled", "status": "False", "message": "waiting for 1 object"}]}
    path = f"{ROOM}/buckets/full"
    cloud.resources[path] = {"metadata": {"name": "full", "uid": "1"}, "status": waits}
    kept = dict(cloud.resources[path])
    answer = cloud.answer

    def keeps(request: object) -> object:
        said = answer(request)  # type: ignore[arg-type]
        cloud.resources[path] = kept
        return said

    monkeypatch.setattr(cloud, "answer", keeps)
    assert run(["delete", "bucket", "full", "--timeout", "0"]) == 1
    told = capsys.readouterr().err
    assert (
        "bucket/full is not gone after 0 s: waiting for 1 object" in told and "aerekos describe bucket/full" in told
    )


def _date(cloud: Cloud) -> datetime:
    return datetime.fromisoformat(json.loads(cloud.writes[-1].content)["spec"]["deletionDate"])
