"""Every write leaves one line that says who, what and how it ended; reads and routine leave none."""

import base64
import json

import pytest
from unit.api.components import ADMIN

from api.audit import Audit
from api.auth.principal import AUTHENTICATED, Principal

pytestmark = pytest.mark.anyio
NAMESPACES = "/api/v1/namespaces"


def lines(folder):
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


async def test_writes_are_noted_reads_are_not(house, tmp_path):
    async with house.client(house.bearer(ADMIN)) as client:
        await client.post(NAMESPACES, json={"metadata": {"name": "room"}}, headers={"user-agent": "kubectl/v1"})
        await client.get(NAMESPACES)
        await client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json={"spec": {}})
        await client.delete(f"{NAMESPACES}/nowhere", params={"dryRun": "All"})
    made, refused = lines(tmp_path)
    assert (made["user"], made["method"], made["path"], made["code"]) == (ADMIN.name, "POST", NAMESPACES, 201)
    assert made["userAgent"] == "kubectl/v1" and made["requestId"]
    assert (refused["code"], refused["query"]) == (404, "dryRun=All")


async def test_who_proves_nothing_is_noted_without_a_name(house, tmp_path):
    async with house.client({"authorization": "Bearer nonsense"}) as client:
        await client.post(NAMESPACES, json={"metadata": {"name": "room"}})
        await client.post("/auth/login", json={"username": "ada", "password": "guess-me"})
    assert [(line["user"], line["path"], line["code"]) for line in lines(tmp_path)] == [
        ("", NAMESPACES, 401),
        ("", "/auth/login", 401),
    ]
    assert "guess-me" not in (tmp_path / "audit.log").read_text()


async def test_a_refused_login_is_noted_with_the_user_it_was_for_and_no_other_word(house, tmp_path):
    """People type their password where their name belongs."""
    await house.add_user("ada", password="very-secret-word")
    basic = {"authorization": "Basic " + base64.b64encode(b"ada:guess").decode()}
    async with house.client() as client:
        for name in ("ada", "very-secret-word", "Ada", "", "../ada", "a" * 253):
            await client.post("/auth/login", json={"username": name, "password": "guess"})
        await client.post("/auth/totp", json={"username": "ada", "password": "guess"})
        await client.get("/v2/token", headers=basic)
    found = lines(tmp_path)
    assert [line.get("login") for line in found] == ["ada", None, None, None, None, None, "ada", "ada"]
    assert {line["user"] for line in found} == {""} and {line["code"] for line in found} == {401}
    assert "very-secret-word" not in (tmp_path / "audit.log").read_text()


async def test_who_logged_in_is_noted(house, tmp_path):
    await house.add_user("ada", password="very-secret-word")
    async with house.client() as client:
        await client.post("/auth/login", json={"username": "ada", "password": "very-secret-word"})
    assert [(line["user"], line["code"]) for line in lines(tmp_path)] == [("ada", 200)]


async def test_a_presigned_url_cannot_be_used_again_from_the_log(house, tmp_path):
    query = "X-Amz-Credential=AKIA/20260101/eu/s3/aws4_request&X-Amz-Signature=abc123&X-Amz-Security-Token=t0k3n&a=1"
    async with house.client() as client:
        await client.put(f"/bucket/key?{query}", content=b"x")
    (line,) = lines(tmp_path)
    assert line["query"].endswith("&X-Amz-Signature=...&X-Amz-Security-Token=...&a=1")


async def test_admins_read_the_newest_lines_and_nobody_else_does(house):
    async with house.client(house.bearer(ADMIN)) as client:
        for name in ("one", "two", "three"):
            await client.post(NAMESPACES, json={"metadata": {"name": name}})
        found = (await client.get("/audit", params={"tail": 2})).json()["items"]
    assert [(line["path"], line["code"]) for line in found] == [(NAMESPACES, 201)] * 2
    for role in ("viewer", "editor"):
        await house.add_user(role, role)
        somebody = Principal(role, frozenset({f"aerekos:{role}", AUTHENTICATED}))
        async with house.client(house.bearer(somebody)) as client:
            assert (await client.get("/audit")).status_code == 403


async def test_after_a_restart_the_last_whole_lines_are_known(tmp_path, house):
    file = tmp_path / "old" / "audit.log"
    file.parent.mkdir()
    file.write_bytes(b'{"user":"ada"}\n{"user":"bo"}\n{"broken')
    audit = Audit(file, house.clock)
    assert audit.since(0) == (2, [b'{"user":"ada"}', b'{"user":"bo"}'])
    audit.note({"method": "POST", "path": "/x", "query_string": b"", "headers": []}, None, 201, "r")
    count, fresh = audit.since(2)
    assert (count, json.loads(fresh[0])["path"]) == (3, "/x")
    assert audit.since(3) == (3, [])
    audit.close()
