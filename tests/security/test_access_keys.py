"""AWS keys are two per user, can take each other's place, and end at once; nothing remembers them for long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from unit.api.components import HOW, House, make_house

from api.auth.access_keys import MOST_KEYS, USE_NOTED_EVERY
from crds.errors import NotFound
from crds.kinds.access_key import ACCESS_KEY
from crds.kinds.user import MADE_BY, USER
from services.sdk.remembered import REMEMBER_SECONDS

pytestmark = pytest.mark.anyio
KEYS = "/auth/access-keys"
PASSWORD = "correct horse battery"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "editor", password=PASSWORD)
    await made.add_user("root", "admin", password=PASSWORD)
    yield made
    await made.close()


async def ask(house: House, name: str, method: str, path: str, **options: Any) -> httpx.Response:
    token = house.tokens.issue((await _principal(house, name)), seconds=600, sid=house.pretended_session(name))
    async with house.client({"authorization": f"Bearer {token}"}) as client:
        return await client.request(method, path, **options)


async def _principal(house: House, name: str) -> Any:
    from api.auth.users import principal_of

    user = house.accounts.user(name)
    assert user is not None
    return principal_of(user)


def opens(house: House, key_id: str) -> bool:
    try:
        return house.accounts.owner_of(key_id)[0].metadata.name == "ann"
    except NotFound:
        return False


async def test_a_key_is_replaced_without_a_gap(house: House) -> None:
    """New key, switch over, old one off, old one deleted: as with AWS."""
    (first,) = (await ask(house, "ann", "GET", KEYS)).json()["accessKeys"]
    made = (await ask(house, "ann", "POST", KEYS, json={})).json()
    assert len(made["secretAccessKey"]) == 40 and made["accessKeyId"] != first["accessKeyId"]
    assert opens(house, first["accessKeyId"]) and opens(house, made["accessKeyId"])
    assert house.accounts.owner_of(made["accessKeyId"])[1].secret == made["secretAccessKey"]
    assert (await ask(house, "ann", "POST", KEYS, json={})).status_code == 409, "two are the most"
    old = f"{KEYS}/{first['accessKeyId']}"
    assert (await ask(house, "ann", "PATCH", old, json={"state": "Inactive"})).json()["state"] == "Inactive"
    assert not opens(house, first["accessKeyId"]) and opens(house, made["accessKeyId"])
    assert house.accounts.access_key("ann").id == made["accessKeyId"], "`aerekos env` gives the one that is on"
    assert (await ask(house, "ann", "PATCH", old, json={"state": "Active"})).json()["state"] == "Active"
    assert opens(house, first["accessKeyId"])
    assert (await ask(house, "ann", "DELETE", old)).status_code == 204
    assert not opens(house, first["accessKeyId"])
    assert (await ask(house, "ann", "PATCH", old, json={"state": "Active"})).status_code == 404, "deleted is for good"
    third = (await ask(house, "ann", "POST", KEYS, json={})).json()["accessKeyId"]
    shown = (await ask(house, "ann", "GET", KEYS)).json()["accessKeys"]
    assert {each["accessKeyId"] for each in shown} == {made["accessKeyId"], third} and len(shown) == MOST_KEYS


async def test_whom_iam_made_has_the_keys_that_were_made_for_them(house: House) -> None:
    unmade = house.accounts.access_key("ann").id
    await house.registry.merge(USER, USER.key("ann"), {"metadata": {"labels": {MADE_BY: "iam"}}}, HOW)
    assert (await ask(house, "root", "GET", f"{KEYS}?user=ann")).json()["accessKeys"] == []
    assert not opens(house, unmade), "nobody was told of it"
    made = [(await ask(house, "root", "POST", f"{KEYS}?user=ann", json={})).json() for _ in range(MOST_KEYS)]
    assert all(opens(house, each["accessKeyId"]) for each in made)


async def test_keys_are_one_s_own(house: House) -> None:
    (first,) = (await ask(house, "ann", "GET", KEYS)).json()["accessKeys"]
    path = f"{KEYS}/{first['accessKeyId']}"
    await house.add_user("eve", "editor")
    assert (await ask(house, "eve", "GET", f"{KEYS}?user=ann")).status_code == 403
    for method, body in (("PATCH", {"state": "Inactive"}), ("DELETE", None)):
        assert (await ask(house, "eve", method, path, json=body)).status_code == 404
        assert (await ask(house, "eve", method, f"{path}?user=ann", json=body)).status_code == 403
    assert opens(house, first["accessKeyId"])
    shown = await ask(house, "root", "GET", f"{KEYS}?user=ann")
    assert shown.status_code == 200 and "secret" not in shown.text.lower()
    off = await ask(house, "root", "PATCH", f"{path}?user=ann", json={"state": "Inactive"})
    assert off.status_code == 200 and not opens(house, first["accessKeyId"])


async def test_a_user_of_the_same_name_does_not_inherit_keys(house: House) -> None:
    made = (await ask(house, "ann", "POST", KEYS, json={})).json()["accessKeyId"]
    first = house.accounts.access_key("ann").id
    await house.registry.delete(USER, USER.key("ann"), HOW)
    await house.add_user("ann", "admin")
    assert not opens(house, made) and not opens(house, first)


async def test_who_is_disabled_signs_nothing(house: House) -> None:
    made = (await ask(house, "ann", "POST", KEYS, json={})).json()["accessKeyId"]
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"disabled": True}}, HOW)
    assert not opens(house, made)


async def test_the_last_use_is_told_and_writes_little(house: House) -> None:
    first = house.accounts.access_key("ann").id
    for _ in range(100):
        house.accounts.access_keys.used(first, "storage-manager")
    before = house.store.revision
    await house.accounts.access_keys.note_uses()
    assert house.store.revision == before + 1
    (told,) = (await ask(house, "ann", "GET", KEYS)).json()["accessKeys"]
    assert told["lastUsedAt"] and told["lastUsedService"] == "storage-manager"
    for _ in range(5):
        house.clock.forward(60)
        house.accounts.access_keys.used(first, "key-manager")
        await house.accounts.access_keys.note_uses()
    assert house.store.revision == before + 1
    house.clock.forward((USE_NOTED_EVERY + timedelta(seconds=1)).total_seconds())
    house.accounts.access_keys.used(first, "key-manager")
    await house.accounts.access_keys.note_uses()
    assert house.store.revision == before + 2


async def test_no_secret_is_kept_and_no_answer_may_be(house: House) -> None:
    made = await ask(house, "ann", "POST", KEYS, json={})
    assert made.headers["cache-control"] == "no-store"
    (record,) = house.store.list(ACCESS_KEY.group, ACCESS_KEY.plural).records
    assert made.json()["secretAccessKey"].encode() not in record.body


async def test_services_remember_keys_and_rights_for_a_second(house: House) -> None:
    from api.auth.routes.identities import _SIGNING_KEY_SECONDS

    assert _SIGNING_KEY_SECONDS <= 1 and REMEMBER_SECONDS <= 1
