"""Every write leaves one line that says who, what and how it ended; reads and routine leave none."""

import json

import pytest
from unit.api.house import ADMIN

pytestmark = pytest.mark.anyio
NAMESPACES = "/api/v1/namespaces"


def lines(folder):
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


async def test_writes_are_noted_reads_are_not(house, tmp_path):
    async with house.client(house.bearer(ADMIN)) as client:
        await client.post(NAMESPACES, json={"metadata": {"name": "room"}}, headers={"user-agent": "kubectl/v1"})
        await client.get(NAMESPACES)
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


async def test_a_presigned_url_cannot_be_used_again_from_the_log(house, tmp_path):
    query = "X-Amz-Credential=AKIA/20260101/eu/s3/aws4_request&X-Amz-Signature=abc123&X-Amz-Security-Token=t0k3n&a=1"
    async with house.client() as client:
        await client.put(f"/bucket/key?{query}", content=b"x")
    (line,) = lines(tmp_path)
    assert line["query"].endswith("&X-Amz-Signature=...&X-Amz-Security-Token=...&a=1")
