"""What to try next fits why it was refused; where the refusal says it itself, nothing is added."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli.errors import Refused
from cli.hints import closest, hint_for
from cli.main import run
from tests.unit.cli.conftest import Cloud

TERMINATING = {"causes": [{"reason": "NamespaceTerminating", "message": "is going", "field": "metadata.namespace"}]}
CASES: list[tuple[int, str, str, str, dict[str, Any], str]] = [
    (400, "BadRequest", "unable to parse label selector 'a==b==c' at character 4", "/x", {}, "-l app=web"),
    (400, "BadRequest", "invalid field selector 'x'; write path=value", "/x", {}, "--field-selector metadata.name"),
    (400, "BadRequest", "field label not supported: foo; use one of metadata.name", "/x", {}, ""),
    (400, "BadRequest", 'strict decoding error: unknown field "spec.replica"', "/x", {}, "take them out"),
    (401, "Unauthorized", "wrong name or password", "/auth/login", {}, "aerekos user passwd NAME"),
    (401, "Unauthorized", "this session has ended", "/api/v1/pods", {}, "aerekos login"),
    (403, "Forbidden", "namespace x is being terminated", "/api", TERMINATING, "wait until it is gone"),
    (403, "Forbidden", "exceeded quota: default", "/api/v1/namespaces/team/pods", {}, "get resourcequotas -n team"),
    (403, "Forbidden", 'User "eve" cannot get resource "keys"', "/x", {}, "ask an admin for a role"),
    (403, "Forbidden", 'User "eve" may change only their own password', "/auth/password", {}, "log in as an admin"),
    (403, "Forbidden", 'namespaces "default" is forbidden: this namespace may not be deleted', "/x", {}, ""),
    (405, "MethodNotAllowed", "x; it is a view of services.aerekos.cloud, which does", "/x", {}, "services.aerekos"),
    (405, "MethodNotAllowed", "roles do not support that", "/x", {}, ""),
    (409, "AlreadyExists", "it exists", "/x", {"name": "a", "kind": "keys"}, "aerekos edit keys a"),
    (409, "Conflict", "the object has been modified; please apply", "/x", {}, "look at it again"),
    (409, "Conflict", "it is the last worker; let another machine join first", "/x", {}, ""),
    (410, "Expired", "too old", "/x", {}, "repeat"),
    (413, "RequestEntityTooLarge", "too large", "/x", {}, "smaller"),
    (
        422,
        "Invalid",
        "bad",
        "/x",
        {"causes": [{"reason": "FieldValueInvalid", "field": "spec.a"}]},
        "the field named",
    ),
    (429, "TooManyRequests", "too many logins", "/auth/login", {"retryAfterSeconds": 2}, "wait 2 s"),
    (429, "TooManyRequests", "too many", "/x", {}, "wait a little"),
    (500, "InternalError", "the request failed here", "/x", {}, "conductor.log"),
    (500, "InternalError", "cannot write records.db: no space left on its disk", "/x", {}, "how much there is"),
    (503, "ServiceUnavailable", "no instance of s3 is ready", "/s3", {}, "aerekos status"),
]


@pytest.mark.parametrize(("status", "reason", "message", "path", "details", "hint"), CASES)
def test_each_cause_has_its_own_hint(
    status: int, reason: str, message: str, path: str, details: dict[str, Any], hint: str
) -> None:
    found = hint_for(Refused(message, status=status, reason=reason, details=details, path=path))
    assert found == hint if not hint else hint in found
    assert status in (500,) or "doctor" not in found  # it cannot help against what somebody typed


def test_a_slip_is_recognized_and_nonsense_is_not() -> None:
    known = ["services", "service", "asvc", "buckets", "keys"]
    assert closest("servcies", known) == "services"
    assert closest("Buckte", known) == "buckets"
    assert closest("xyzzy", known) == ""


def test_a_kind_mistyped_is_answered_with_the_one_that_was_meant(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["get", "servcies"]) == 2
    assert "did you mean services?" in capsys.readouterr().err
    assert run(["get", "unicorn"]) == 2
    told = capsys.readouterr().err
    assert told.count("services") == 1 and "selfsubjectreviews" not in told


def test_a_name_mistyped_is_answered_with_the_nearest_there_is(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = "/apis/aerekos.cloud/v1/namespaces/team/buckets"
    cloud.resources[rooms] = {"items": [{"metadata": {"name": "photos"}}, {"metadata": {"name": "mail"}}]}
    for arguments in (["get", "bucket", "fotos"], ["describe", "bucket/fotos"], ["delete", "buckets", "fotos"]):
        assert run([*arguments, "-n", "team"]) == 1
        told = capsys.readouterr().err
        assert "did you mean photos?" in told and "aerekos get buckets -n team" in told


def test_a_cause_that_the_message_says_is_not_said_twice(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    told = "it is the last worker"
    causes = {"causes": [{"field": "metadata.name", "message": told}, {"field": "spec.x", "message": "is odd"}]}
    body = {"kind": "Status", "message": f'workers "a": {told}', "reason": "Conflict", "details": causes}
    cloud.refuse = lambda request: httpx.Response(409, json=body)
    assert run(["get", "buckets"]) == 1
    said = capsys.readouterr().err
    assert said.count(told) == 1 and "spec.x: is odd" in said
