"""Who may do what: every role with every verb on every kind, through the real door. Default deny."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from unit.api.components import ADMIN, House

from api.auth.authorizer import Action
from api.auth.principal import AUTHENTICATED, MASTERS, SERVICES, WORKERS, Principal
from crds.catalog import CORE_KINDS
from crds.kind import Kind

pytestmark = pytest.mark.anyio
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
PEOPLE = {
    role: Principal(role, frozenset({f"aerekos:{role}", AUTHENTICATED})) for role in ("admin", "editor", "viewer")
}
NOBODY = Principal("nobody", frozenset({AUTHENTICATED}))
GUARDED = {"users", "credentials", "jointokens", "workers"}


def ids(kind: Kind[Any]) -> str:
    return kind.plural


def asked(house: House, who: Principal, verb: str, kind: Kind[Any], namespace: str = "default") -> bool:
    return house.authorizer.allows(who, Action(verb, kind.group, kind.plural, namespace if kind.namespaced else ""))


@pytest.mark.parametrize("kind", CORE_KINDS, ids=ids)
async def test_who_has_no_role_may_nothing(house: House, kind: Kind[Any]) -> None:
    strangers = (NOBODY, Principal("x", frozenset()), Principal("x", frozenset({"aerekos:owner", "admin", "*", ""})))
    for who, verb in itertools.product(strangers, (*READ, *WRITE, "use", "*", "")):
        assert not asked(house, who, verb, kind)


@pytest.mark.parametrize("kind", CORE_KINDS, ids=ids)
async def test_viewers_change_nothing(house: House, kind: Kind[Any]) -> None:
    assert not any(asked(house, PEOPLE["viewer"], verb, kind) for verb in (*WRITE, "use", "*"))


@pytest.mark.parametrize("kind", [each for each in CORE_KINDS if each.plural in GUARDED], ids=ids)
async def test_editors_do_not_decide_who_comes_in(house: House, kind: Kind[Any]) -> None:
    assert not any(asked(house, PEOPLE["editor"], verb, kind) for verb in WRITE)


@pytest.mark.parametrize("kind", [each for each in CORE_KINDS if each.internal], ids=ids)
async def test_internal_kinds_answer_to_masters_only(house: House, kind: Kind[Any]) -> None:
    service = Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED}))
    for who, verb in itertools.product((*PEOPLE.values(), service), (*READ, *WRITE)):
        assert not asked(house, who, verb, kind)
    assert asked(house, Principal("system:conductor", frozenset({MASTERS})), "get", kind)


async def test_workers_read_workers_and_nothing_else(house: House) -> None:
    worker = Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED}))
    allowed = {
        (verb, kind.plural) for verb in (*READ, *WRITE) for kind in CORE_KINDS if asked(house, worker, verb, kind)
    }
    assert allowed == {(verb, "workers") for verb in READ}


async def test_a_service_may_what_its_manifest_asks_for(house: House) -> None:
    mine = Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED}))
    unknown = Principal("system:service:unknown", frozenset({SERVICES, AUTHENTICATED, MASTERS}))
    assert house.authorizer.allows(mine, Action("get", "", "configmaps", "default"))
    for who, action in (
        (mine, Action("delete", "", "configmaps", "default")),
        (mine, Action("get", "", "secrets", "default")),
        (mine, Action("get", "aerekos.cloud", "users")),
        (unknown, Action("get", "", "configmaps", "default")),
        (unknown, Action("create", "authorization.k8s.io", "subjectaccessreviews")),
    ):
        assert not house.authorizer.allows(who, action)


async def test_secrets_are_for_those_who_work_with_them(house: House) -> None:
    assert not house.authorizer.allows(PEOPLE["viewer"], Action("get", "", "secrets", "default"))
    assert house.authorizer.allows(PEOPLE["editor"], Action("get", "", "secrets", "default"))


async def test_the_door_asks_before_it_looks(house: House) -> None:
    """A forbidden resource is forbidden whether it exists or not, for every verb's own request."""
    for name, role in (("vic", "viewer"), ("ed", "editor")):
        await house.add_user(name, role)
    vic = house.bearer(Principal("vic", frozenset({"aerekos:viewer", AUTHENTICATED})))
    users = "/apis/aerekos.cloud/v1/users"
    async with house.client(vic) as client:
        for path in (f"{users}/ed", f"{users}/nobody"):
            for method in ("PUT", "PATCH", "DELETE"):
                refused = await client.request(method, path, json={})
                assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
        assert (await client.post(users, json={})).status_code == 403
        assert (await client.delete(users)).status_code == 403
        assert (await client.get("/apis/aerekos.cloud/v1/credentials/ed")).status_code in (403, 404)


async def test_a_role_is_read_from_the_token_only_while_its_user_has_it(house: House) -> None:
    """Tokens carry groups for their short life; a token nobody signed carries none."""
    await house.add_user("vic", "viewer")
    async with house.client({"authorization": "Bearer made.up.token"}) as client:
        assert (await client.get("/api/v1/namespaces")).status_code == 401
    async with house.client() as client:
        refused = await client.get("/api/v1/namespaces")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="aerekos"')


async def test_services_impersonate_nobody(house: House) -> None:
    """They act for who called them, by that one's own identity token: tests/security/test_service_identity.py."""
    await house.add_user("vic", "viewer", namespace="team-a")
    mine = house.bearer(Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED})))

    async def acting(**headers: str) -> tuple[int, Any]:
        async with house.client({**mine, **headers}) as client:
            answer = await client.get("/auth/whoami")
        return answer.status_code, answer.json().get("groups")

    vic = {"impersonate-user": "vic", "impersonate-group": "aerekos:viewer"}
    assert (await acting(**vic))[0] == 403
    assert (await acting(**{"impersonate-user": "system:conductor"}))[0] == 403
    assert (await acting(**{**vic, "impersonate-group": "system:masters"}))[0] == 403
    assert (await acting(**{"impersonate-group": "aerekos:viewer"}))[0] == 400


async def test_people_act_for_nobody(house: House) -> None:
    await house.add_user("ann", "editor")
    ann = house.bearer(Principal("ann", frozenset({"aerekos:editor", AUTHENTICATED})))
    async with house.client({**ann, "impersonate-user": "vic"}) as client:
        assert (await client.get("/auth/whoami")).status_code == 403


async def test_who_acts_is_written_down(house: House) -> None:
    headers = {**house.bearer(ADMIN), "impersonate-user": "ann", "impersonate-group": "aerekos:editor"}
    body = {"metadata": {"name": "settings"}, "data": {}}
    async with house.client(headers) as client:
        assert (await client.post("/api/v1/namespaces/default/configmaps", json=body)).status_code == 201
    (record,) = house.store.list("", "configmaps").records
    assert record.written_by == f"ann (by {ADMIN.name})"
