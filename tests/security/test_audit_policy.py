"""Audit policies as Kubernetes has them: what is understood is obeyed, what is not is refused, secrets stay out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.api.components import ADMIN, House, make_house

from api.audit.attributes import attributes_of
from api.audit.options import AuditOptions
from api.audit.policy import Level, PolicyFault, read_policy
from crds.catalog import CORE_KINDS

NAMESPACES = "/api/v1/namespaces"
CONFIGS = f"{NAMESPACES}/default/configmaps"


def policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}


Opened = Callable[[dict[str, Any]], Any]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_(document: dict[str, Any]) -> AsyncIterator[House]:
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(document))
        house = await make_house(tmp_path, AuditOptions(policy=file))
        yield house
        await house.close()

    return open_


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


@pytest.mark.anyio
async def test_levels_say_how_much_is_kept(opened: Opened, tmp_path: Path) -> None:
    document = policy(
        {"level": "None", "verbs": ["list"]},
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["configmaps"]}], "verbs": ["create"]},
        {"level": "Request", "resources": [{"group": "", "resources": ["configmaps"]}], "verbs": ["update"]},
        {"level": "Metadata"},
    )
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v1"}}
    async with opened(document) as house, house.client(house.bearer(ADMIN)) as client:
        made = await client.post(CONFIGS, json=config)
        await client.put(f"{CONFIGS}/a", json={**made.json(), "data": {"k": "v2"}})
        await client.get(f"{CONFIGS}/a")
        await client.get(CONFIGS)
    created, replaced, got = lines(tmp_path)
    assert (created["level"], created["requestObject"]["data"]) == ("RequestResponse", {"k": "v1"})
    assert created["responseObject"]["metadata"]["uid"]
    assert replaced["requestObject"]["data"] == {"k": "v2"} and "responseObject" not in replaced
    assert got["level"] == "Metadata" and not {"requestObject", "responseObject"} & set(got)


@pytest.mark.anyio
async def test_no_policy_gets_a_secret_a_password_or_a_token_into_the_log(opened: Opened, tmp_path: Path) -> None:
    async with opened(policy({"level": "RequestResponse"})) as house:
        await house.add_user("ada", "admin", password="a long enough one")
        async with house.client(house.bearer(ADMIN)) as client:
            body = {"metadata": {"name": "db"}, "stringData": {"p": "hunter2-hunter2"}}
            await client.post(f"{NAMESPACES}/default/secrets", json=body)
            await client.get(f"{NAMESPACES}/default/secrets/db")
            pair = await client.post("/auth/login", json={"username": "ada", "password": "a long enough one"})
            token = pair.json()["accessToken"]
            await client.get("/auth/access-key", headers={"authorization": f"Bearer {token}"})
            await client.post(f"{NAMESPACES}/default/serviceaccounts", json={"metadata": {"name": "robot"}})
            made = await client.post(f"{NAMESPACES}/default/serviceaccounts/robot/token", json={"spec": {}})
            hashed = {"metadata": {"name": "ada"}, "spec": {"passwordHash": "scrypt$secrethash"}}
            await client.patch(
                "/apis/aerekos.cloud/v1/credentials/ada",
                json=hashed,
                headers={"content-type": "application/merge-patch+json"},
            )
    text = (tmp_path / "audit.log").read_text()
    assert len(lines(tmp_path)) >= 7
    for secret in ("hunter2", "aHVudGVyMi", "a long enough one", token, made.json()["status"]["token"], "secrethash"):
        assert secret not in text


@pytest.mark.anyio
async def test_long_bodies_are_left_out_and_said_to_be(opened: Opened, tmp_path: Path) -> None:
    async with opened(policy({"level": "RequestResponse"})) as house, house.client(house.bearer(ADMIN)) as client:
        await client.post(CONFIGS, json={"metadata": {"name": "big"}, "data": {"k": "x" * 200_000}})
    (line,) = lines(tmp_path)
    assert "bytes" in line["requestObject"]["omitted"]
    assert (tmp_path / "audit.log").stat().st_size < 4096


@pytest.mark.anyio
async def test_what_is_refused_is_noted_whatever_the_policy_says(opened: Opened, tmp_path: Path) -> None:
    async with opened(policy({"level": "None"})) as house, house.client() as client:
        await client.get(NAMESPACES)
        assert (await client.get("/health")).status_code == 200
    (line,) = lines(tmp_path)
    assert (line["code"], line["decision"]) == (401, "forbid")


@pytest.mark.anyio
async def test_a_watch_is_noted_when_it_begins_and_stages_can_be_omitted(opened: Opened, tmp_path: Path) -> None:
    watch = {"watch": "true", "timeoutSeconds": "1"}
    async with opened(policy({"level": "Metadata"})) as house, house.client(house.bearer(ADMIN)) as client:
        await client.get(f"{NAMESPACES}/default/secrets", params=watch)
    assert [(line["verb"], line["stage"]) for line in lines(tmp_path)] == [
        ("watch", "ResponseStarted"),
        ("watch", "ResponseComplete"),
    ]
    (tmp_path / "audit.log").unlink()
    (tmp_path / "records.db").unlink()
    document = policy({"level": "Metadata", "omitStages": ["ResponseComplete"]}, omitStages=["RequestReceived"])
    async with opened(document) as house, house.client(house.bearer(ADMIN)) as client:
        await client.get(f"{NAMESPACES}/default/secrets", params=watch)
    assert [line["stage"] for line in lines(tmp_path)] == ["ResponseStarted"]


def judged(document: dict[str, Any], method: str, path: str, user: str = "ada", *groups: str) -> Level:
    return read_policy(document).judge(user, frozenset(groups), attributes_of(method, path)).level


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ({"users": ["bo"]}, "GET", CONFIGS, False),
        ({"users": ["ada"]}, "GET", CONFIGS, True),
        ({"userGroups": ["devs"]}, "GET", CONFIGS, True),
        ({"verbs": ["get"]}, "GET", CONFIGS, False),
        ({"verbs": ["list"]}, "GET", CONFIGS, True),
        ({"verbs": ["deletecollection"]}, "DELETE", CONFIGS, True),
        ({"namespaces": ["default"]}, "GET", CONFIGS, True),
        ({"namespaces": ["other"]}, "GET", CONFIGS, False),
        ({"namespaces": [""]}, "GET", NAMESPACES, True),
        ({"resources": [{"group": ""}]}, "GET", CONFIGS, True),
        ({"resources": [{"group": "apps"}]}, "GET", CONFIGS, False),
        ({"resources": [{"group": "*"}]}, "GET", CONFIGS, True),
        ({"resources": [{"group": "", "resources": ["configmaps"], "resourceNames": ["x"]}]}, "GET", CONFIGS, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "POST", f"{NAMESPACES}/d/pods/p/exec", False),
        ({"resources": [{"group": "", "resources": ["pods/exec"]}]}, "POST", f"{NAMESPACES}/d/pods/p/exec", True),
        ({"resources": [{"group": "", "resources": ["*/exec"]}]}, "POST", f"{NAMESPACES}/d/pods/p/exec", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "POST", f"{NAMESPACES}/d/pods/p/exec", True),
        ({"nonResourceURLs": ["/auth/*"]}, "POST", "/auth/login", True),
        ({"nonResourceURLs": ["/auth"]}, "POST", "/auth/login", False),
        ({"nonResourceURLs": ["*"]}, "GET", CONFIGS, False),
    ],
)
def test_rules_match_as_kubernetes_has_it(rule: dict[str, Any], method: str, path: str, matches: bool) -> None:
    found = judged(policy({"level": "Metadata", **rule}), method, path, "ada", "devs")
    assert (found is Level.METADATA) == matches


def test_the_first_rule_that_matches_decides() -> None:
    document = policy({"level": "None", "users": ["ada"]}, {"level": "Metadata"})
    assert judged(document, "GET", CONFIGS, "ada") is Level.NONE
    assert judged(document, "GET", CONFIGS, "bo") is Level.METADATA


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"apiVersion": "audit.k8s.io/v1beta1", "kind": "Policy", "rules": [{"level": "None"}]},
        policy(),
        policy({"level": "Everything"}),
        policy({"level": "Metadata", "user": ["ada"]}),
        policy({"level": "Metadata", "users": "ada"}),
        policy({"level": "Metadata", "resources": [{"resources": ["pods"], "kind": "Pod"}]}),
        policy({"level": "Metadata", "resources": [{"group": "", "resourceNames": ["x"]}]}),
        policy({"level": "Metadata", "resources": [{"group": ""}], "nonResourceURLs": ["/x"]}),
        policy({"level": "Metadata", "nonResourceURLs": ["/a*b"]}),
        policy({"level": "Metadata", "omitStages": ["Sometimes"]}),
        policy({"level": "Metadata"}, retries=3),
    ],
)
def test_a_policy_that_is_not_understood_is_refused(document: Any) -> None:
    with pytest.raises(PolicyFault):
        read_policy(document)


def test_kinds_that_are_sealed_on_disk_are_not_open_in_the_log() -> None:
    everything = policy({"level": "RequestResponse"})
    sealed = [kind for kind in CORE_KINDS if kind.sealed or kind.internal]
    assert len(sealed) > 4
    for kind in sealed:
        root = f"/apis/{kind.group}" if kind.group else "/api"
        for path in (f"{root}/{kind.version}/{kind.plural}/x", f"{root}/{kind.version}/namespaces/n/{kind.plural}/x"):
            assert judged(everything, "PUT", path) is Level.METADATA, kind.name


@pytest.mark.anyio
async def test_what_admission_wants_noted_is_noted(opened: Opened, tmp_path: Path) -> None:
    async with opened(policy({"level": "Metadata"})) as house, house.client(house.bearer(ADMIN)) as client:
        labels = {
            "pod-security.kubernetes.io/audit": "restricted",
            "pod-security.kubernetes.io/enforce": "privileged",
        }
        await client.post(NAMESPACES, json={"metadata": {"name": "loose", "labels": labels}})
        service = {
            "metadata": {"name": "web"},
            "spec": {"image": "x:1", "ports": [{"port": 80, "published": 18080}]},
        }
        made = await client.post("/apis/aerekos.cloud/v1/namespaces/loose/services", json=service)
        assert made.status_code == 201, made.text
    told = [line for line in lines(tmp_path) if line["code"] == 201 and line["path"].endswith("/services")]
    assert "would violate" in json.dumps(told[0]["annotations"])
