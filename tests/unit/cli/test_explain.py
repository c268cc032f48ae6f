"""who-can, can-i and why: what is asked of the cloud, what is shown of its answer, and what is misuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.main import run
from tests.unit.cli.conftest import DISCOVERY, Cloud, status

Json = dict[str, Any]
ARN = "arn:aws:kms:us-east-1:000000000000:key/1"
STATEMENT = {"source": "identity-based policy", "policy": "p", "index": 0, "effect": "Deny", "sid": "No"}
POLICIES = {"outcome": "explicitDeny", "source": "identity-based policy", "reason": "", "statement": STATEMENT}
ROLES = {"allowed": True, "reason": "the group aerekos:editor allows it"}
EXPLAINED = {
    "subject": {"kind": "User", "name": "ed"},
    "allowed": False,
    "decidedBy": "policies",
    "reason": "statement 0 denies it",
    "roles": ROLES,
    "policies": POLICIES,
}
DENIAL = {
    "requestId": "r1",
    "time": "2026-01-02T03:04:05Z",
    "principal": "ed",
    "code": 400,
    "action": "kms:Decrypt",
    "resource": ARN,
    "reason": "User: ed is not authorized",
    "policies": POLICIES,
    "now": EXPLAINED,
}


class Asked:
    """A cloud that answers one question, and what it was asked."""

    def __init__(self, cloud: Cloud, answer: Json) -> None:
        self.spec: Json = {}
        self.path = ""
        self._answer, self._cloud = answer, cloud
        cloud.refuse = self._answered

    def _answered(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            found = DISCOVERY.get(request.url.path) or self._cloud.resources.get(request.url.path)
            return httpx.Response(200, json=found) if found else status(404, "not found")
        self.path, self.spec = request.url.path, json.loads(request.content)["spec"]
        return httpx.Response(201, json={"status": self._answer})


def test_a_verb_is_asked_of_the_kind_it_names(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked(cloud, {"subjects": [{**EXPLAINED, "allowed": True, "decidedBy": "roles"}], "asked": 3})
    assert run(["who-can", "update", "asvc/web", "--subresource", "scale", "-n", "team"]) == 0
    assert asked.path == "/apis/authorization.aerekos.cloud/v1/resourceaccessreviews"
    wanted = {"verb": "update", "group": "aerekos.cloud", "resource": "services", "name": "web"}
    assert asked.spec == {"resourceAttributes": {**wanted, "subresource": "scale", "namespace": "team"}}
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["WHO", "BY", "ROLES", "POLICIES", "BECAUSE"]
    assert "User ed" in out and "denied" in out
    assert run(["who-can", "list", "services", "-A"]) == 0
    assert asked.spec == {"resourceAttributes": {"verb": "list", "group": "aerekos.cloud", "resource": "services"}}


def test_an_action_of_aws_takes_an_arn_or_a_name_of_ours(cloud: Cloud) -> None:
    cloud.resources["/apis/aerekos.cloud/v1/namespaces/default/keys/pay"] = {"status": {"arn": ARN}}
    asked = Asked(cloud, {"subjects": [], "asked": 1})
    for word, arn in (("key/pay", ARN), (ARN, ARN), ("", "*"), ("bucket/a/b/c.txt", "arn:aws:s3:::a/b/c.txt")):
        assert run(["who-can", "kms:Decrypt", *([word] if word else [])]) == 0
        assert asked.spec == {"awsAttributes": {"action": "kms:Decrypt", "resource": arn, "context": {}}}
    conditions = ["--condition", "a:b=1", "--condition", "a:b=2=3"]
    assert run(["who-can", "kms:Decrypt", *conditions]) == 0
    assert asked.spec["awsAttributes"]["context"] == {"a:b": ["1", "2=3"]}


def test_a_policy_to_try_out_is_read_from_a_file(cloud: Cloud, tmp_path: Path) -> None:
    asked, file = Asked(cloud, {"subjects": [], "asked": 1}), tmp_path / "policy.json"
    file.write_text('{"Version": "2012-10-17"}')
    assert run(["who-can", "kms:Decrypt", ARN, "--resource-policy", str(file)]) == 0
    assert asked.spec["awsAttributes"]["resourcePolicy"] == '{"Version": "2012-10-17"}'


def test_can_i_ends_with_its_answer_and_shows_both_sides(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked(cloud, EXPLAINED)
    assert run(["can-i", "kms:Decrypt", ARN, "--as", "ed", "--as-group", "x"]) == 1
    assert (asked.spec["user"], asked.spec["groups"]) == ("ed", ["x"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "no: statement 0 denies it"
    assert rows[3].split()[:2] == ["roles", "yes"] and rows[4].split()[:2] == ["policies", "denied"]
    assert 'statement 0 "No" of the policy p (identity-based policy) denies it' in rows[4]
    Asked(cloud, {**EXPLAINED, "notConsidered": "lists of buckets"})
    assert run(["can-i", "s3:GetObject", "bucket/b"]) == 1
    assert "not considered: lists of buckets" in capsys.readouterr().out
    Asked(cloud, {**EXPLAINED, "allowed": True})
    assert run(["can-i", "get", "services", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["allowed"]


def test_why_tells_what_decided_and_what_would_now(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked(cloud, {"denials": [DENIAL]})
    assert run(["why", "r1"]) == 0
    assert asked.spec == {"requestId": "r1"}
    out = capsys.readouterr().out
    for words in ("who:       ed", f"kms:Decrypt on {ARN}", "User: ed is not authorized", "refused again",
                  'decided:   statement 0 "No" of the policy p'):  # fmt: skip
        assert words in out
    named = {"resource": "secrets", "namespace": "team", "name": "db"}
    Asked(cloud, {"denials": [{**DENIAL, "resource": named, "principal": ""}]})
    assert run(["why"]) == 0
    assert "secrets/db in team" in capsys.readouterr().out
    Asked(cloud, {"denials": []})
    assert run(["why"]) == 0
    assert capsys.readouterr().out == "nothing was refused lately\n"


def test_an_id_nobody_knows_is_said_with_the_next_step(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.refuse = lambda _: status(404, 'no refusal of request "x" is known here')
    assert run(["why", "x"]) == 1
    assert "see the newest: aerekos why" in capsys.readouterr().err


def test_a_refusal_says_how_to_ask_why(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    refused = status(403, 'services is forbidden: User "ed" cannot list resource "services"')
    refused.headers["x-request-id"] = "r7"
    known = {path: httpx.Response(200, json=found) for path, found in DISCOVERY.items()}
    cloud.refuse = lambda request: known.get(request.url.path, refused)
    assert run(["get", "services"]) == 1
    assert "aerekos why r7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["who-can", "delete"], "delete what?"),
        (["who-can", "delete", "servcies"], "did you mean services?"),
        (["who-can", "kms:Decrypt", "key"], "which key?"),
        (["who-can", "kms:Decrypt", "--subresource", "x"], "for verbs"),
        (["who-can", "get", "services", "--condition", "a=b"], "for actions of AWS"),
        (["who-can", "get", "services", "--resource-policy", __file__], "for actions of AWS"),
        (["who-can", "kms:Decrypt", "--condition", "ab"], "is no condition key"),
        (["why", "-o", "wide"], "is no output"),
    ],
)
def test_misuse_is_named(cloud: Cloud, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    Asked(cloud, {})
    assert run(arguments) == 2
    assert words in capsys.readouterr().err
