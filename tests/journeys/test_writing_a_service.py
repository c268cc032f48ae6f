"""A service of one's own, in a folder of one's own, in a real cloud: found, run behind walls, reached, healed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sdk.testing import RunningCloud, cloud

FOLDER = Path(__file__).parents[2] / "examples"
NOTES = "/apis/aerekos.cloud/v1/namespaces/default/notes"
SERVICE = "/apis/aerekos.cloud/v1/namespaces/default/services/notes-manager"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCloud]:
    with cloud(services_path=FOLDER) as running:
        with running.http() as http:
            running.eventually(lambda: is_ready(http), "notes-manager is Ready")
        yield running


@pytest.fixture
def http(running: RunningCloud) -> Iterator[httpx.Client]:
    with running.http() as http:
        yield http


def is_ready(http: httpx.Client) -> bool:
    conditions = http.get(SERVICE).json().get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def words(http: httpx.Client, name: str) -> int:
    found: dict[str, Any] = http.get(f"{NOTES}/{name}").json()
    return int(found.get("status", {}).get("words", 0))


def note(name: str, text: str) -> dict[str, Any]:
    kind = {"apiVersion": "aerekos.cloud/v1", "kind": "Note"}
    return {**kind, "metadata": {"name": name}, "spec": {"text": text}}


def test_notes_are_counted_searched_and_measured(running: RunningCloud, http: httpx.Client) -> None:
    http.post(NOTES, json=note("first", "two words")).raise_for_status()
    running.eventually(lambda: words(http, "first") == 2, "the words are counted")
    found = http.get("/services/notes-manager/search?contains=two")
    assert (found.status_code, found.json()) == (200, {"notes": ["first"]})
    assert http.get("/services/notes-manager/search?contains=two&x=1").status_code == 400
    assert http.post(NOTES, json=note("second", "x") | {"spec": {"text": 5}}).status_code in (400, 422)
    listed = running.aerekos("get", "notes")
    assert "WORDS" in listed and "first" in listed
    entry = next(each for each in http.get("/catalog").json()["services"] if each["managed"] == "notes_manager")
    assert entry["title"] == "Notes"


def test_it_heals_when_it_is_killed(running: RunningCloud, http: httpx.Client) -> None:
    before = running.instances()["notes-manager-0"]
    os.kill(before, signal.SIGKILL)
    running.eventually(lambda: running.instances().get("notes-manager-0", before) != before, "another process")
    running.eventually(lambda: http.get("/services/notes-manager/search").status_code == 200, "it answers again")


def test_the_next_start_remembers_where_it_is(running: RunningCloud) -> None:
    assert f'services_path = "{FOLDER}"' in (running.home / "settings.toml").read_text()
