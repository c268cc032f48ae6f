"""`aerekos status` by the conductor's report: what is shown, and the code it ends with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.main import run
from cli.status import waiting_for
from tests.unit.cli.conftest import Cloud

FULL = {"severity": "critical", "code": "DiskFull", "message": "the disk is full", "fix": "make room there"}
CORDONED = {"severity": "warning", "code": "WorkerCordoned", "message": "oak is cordoned", "fix": "uncordon it"}
STARTING = {"severity": "critical", "code": "BuiltInServiceNotReady", "message": "keys start", "fix": ""}
GROUP = "/apis/aerekos.cloud/v1"


def report(cloud: Cloud, verdict: str, *findings: dict[str, Any]) -> None:
    told = [{**each, "object": {"kind": "Conductor", "namespace": "", "name": ""}} for each in findings]
    cloud.resources |= {f"{GROUP}/workers": {"items": []}, f"{GROUP}/services": {"items": []}}
    cloud.resources["/health/report"] = {"verdict": verdict, "summary": f"in words: {verdict}", "findings": told}


@pytest.mark.parametrize(
    ("verdict", "findings", "arguments", "code"),
    [
        ("Well", (), (), 0),
        ("NeedsAttention", (CORDONED,), (), 0),
        ("NeedsAttention", (CORDONED,), ("--fail-on", "warning"), 4),
        ("NotWell", (FULL, CORDONED), (), 4),
        ("NotWell", (FULL,), ("-o", "json"), 4),
        ("Well", (), ("--fail-on", "nonsense"), 2),
    ],
)
def test_the_code_follows_from_what_was_found(
    cloud: Cloud, verdict: str, findings: Any, arguments: tuple[str, ...], code: int
) -> None:
    report(cloud, verdict, *findings)
    assert run(["status", *arguments]) == code


def test_each_finding_is_shown_with_its_fix(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    report(cloud, "NotWell", FULL)
    run(["status"])
    said = capsys.readouterr().out
    assert (
        "in words: NotWell" in said
        and "critical  DiskFull: the disk is full" in said
        and "try: make room there" in said
    )
    run(["status", "-o", "json"])
    seen = json.loads(capsys.readouterr().out)
    assert (seen["ready"], seen["verdict"], seen["findings"][0]["code"]) == (False, "NotWell", "DiskFull")


def test_a_start_waits_for_what_passes_and_for_nothing_else() -> None:
    assert waiting_for({"findings": [FULL, CORDONED]}) == "", "up must come back on a full disk"
    assert waiting_for({"findings": [FULL, STARTING]}) == "keys start"


def test_a_start_that_waits_for_room_says_so() -> None:
    no_room = {"severity": "critical", "code": "StoreReadOnly", "message": "no space left", "fix": ""}
    assert waiting_for({"findings": [STARTING, no_room]}) == "no space left"
    assert waiting_for({"findings": [no_room]}) == "", "up must come back all the same"
