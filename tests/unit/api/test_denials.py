"""Refusals by request id: bounded for each principal, told to nobody else, with what policies decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.audit import Audit
from api.audit.denials import Denial, Denials
from api.audit.notes import Notes, notes_of
from api.auth.principal import AUTHENTICATED, Principal
from api.channel.reports import audit_line, read_audit
from tests.unit.api.components import Hands

ANN = Principal("ann", frozenset({AUTHENTICATED}))
STATEMENT = {"source": "identity-based policy", "policy": "p", "index": 2, "effect": "Deny", "sid": "No"}
DECIDED = {"outcome": "explicitDeny", "source": "identity-based policy", "reason": "because", "statement": STATEMENT}


def denial(principal: str, number: int, request_id: str = "") -> Denial:
    return Denial(f"{number:06}", request_id or f"r{number}", principal, 403, "get", "x", "no", None)


def test_whoever_is_refused_without_end_forgets_their_own_refusals_alone() -> None:
    kept = Denials(most=40, each=10)
    kept.record(denial("victim", 0))
    for number in range(1, 500):
        kept.record(denial("flood", number))
    assert kept.find("r0", "victim") and kept.find("r0")
    assert len(kept.newest(1000, "flood")) == 10 and kept.newest(1)[0].request_id == "r499"


def test_memory_is_bounded_whoever_is_refused() -> None:
    kept = Denials(most=40, each=10)
    for number in range(1000):
        kept.record(denial(f"p{number % 37}", number))
    assert len(kept.newest(1000)) <= 40
    assert kept.find("r999") and not kept.find("r1")


def test_an_id_that_two_chose_tells_each_their_own() -> None:
    kept = Denials()
    kept.record(denial("ann", 1, "same"))
    kept.record(denial("bob", 2, "same"))
    assert [each.principal for each in kept.find("same", "ann")] == ["ann"]
    assert [each.principal for each in kept.find("same")] == ["bob", "ann"]
    assert kept.find("same", "eve") == []


def refused(folder: Path, path: str, query: bytes = b"", **notes: str) -> Denial:
    """What is kept of a request that a gateway refused and reported."""
    audit = Audit(folder / "audit.log", Hands(), key=b"a" * 32)
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
    for name, value in notes.items():
        setattr(notes_of(scope), name, value)
    line = audit_line(scope, notes_of(scope), ANN, 400 if notes else 403, "r1", "ResponseComplete")
    audit.note(*read_audit(json.loads(line)), 400 if notes else 403, "r1")
    audit.close()
    (found,) = audit.denials.find("r1", "ann")
    return found


def test_a_refused_call_of_aws_is_kept_with_the_statement_that_decided(tmp_path: Path) -> None:
    arn = "arn:aws:kms:us-east-1:000000000000:key/k"
    found = refused(
        tmp_path, "/", b"X-Amz-Signature=secret", aws="kms", action="kms:Decrypt", resource=arn,
        decision="forbid", reason="User: ann is not", decided=json.dumps(DECIDED),
    )  # fmt: skip
    assert (found.action, found.resource, found.reason) == ("kms:Decrypt", arn, "User: ann is not")
    assert found.policies == DECIDED
    assert "secret" not in str(found)


def test_a_refusal_of_the_resource_api_names_its_object(tmp_path: Path) -> None:
    found = refused(tmp_path, "/api/v1/namespaces/team/secrets/db")
    assert found.action == "get" and isinstance(found.resource, dict)
    assert (found.resource["resource"], found.resource["namespace"], found.resource["name"]) == (
        "secrets",
        "team",
        "db",
    )


def test_what_was_cut_on_its_way_is_left_out(tmp_path: Path) -> None:
    found = refused(tmp_path, "/", aws="kms", decision="forbid", decided=json.dumps(DECIDED)[:50])
    assert found.policies is None


@pytest.mark.parametrize(
    "told",
    [[], "x", {}, {**DECIDED, "outcome": 1}, {"outcome": "allowed"}],
)
def test_what_is_no_decision_is_left_out(tmp_path: Path, told: object) -> None:
    assert refused(tmp_path, "/", aws="kms", decision="forbid", decided=json.dumps(told)).policies is None


def test_of_a_decision_only_what_it_has_is_kept(tmp_path: Path) -> None:
    """A service that is not itself any more tells admins nothing but short texts."""
    told = {**DECIDED, "reason": "x" * 900, "more": {"a": 1}, "statement": {"index": 1, "policy": {"a": 1}, "sid": 5}}
    found = refused(tmp_path, "/", aws="kms", decision="forbid", decided=json.dumps(told)).policies
    assert found is not None and found["reason"] == "x" * 512 + "...[+388]" and "more" not in found
    assert found["statement"] == {"index": 1, "source": "", "policy": "", "effect": ""}


def test_a_gateway_of_the_version_before_tells_no_decision() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    fields = json.loads(audit_line(scope, Notes(), ANN, 403, "r", "ResponseComplete"))
    del fields["decided"]
    told, who = read_audit(fields)
    assert notes_of(told).decided == "" and who is not None and who.name == "ann"
