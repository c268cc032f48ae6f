"""Bad input gets an error that names the field and the fix, with the code real servers give, and changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from clouds import Cloud
from jose import jwt

SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"
SERVICE: dict[str, Any] = {
    "apiVersion": "aerekos.cloud/v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"image": "nginx", "enabled": False},
}
STRICT = {"fieldValidation": "Strict"}


@pytest.fixture(scope="module")
def admin(cloud: Cloud) -> Iterator[httpx.Client]:
    with cloud.http() as client:
        yield client


@pytest.fixture(scope="module")
def nobody(cloud: Cloud) -> Iterator[httpx.Client]:
    with cloud.http(admin=False) as client:
        yield client


def wrong(answer: httpx.Response, code: int, reason: str, *words: str) -> None:
    """A Kubernetes Status with that code, whose text holds these words."""
    body = answer.json()
    assert (answer.status_code, body["kind"], body["code"], body["reason"]) == (code, "Status", code, reason), body
    for word in words:
        assert word in json.dumps(body), body


def changed(**spec: Any) -> dict[str, Any]:
    return {**SERVICE, "spec": {**SERVICE["spec"], **spec}}


@pytest.mark.parametrize(
    ("body", "code", "reason", "word"),
    [
        (changed(replica=3), 400, "BadRequest", "spec.replica"),
        (changed(replicas="three"), 422, "Invalid", "spec.replicas"),
        (changed(replicas=-1), 422, "Invalid", "spec.replicas"),
        (changed(replicas=1001), 422, "Invalid", "spec.replicas"),
        ({**SERVICE, "metadata": {"name": "Not_A_Label"}}, 422, "Invalid", "metadata.name"),
        ({**SERVICE, "metadata": {}}, 422, "Invalid", "metadata.name"),
        ({**SERVICE, "kind": "Key"}, 400, "BadRequest", "kind"),
        ({**SERVICE, "spec": {}}, 422, "Invalid", "managed"),
    ],
)
def test_a_wrong_field_is_named(admin: httpx.Client, body: dict[str, Any], code: int, reason: str, word: str) -> None:
    wrong(admin.post(SERVICES, params=STRICT, json=body), code, reason, word)
    assert admin.get(f"{SERVICES}/web").status_code == 404


def test_a_body_that_is_no_json(admin: httpx.Client) -> None:
    answer = admin.post(SERVICES, content=b"{half", headers={"content-type": "application/json"})
    wrong(answer, 400, "BadRequest", "JSON")


def test_a_body_of_another_type(admin: httpx.Client) -> None:
    answer = admin.post(SERVICES, content=b"<xml/>", headers={"content-type": "text/xml"})
    wrong(answer, 415, "UnsupportedMediaType", "application/json")


def test_five_megabytes_are_too_much(admin: httpx.Client) -> None:
    body = changed(env=[{"name": "BIG", "value": "x" * 5_000_000}])
    wrong(admin.post(SERVICES, json=body), 413, "RequestEntityTooLarge", "3 MiB")


def test_what_is_not_there(admin: httpx.Client) -> None:
    wrong(admin.get(f"{SERVICES}/nowhere"), 404, "NotFound", "nowhere")
    wrong(admin.get("/apis/aerekos.cloud/v1/castles"), 404, "NotFound")


def test_a_stale_version_is_a_conflict_and_changes_nothing(admin: httpx.Client) -> None:
    made = admin.post("/api/v1/namespaces", json={"metadata": {"name": "stale"}}).json()
    path = "/api/v1/namespaces/stale"
    patch = {"metadata": {"labels": {"a": "1"}}}
    first = admin.patch(path, json=patch, headers={"content-type": "application/merge-patch+json"}).json()
    wrong(admin.put(path, json=made), 409, "Conflict", "stale")
    assert admin.get(path).json()["metadata"]["labels"] == first["metadata"]["labels"]
    wrong(admin.post("/api/v1/namespaces", json={"metadata": {"name": "stale"}}), 409, "AlreadyExists", "stale")


def test_tokens_that_prove_nothing(cloud: Cloud, nobody: httpx.Client) -> None:
    claims = {"iss": "aerekos", "sub": "admin", "groups": ["system:masters"], "aud": "aerekos", "iat": 0}
    forged = jwt.encode({**claims, "exp": time.time() + 60}, "guessed", algorithm="HS256")
    unsigned = f"{forged.split('.')[0]}.{forged.split('.')[1]}."
    for token in ("nonsense", forged, unsigned):
        wrong(nobody.get(SERVICES, headers={"authorization": f"Bearer {token}"}), 401, "Unauthorized")


def test_who_gives_no_name_may_do_nothing(nobody: httpx.Client) -> None:
    answer = nobody.get(SERVICES)
    assert answer.status_code in (401, 403)
    assert nobody.post(SERVICES, json=SERVICE).status_code == answer.status_code


def test_aws_errors_are_the_real_ones(cloud: Cloud) -> None:
    unknown = cloud.aws("kms", "list-keys", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE")
    assert unknown.code != 0 and "UnrecognizedClientException" in unknown.err
    forged = cloud.aws("kms", "list-keys", AWS_SECRET_ACCESS_KEY="x" * 40)
    assert forged.code != 0 and "InvalidSignatureException" in forged.err
    missing = cloud.aws("kms", "describe-key", "--key-id", "alias/nowhere")
    assert missing.code != 0 and "NotFoundException" in missing.err


def test_commands_end_with_a_code_and_a_fix(cloud: Cloud) -> None:
    unknown = cloud.command("get", "castles")
    assert unknown.code != 0 and "castles" in unknown.err
    stray = cloud.command("apply", "-f", "-", text=json.dumps(changed(replica=3)))
    assert stray.code == 1 and "spec.replica" in stray.err
    assert cloud.command("get", "service", "web").code != 0
