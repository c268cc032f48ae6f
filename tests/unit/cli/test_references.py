"""How people name things: kind and name, KIND/NAME, short names, views, instances; alike for every verb."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.kube.views.core_services import CoreServices
from api.kube.views.deployments import Deployments
from api.kube.views.nodes import Nodes
from cli.main import run
from cli.resources.kinds import SHOWN_FROM
from cli.resources.references import Reference, references
from cli.resources.service_changes import read_scale
from controller.main.errors import Misuse
from tests.unit.cli.conftest import Cloud

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=20)
SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_both_ways_of_naming_mean_the_same(names: list[str]) -> None:
    spaced = references(["key", *names], "")
    assert spaced == references([f"key/{each}" for each in names], "") == [Reference("key", each) for each in names]


@given(st.lists(st.text("ab/", max_size=6), max_size=4))
def test_what_is_not_refused_has_a_kind_and_a_name_without_a_slash(words: list[str]) -> None:
    try:
        found = references(words, "")
    except Misuse:
        return
    assert found and all(each.word and each.name and "/" not in each.name for each in found if "/" in words[0])


def test_the_kinds_that_are_shown_from_others_are_those_of_the_api() -> None:
    views: list[Any] = [Nodes, Deployments, CoreServices]
    assert {(v.kind.group, v.kind.plural): (v.source.group, v.source.plural) for v in views} == SHOWN_FROM


@pytest.fixture
def service(cloud: Cloud) -> dict[str, Any]:
    instances = [{"name": "web-0", "ready": True, "startedAt": "2026-01-01T00:00:00Z"}]
    made = {"metadata": {"name": "web", "uid": "1"}, "spec": {"replicas": 1}, "status": {"instances": instances}}
    cloud.resources[f"{SERVICES}/web"] = made
    cloud.resources[SERVICES] = {"items": [made]}
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["web", "3"],
        ["web", "--replicas", "3"],
        ["service/web", "3"],
        ["service", "web", "3"],
        ["svc", "web", "--replicas", "3"],
        ["deploy/web", "3"],
    ],
)
def test_scale_takes_every_habit(cloud: Cloud, service: dict[str, Any], arguments: list[str]) -> None:
    assert run(["scale", *arguments]) == 0
    assert json.loads(cloud.writes[-1].content) == {"spec": {"replicas": 3}}
    assert cloud.writes[-1].url.path == f"{SERVICES}/web"


@pytest.mark.parametrize(
    "arguments",
    [["web"], ["web", "x"], ["web", "3", "--replicas", "2"], ["web", "1", "2"], ["web", "1001"], ["key/a", "1"]],
)
def test_scale_refuses_what_makes_no_sense(cloud: Cloud, service: dict[str, Any], arguments: list[str]) -> None:
    assert run(["scale", *arguments]) == 2
    assert cloud.writes == []


@given(st.integers(0, 1000))
def test_the_number_is_read_as_it_is(number: int) -> None:
    assert read_scale("web", [str(number)], None) == read_scale("web", [], number) == ("web", number)


def test_changes_of_a_service_are_one_word(cloud: Cloud, service: dict[str, Any]) -> None:
    for verb, spec in (("disable", False), ("enable", True)):
        assert run([verb, "svc/web"]) == 0
        assert json.loads(cloud.writes[-1].content) == {"spec": {"enabled": spec}}
    assert run(["restart", "web"]) == 0
    assert "aerekos.cloud/restartedAt" in json.loads(cloud.writes[-1].content)["metadata"]["annotations"]
    assert run(["restart", "web-0"]) == 2  # an instance, not the service


def test_a_view_is_deleted_through_what_it_shows(cloud: Cloud, service: dict[str, Any]) -> None:
    assert run(["delete", "deployment", "web"]) == 0
    assert cloud.writes[-1].url.path == f"{SERVICES}/web"
    assert f"{SERVICES}/web" not in cloud.resources


def test_a_namespace_may_come_before_the_verb(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    room = "/apis/aerekos.cloud/v1/namespaces/team/buckets"
    cloud.resources[room] = {"items": [{"metadata": {"name": "photos"}}]}
    assert run(["-n", "team", "get", "buckets", "-o", "name"]) == 0
    assert capsys.readouterr().out == "bucket/photos\n"
    assert run(["-n", "team", "get", "buckets", "-n", "default", "-o", "name"]) == 1  # what is said last counts
    assert run(["-n", "team", "status"]) == 2
    assert "not about one namespace" in capsys.readouterr().err


def test_several_kinds_in_one_breath(
    cloud: Cloud, service: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.resources["/apis/aerekos.cloud/v1/namespaces/default/buckets/photos"] = {"metadata": {"name": "photos"}}
    assert run(["get", "service/web", "bucket/photos", "-o", "name"]) == 0
    assert capsys.readouterr().out == "service/web\nbucket/photos\n"
    assert run(["get", "services", "bucket/photos"]) == 2
