"""Nobody has a service do by a resource what they may not do themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from unit.api.components import HOW, House, make_house

from api.auth.principal import AUTHENTICATED, Principal
from crds.kinds.rbac import ROLE, ROLE_BINDING
from crds.kinds.user import USER
from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.kinds import DATABASE
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT
from services.webhook_manager.source_kinds import WEBHOOK_SOURCE

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
JO = Principal("jo", frozenset({AUTHENTICATED}))
PLACE = "/apis/aerekos.cloud/v1/namespaces/default"
SOURCE = {"provider": "GitHub", "secretName": "s", "endpoint": "e"}
URL = "https://hooks.example.com"
WRITES = {
    "apiGroups": ["aerekos.cloud"],
    "resources": ["webhooksources", "webhookendpoints", "databases"],
    "verbs": ["get", "create", "update", "patch"],
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for kind in (WEBHOOK_ENDPOINT, WEBHOOK_SOURCE, DATABASE, DATABASE_BACKUP, DATABASE_PARAMETER_GROUP):
        made.registry.catalog.add(kind)
    await made.registry.create(USER, "", {"metadata": {"name": "jo"}, "spec": {"roles": []}}, HOW)
    yield made
    await made.close()


async def allow(house: House, name: str, *rules: Json) -> None:
    """Jo may do that in the namespace `default`."""
    await house.registry.create(ROLE, "default", {"metadata": {"name": name}, "rules": list(rules)}, HOW)
    group = ROLE.group
    bound = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "jo"}],
    }
    await house.registry.create(ROLE_BINDING, "default", {"metadata": {"name": name}, **bound}, HOW)


async def write(house: House, method: str, path: str, body: Json, sort: str = "json") -> int:
    headers = {**house.bearer(JO), "content-type": f"application/{sort}"}
    async with house.client(headers) as client:
        return (await client.request(method, f"{PLACE}/{path}", content=json.dumps(body))).status_code


def named(kind: str, name: str, **spec: Any) -> Json:
    return {"apiVersion": "aerekos.cloud/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


async def test_a_source_sends_through_endpoints_its_writer_may_use(house: House) -> None:
    await allow(house, "writes", WRITES)
    source = named("WebhookSource", "s", **SOURCE)
    applied = "webhooksources/s?fieldManager=t"
    assert await write(house, "POST", "webhooksources", source) == 403
    assert await write(house, "PATCH", applied, source, "apply-patch+yaml") == 403
    rule = {"apiGroups": ["aerekos.cloud"], "resources": ["webhookendpoints"], "verbs": ["use"]}
    await allow(house, "uses", {**rule, "resourceNames": ["e"]})
    assert await write(house, "POST", "webhooksources", source) == 201
    other = {"spec": {"endpoint": "f"}}
    assert await write(house, "PATCH", "webhooksources/s", other, "merge-patch+json") == 403
    assert await write(house, "PATCH", "webhooksources/s", {"spec": {"enabled": False}}, "merge-patch+json") == 200


async def test_an_endpoint_gets_events_its_writer_may_read(house: House) -> None:
    await allow(house, "writes", WRITES)
    assert await write(house, "POST", "webhookendpoints", named("WebhookEndpoint", "e", url=URL, events={})) == 403
    assert await write(house, "POST", "webhookendpoints", named("WebhookEndpoint", "e", url=URL)) == 201
    merge = "merge-patch+json"
    assert await write(house, "PATCH", "webhookendpoints/e", {"spec": {"events": {}}}, merge) == 403
    wanted = named("WebhookEndpoint", "w", url=URL, events={"types": ["Warning"]})
    await house.registry.create(WEBHOOK_ENDPOINT, "default", wanted, HOW)
    assert await write(house, "PATCH", "webhookendpoints/w", {"spec": {"url": f"{URL}/jo"}}, merge) == 403
    away = named("WebhookEndpoint", "w", url=f"{URL}/jo")
    path = "webhookendpoints/w?fieldManager=t&force=true"
    assert await write(house, "PATCH", path, away, "apply-patch+yaml") == 403
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert await write(house, "PATCH", "webhookendpoints/w", labels, merge) == 200
    await allow(house, "reads", {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]})
    assert await write(house, "PATCH", "webhookendpoints/w", {"spec": {"url": f"{URL}/jo"}}, merge) == 200


@pytest.mark.parametrize(("plural", "member"), [("databases", "database"), ("databasebackups", "backup")])
async def test_a_database_begins_with_what_its_maker_may_read(plural: str, member: str, house: House) -> None:
    await allow(house, "writes", {**WRITES, "verbs": ["create", "update", "patch"]})
    restored = named("Database", "d", engine="postgresql", restore={member: "other"})
    applied, merge = "databases/d?fieldManager=t", "merge-patch+json"
    assert await write(house, "POST", "databases", restored) == 403
    assert await write(house, "PATCH", applied, restored, "apply-patch+yaml") == 403
    assert await write(house, "POST", "databases", named("Database", "n", engine="postgresql")) == 201
    await house.registry.create(DATABASE, "default", restored, HOW)
    assert await write(house, "POST", "databases", restored) == 403
    assert await write(house, "PATCH", "databases/d", {"spec": {"enabled": False}}, merge) == 200
    rule = {"apiGroups": ["aerekos.cloud"], "resources": [plural], "verbs": ["get"], "resourceNames": ["other"]}
    await allow(house, "reads", rule)
    again = named("Database", "e", engine="postgresql", restore={member: "other"})
    assert await write(house, "POST", "databases", again) == 201
    third = named("Database", "f", engine="postgresql", restore={member: "third"})
    assert await write(house, "POST", "databases", third) == 403


@pytest.mark.parametrize("endpoint", [3, ["e"], {"a": "b"}])
async def test_what_is_no_name_is_refused_in_words(endpoint: Any, house: House) -> None:
    await allow(house, "writes", WRITES)
    body = named("WebhookSource", "s", **{**SOURCE, "endpoint": endpoint})
    assert await write(house, "POST", "webhooksources", body) == 422
