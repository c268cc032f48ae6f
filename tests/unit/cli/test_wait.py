"""Waiting for a resource: only what is said about what is wanted now counts, and why it does not hold is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import run
from cli.resources.wait import READY, Goal, read_goal
from controller.main.errors import Misuse
from tests.unit.cli.conftest import Cloud

AT = "/apis/aerekos.cloud/v1/namespaces/default/buckets/photos"


def resource(*conditions: dict[str, Any], generation: int = 1, observed: int = 1) -> dict[str, Any]:
    status = {"observedGeneration": observed, "conditions": list(conditions)}
    return {"metadata": {"name": "photos", "uid": "1", "generation": generation}, "status": status}


def condition(kind: str, status: str = "True", **more: Any) -> dict[str, Any]:
    return {"type": kind, "status": status, **more}


def test_ready_counts_before_reconciled_and_that_before_nothing() -> None:
    assert READY.is_met(resource(condition("Ready"), condition("Reconciled", "False")))
    assert not READY.is_met(resource(condition("Ready", "False"), condition("Reconciled")))
    assert READY.is_met(resource(condition("Reconciled")))
    assert not READY.is_met(resource())


@given(st.integers(1, 5), st.integers(1, 5))
def test_what_was_said_of_an_older_wish_does_not_count(generation: int, observed: int) -> None:
    said = resource(condition("Ready"), generation=generation, observed=observed)
    assert READY.is_met(said) is (observed >= generation)


def test_goals_are_read_as_kubectl_writes_them() -> None:
    assert read_goal("condition=Ready") == Goal(("Ready",)) and read_goal("delete") == Goal()
    assert read_goal("condition=Placed=False") == Goal(("Placed",), "False")
    for text in ("condition", "condition=", "ready", "jsonpath={.a}"):
        with pytest.raises(Misuse):
            read_goal(text)


def test_the_command_ends_when_it_is_so_and_says_why_when_it_is_not(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.resources[AT] = resource(condition("Reconciled", "False", message="waits for a key"))
    assert run(["wait", "bucket/photos", "--timeout", "0"]) == 1
    assert "bucket/photos is not ready after 0 s: waits for a key" in capsys.readouterr().err
    assert run(["wait", "bucket", "photos", "--for", "condition=Odd", "--timeout", "0"]) == 1
    assert "it has no condition Odd; it has Reconciled" in capsys.readouterr().err
    assert run(["wait", "bucket", "photos", "--for", "condition=Reconciled=False"]) == 0
    assert run(["wait", "bucket", "gone", "--for", "delete"]) == 0
    assert run(["wait", "bucket", "gone"]) == 1
