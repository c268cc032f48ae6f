"""/auth over HTTP: logging in, refreshing, passwords, identities, joining."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from unit.api.components import ADMIN, CA, COOKIE, HOW, House

from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from crds.kinds.join_token import JOIN_TOKEN
from crds.kinds.service import SERVICE
from crds.kinds.user import USER
from crds.kinds.worker import WORKER
from crds.model import rfc3339

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse"
SECRET = "s3cret"
KEYS = Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED}))


async def post(house: House, path: str, body: Any, **headers: str) -> httpx.Response:
    async with house.client(headers) as client:
        return await client.post(path, json=body)


async def login(house: House, **more: Any) -> httpx.Response:
    return await post(house, "/auth/login", {"username": "ann", "password": PASSWORD, **more})


async def test_login_and_refresh(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    answer = (await login(house)).json()
    assert answer["expiresIn"] == 900
    again = (await post(house, "/auth/refresh", {"refreshToken": answer["refreshToken"]})).json()
    for token in (answer["accessToken"], again["accessToken"]):
        async with house.client({"authorization": f"Bearer {token}"}) as client:
            me = (await client.get("/auth/whoami")).json()
        assert (me["name"], me["namespace"]) == ("ann", "default")


async def test_a_browser_gets_its_refresh_token_where_no_script_reads_it(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    async with house.client() as client:
        first = await client.post("/auth/login", json={"username": "ann", "password": PASSWORD, "cookie": True})
        assert "refreshToken" not in first.json()
        cookie = first.headers["set-cookie"]
        for word in (f"{COOKIE.name}=", "HttpOnly", "Secure", "SameSite=strict", "Path=/;"):
            assert word in cookie
        key = {"x-aerekos-refresh-key": first.json()["refreshKey"]}
        assert (await client.post("/auth/refresh", json={}, headers=key)).json()["accessToken"]
        await client.post("/auth/logout")
        assert (await client.post("/auth/refresh", json={}, headers=key)).status_code == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "ann", "password": "wrong"}, 401),
        ({"username": "", "password": ""}, 401),
        ({"username": "../../x", "password": "x"}, 401),
        ({"username": "ann"}, 422),
        ({"username": "ann", "password": ["x"]}, 422),
        ({"username": "ann", "password": "x" * 2000}, 422),
        ({"username": "x" * 10_000, "password": "x"}, 422),
        ([], 422),
    ],
)
async def test_a_bad_login_is_a_status_and_never_repeats_the_password(house: House, body: Any, code: int) -> None:
    await house.add_user("ann", password=PASSWORD)
    answer = await post(house, "/auth/login", body)
    assert (answer.status_code, answer.json()["kind"], answer.json()["code"]) == (code, "Status", code)
    assert "x" * 100 not in answer.text


async def test_a_password_with_half_a_character_is_invalid_not_an_error(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    async with house.client() as client:
        body = b'{"username":"ann","password":"\\ud800 and more"}'
        answer = await client.post("/auth/login", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (401, 422)


async def test_people_change_their_own_password_and_admins_everybody_s(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    await house.add_user("bob", password=PASSWORD)
    ann = house.bearer(Principal("ann", frozenset({"aerekos:viewer", AUTHENTICATED})))
    change = {"username": "ann", "password": "a new password"}
    assert (await post(house, "/auth/password", change, **ann)).status_code == 401  # `current` is missing
    assert (await post(house, "/auth/password", {**change, "username": "bob"}, **ann)).status_code == 403
    assert (await post(house, "/auth/password", {**change, "current": PASSWORD}, **ann)).status_code == 204
    assert (await login(house)).status_code == 401
    other = {"username": "bob", "password": "set by an admin"}
    assert (await post(house, "/auth/password", other, **house.bearer(ADMIN))).status_code == 204
    assert (
        await post(house, "/auth/password", {**other, "password": "short"}, **house.bearer(ADMIN))
    ).status_code == 422
    assert (await post(house, "/auth/password", other)).status_code == 401


async def test_a_service_gets_a_token_for_its_credential_file(house: House) -> None:
    await house.add_service("key-manager")
    secret = house.accounts.client_secret("service:key-manager", SERVICE.key("key-manager"))
    client = {"clientId": "service:key-manager", "clientSecret": secret}
    answer = (await post(house, "/auth/token", client)).json()
    assert house.tokens.read(answer["accessToken"]).service == "key-manager"
    assert (await post(house, "/auth/token", {**client, "clientSecret": secret[:-1]})).status_code == 401
    aimed = (await post(house, "/auth/token", {**client, "audience": "storage-manager"})).json()
    assert house.tokens.read(aimed["accessToken"], "storage-manager").service == "key-manager"


async def test_a_service_s_refresh_token_does_not_exist(house: House) -> None:
    """Asking for the refresh audience gives a token that refreshes nothing."""
    await house.add_service("key-manager")
    secret = house.accounts.client_secret("service:key-manager", SERVICE.key("key-manager"))
    body = {"clientId": "service:key-manager", "clientSecret": secret, "audience": "refresh"}
    token = (await post(house, "/auth/token", body)).json()["accessToken"]
    assert (await post(house, "/auth/refresh", {"refreshToken": token})).status_code == 401


async def test_signing_keys_are_for_who_holds_a_signed_request(house: House) -> None:
    """What a service gets with one: tests/security/test_service_identity.py."""
    await house.add_user("ann", "editor", namespace="team-a")
    pair = house.accounts.access_key("ann")
    wanted = {"accessKeyId": pair.id, "date": "20260101", "region": "us-east-1", "service": "kms"}
    assert (await post(house, "/auth/signing-keys", wanted)).status_code == 401
    for who in (ADMIN, KEYS):
        assert (await post(house, "/auth/signing-keys", wanted, **house.bearer(who))).status_code == 403


async def test_everybody_may_know_the_ca_and_the_public_keys(house: House) -> None:
    async with house.client() as client:
        assert (await client.get("/auth/ca.pem")).content == CA
        assert [key["alg"] for key in (await client.get("/auth/jwks")).json()["keys"]] == ["ES256"]
        assert (await client.get("/auth/whoami")).status_code == 401


async def a_join_token(house: House, **spec: Any) -> str:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    expires = rfc3339(house.clock.now() + timedelta(hours=1))
    body = {"metadata": {"name": "door"}, "spec": {"secretSha256": digest, "expiresAt": expires, **spec}}
    await house.registry.create(JOIN_TOKEN, "", body, HOW)
    return f"door.{SECRET}.cafe"


async def test_a_machine_joins_and_proves_itself(house: House) -> None:
    token = await a_join_token(house)
    answer = (await post(house, "/auth/join", {"token": token, "name": "oak"})).json()
    assert (answer["worker"], answer["clientId"], answer["ca"]) == ("oak", "worker:oak", CA.decode())
    assert house.store.get(WORKER.key("oak")) is not None
    proof = {name: answer[name] for name in ("clientId", "clientSecret")}
    issued = (await post(house, "/auth/token", proof)).json()["accessToken"]
    assert house.tokens.read(issued).worker == "oak"
    used = house.registry.get(JOIN_TOKEN, JOIN_TOKEN.key("door")).object["status"]
    assert (used["used"], used["usedBy"]) == (1, ["oak"])


async def test_who_joins_again_gets_another_secret_and_the_one_before_is_revoked(house: House) -> None:
    """The attack: a silent worker's name and any join token gave the secret that worker goes on using."""
    token = await a_join_token(house, uses=2)
    first, second = [(await post(house, "/auth/join", {"token": token, "name": "oak"})).json() for _ in range(2)]
    assert first["clientSecret"] != second["clientSecret"]
    proofs = [{"clientId": "worker:oak", "clientSecret": each["clientSecret"]} for each in (first, second)]
    assert [(await post(house, "/auth/token", each)).status_code for each in proofs] == [401, 200]


async def test_a_used_up_token_lets_nobody_in(house: House) -> None:
    token = await a_join_token(house, uses=1)
    assert (await post(house, "/auth/join", {"token": token, "name": "oak"})).status_code == 200
    assert (await post(house, "/auth/join", {"token": token, "name": "elm"})).status_code == 401
    assert house.store.get(WORKER.key("elm")) is None


async def test_the_last_use_has_one_winner_and_earlier_ones_have_no_losers(house: House) -> None:
    token = await a_join_token(house, uses=5)
    codes: list[int] = []

    async def join(name: str) -> None:
        codes.append((await post(house, "/auth/join", {"token": token, "name": name})).status_code)

    async with anyio.create_task_group() as group:
        for n in range(8):
            group.start_soon(join, f"tree-{n}")
    assert sorted(codes) == [200] * 5 + [401] * 3


async def test_an_expired_or_revoked_token_lets_nobody_in(house: House) -> None:
    token = await a_join_token(house, uses=0)
    house.clock.forward(3601)
    assert (await post(house, "/auth/join", {"token": token, "name": "oak"})).status_code == 401
    house.clock.forward(-3601)
    assert (await post(house, "/auth/join", {"token": token, "name": "oak"})).status_code == 200
    await house.registry.merge(JOIN_TOKEN, JOIN_TOKEN.key("door"), {"spec": {"revoked": True}}, HOW)
    assert (await post(house, "/auth/join", {"token": token, "name": "elm"})).status_code == 401


@pytest.mark.parametrize(
    "token", ["", "door", "door.", "door.wrong", "other.s3cret.cafe", ".s3cret", "door.é.x", "a.b.c.d"]
)
async def test_a_wrong_token_lets_nobody_in(house: House, token: str) -> None:
    await a_join_token(house)
    answer = await post(house, "/auth/join", {"token": token, "name": "oak"})
    assert (answer.status_code, SECRET in answer.text) == (401, False)


@pytest.mark.parametrize("name", ["", "Oak", "a.b", "../x", "x" * 64, "system:oak"])
async def test_a_worker_s_name_is_a_dns_label(house: House, name: str) -> None:
    token = await a_join_token(house)
    assert (await post(house, "/auth/join", {"token": token, "name": name})).status_code == 422


async def test_tokens_of_users_who_are_gone_open_nothing(house: House) -> None:
    await house.add_user("ann", "admin", password=PASSWORD)
    headers = {"authorization": f"Bearer {(await login(house)).json()['accessToken']}"}
    async with house.client(headers) as client:
        assert (await client.get("/api/v1/namespaces")).status_code == 200
        await house.registry.delete(USER, USER.key("ann"), HOW)
        assert (await client.get("/api/v1/namespaces")).status_code == 401


async def test_nobody_takes_over_a_worker_that_lives(house: House) -> None:
    token = await a_join_token(house, uses=5)
    assert (await post(house, "/auth/join", {"token": token, "name": "oak"})).status_code == 200
    for ready, code in (("True", 409), ("False", 200)):
        conditions = [{"type": "Ready", "status": ready, "reason": "Heartbeat", "message": ""}]
        await house.registry.merge(
            WORKER, WORKER.key("oak"), {"status": {"conditions": conditions}}, HOW, subresource="status"
        )
        assert (await post(house, "/auth/join", {"token": token, "name": "oak"})).status_code == code
