"""Statuses with phases and reasons of another version: read as they are, and written over by a reconciler."""

from __future__ import annotations

from typing import Any

import pytest
from unit.reconcilers.test_service import House

from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.meta import condition

pytestmark = pytest.mark.anyio


def stored(phase: str, reason: str, **status: Any) -> dict[str, Any]:
    """A status as it lies in the store."""
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": None}
    return {"phase": phase, "conditions": [ready], **status}


@pytest.mark.parametrize(
    ("phase", "reason", "instance"),
    [
        ("Scaled to zero", "ScaledToZero", "BackingOff"),
        ("Waiting", "WaitingForNeeds", "Lost"),
        ("Idle", "Idle", "Idle"),
    ],
)
async def test_a_service_with_words_of_another_version_is_read_and_brought_up_to_date(
    phase: str, reason: str, instance: str
) -> None:
    house = House()
    keys = house.service("key-manager", managed="key_manager")
    body = keys.wire() | {"status": stored(phase, reason, instances=[{"name": "key-manager-0", "phase": instance}])}
    read = SERVICE.parse(body)
    assert (read.status.phase, read.status.instances[0].phase) == (phase, instance)
    assert read.wire()["status"]["phase"] == phase
    await house.look(read)
    found = condition(read.status.conditions, "Ready")
    assert found is not None and (read.status.phase, found.reason) == ("Ready", "Ready")
    assert [each.phase for each in read.status.instances] == ["Ready"]


@pytest.mark.parametrize("reason", ["NeverHeard", "Silent", "TellingAgent"])
def test_a_worker_with_words_of_another_version_is_read(reason: str) -> None:
    body = WORKER.new("oak").wire() | {"status": stored("NotReady,Elsewhere", reason)}
    read = WORKER.parse(body)
    assert read.status.phase == "NotReady,Elsewhere" and read.status.conditions[0].reason == reason
