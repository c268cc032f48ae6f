"""Every token is worth what its session is: asked again and again it gives nothing new, and ends with its login."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jose import jwt
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.sessions import IDLE, LONGEST, MOST_SESSIONS, REPEAT_SECONDS
from crds.errors import Unauthorized
from crds.kinds.session import SESSION
from crds.kinds.user import USER
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
NAMESPACES = "/api/v1/namespaces"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password=PASSWORD)
    yield made
    await made.close()


async def login(house: House, name: str = "ann") -> dict[str, Any]:
    async with house.client() as client:
        answer = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def ask(
    house: House, token: str, path: str = NAMESPACES, method: str = "GET", **options: Any
) -> httpx.Response:
    async with house.client({"authorization": f"Bearer {token}"}) as client:
        return await client.request(method, path, **options)


async def registry_token(house: House, token: str) -> str:
    """As `docker login -u token` gets one; empty when it is refused."""
    basic = base64.b64encode(f"token:{token}".encode()).decode()
    async with house.client({"authorization": f"Basic {basic}"}) as client:
        return str((await client.get("/v2/token")).json().get("token", ""))


async def pulls(house: House, token: str) -> bool:
    """Whether the image registry lets that token in (503: there is no registry behind it here)."""
    return (await ask(house, token, "/v2/")).status_code == 503


async def test_a_registry_token_ends_with_the_token_it_came_from(house: House) -> None:
    """The attack: one token, changed into a fresh one every few minutes, for ever."""
    token = (await login(house))["accessToken"]
    ends = jwt.get_unverified_claims(token)["exp"]
    for _ in range(6):
        house.clock.forward(200)
        found = await registry_token(house, token)
        if not found:
            break
        assert jwt.get_unverified_claims(found)["exp"] <= ends
        token = found
    assert house.clock.now().timestamp() >= ends
    assert not await pulls(house, token)


async def test_a_registry_token_opens_the_registry_and_nothing_else(house: House) -> None:
    token = await registry_token(house, (await login(house))["accessToken"])
    assert await pulls(house, token)
    for path in (NAMESPACES, "/auth/whoami", "/catalog", "/agents/leases", "/services/key-manager/x"):
        assert (await ask(house, token, path)).status_code == 401, path


@pytest.mark.parametrize("how", ["password", "disabled", "deleted", "logout", "logout-all", "recreated"])
async def test_what_ends_a_login_ends_everything_that_came_from_it(house: House, how: str) -> None:
    await house.add_user("bob", "editor", password=PASSWORD)
    pair = await login(house, "bob")
    access, registry = pair["accessToken"], await registry_token(house, pair["accessToken"])
    assert (await ask(house, access)).status_code == 200 and await pulls(house, registry)
    await END[how](house, access)
    assert (await ask(house, access)).status_code == 401
    assert not await pulls(house, registry)
    assert not await registry_token(house, access)
    async with house.client() as client:
        refused = await client.post("/auth/refresh", json={"refreshToken": pair["refreshToken"]})
    assert refused.status_code == 401


async def _password(house: House, _: str) -> None:
    await house.accounts.set_password("bob", "another horse entirely", one_time=False, by="bob")


async def _disabled(house: House, _: str) -> None:
    await house.registry.merge(USER, USER.key("bob"), {"spec": {"disabled": True}}, HOW)


async def _deleted(house: House, _: str) -> None:
    await house.registry.delete(USER, USER.key("bob"), HOW)


async def _recreated(house: House, _: str) -> None:
    await house.registry.delete(USER, USER.key("bob"), HOW)
    await house.add_user("bob", "admin")


async def _logout(house: House, token: str) -> None:
    assert (await ask(house, token, "/auth/logout", "POST", json={})).status_code == 204


async def _logout_all(house: House, token: str) -> None:
    assert (await ask(house, token, "/auth/logout-all", "POST", json={})).status_code == 204


END = {
    "password": _password,
    "disabled": _disabled,
    "deleted": _deleted,
    "recreated": _recreated,
    "logout": _logout,
    "logout-all": _logout_all,
}


async def test_a_password_s_registry_token_ends_with_the_password(house: House) -> None:
    basic = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    async with house.client({"authorization": f"Basic {basic}"}) as client:
        token = (await client.get("/v2/token")).json()["token"]
    assert await pulls(house, token)
    assert not house.accounts.sessions.of("ann"), "docker logins are no sessions"
    await house.accounts.set_password("ann", "another horse entirely", one_time=False, by="ann")
    assert not await pulls(house, token)


async def test_who_is_demoted_has_the_rights_of_now_with_the_token_of_before(house: House) -> None:
    pair = await login(house)
    registry = await registry_token(house, pair["accessToken"])
    users = "/apis/aerekos.cloud/v1/users"
    assert (await ask(house, pair["accessToken"], users, "POST", json={})).status_code == 422
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"roles": ["viewer"]}}, HOW)
    assert (await ask(house, pair["accessToken"], users, "POST", json={})).status_code == 403
    assert (await ask(house, pair["accessToken"], "/auth/whoami")).json()["groups"] == [
        "aerekos:viewer",
        "system:authenticated",
    ]
    assert (await ask(house, registry, "/v2/x/blobs/uploads/", "POST")).status_code == 403


async def test_a_deleted_worker_s_tokens_are_worth_nothing_at_once(house: House) -> None:
    await house.add_worker("oak")
    proof = {"clientId": "worker:oak", "clientSecret": house.accounts.client_secret("worker:oak", WORKER.key("oak"))}
    async with house.client() as client:
        token = (await client.post("/auth/token", json=proof)).json()["accessToken"]
    registry = await registry_token(house, token)
    assert await pulls(house, registry)
    await house.registry.delete(WORKER, WORKER.key("oak"), HOW)
    await house.add_worker("oak")  # another machine of the same name
    assert (await ask(house, token, "/agents/leases")).status_code == 401
    assert not await pulls(house, registry)


async def test_a_worker_s_replaced_secret_and_its_tokens_are_worth_nothing(house: House) -> None:
    """Who has a silent worker's name and a join token gets another secret; what it held before is revoked."""
    await house.add_worker("oak")
    old = house.accounts.client_secret("worker:oak", WORKER.key("oak"))
    token = house.accounts.identity_token("worker:oak", old, "api")
    new = await house.accounts.clients.replaced("worker:oak", by="test")
    assert new != old
    assert (await ask(house, token, "/agents/leases")).status_code == 401
    with pytest.raises(Unauthorized):
        house.accounts.identity_token("worker:oak", old, "api")
    assert house.accounts.identity_token("worker:oak", new, "api")


async def test_groups_in_a_token_are_not_believed(house: House) -> None:
    await house.add_user("vic", "viewer")
    sid = house.pretended_session("vic")
    from api.auth.principal import MASTERS, Principal

    token = house.tokens.issue(Principal("vic", frozenset({MASTERS, "aerekos:admin"})), seconds=600, sid=sid)
    assert (await ask(house, token, "/audit")).status_code == 403
    # Nor are tokens without a session, those of somebody else's, and those of the system's own names.
    for sub, more in (("ann", {}), ("ann", {"sid": sid}), ("system:masters", {}), ("system:service:x", {})):
        forged = house.tokens.issue(Principal(sub, frozenset({MASTERS})), seconds=600, **more)
        assert (await ask(house, forged)).status_code == 401, (sub, more)


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_session(house: House) -> None:
    first = await house.accounts.log_in("ann", PASSWORD)
    second = await house.accounts.refresh(first.refresh_token)
    house.clock.forward(REPEAT_SECONDS + 2)
    with pytest.raises(Unauthorized, match="used before"):
        await house.accounts.refresh(first.refresh_token)
    with pytest.raises(Unauthorized, match="ended"):
        await house.accounts.refresh(second.refresh_token)
    assert (await ask(house, second.access_token)).status_code == 401


async def test_only_the_token_right_before_may_come_again_and_only_at_once(house: House) -> None:
    """An answer that was lost must not end a session; an old token must, however soon it comes."""
    first = await house.accounts.log_in("ann", PASSWORD)
    await house.accounts.refresh(first.refresh_token)  # its answer is lost
    second = await house.accounts.refresh(first.refresh_token)
    await house.accounts.refresh(second.refresh_token)
    with pytest.raises(Unauthorized, match="used before"):
        await house.accounts.refresh(first.refresh_token)
    with pytest.raises(Unauthorized):
        await house.accounts.refresh(second.refresh_token)


async def test_a_session_has_a_deadline_however_busy_it_is(house: House) -> None:
    pair, refreshed = await house.accounts.log_in("ann", PASSWORD), 0
    while True:
        house.clock.forward(IDLE.total_seconds() / 2)
        try:
            pair = await house.accounts.refresh(pair.refresh_token)
        except Unauthorized:
            break
        refreshed += 1
    assert refreshed == LONGEST / (IDLE / 2) - 1
    assert await house.accounts.sessions.sweep() == 1
    assert not house.store.list(SESSION.group, SESSION.plural).records


async def test_a_session_nobody_refreshes_ends(house: House) -> None:
    pair = await house.accounts.log_in("ann", PASSWORD)
    house.clock.forward(IDLE.total_seconds())
    with pytest.raises(Unauthorized, match="expired"):
        await house.accounts.refresh(pair.refresh_token)


async def test_one_user_has_only_so_many_sessions(house: House) -> None:
    first = await house.accounts.log_in("ann", PASSWORD)
    user = house.accounts.user("ann")
    assert user is not None
    for _ in range(MOST_SESSIONS):
        house.clock.forward(1)
        await house.accounts.sessions.open(user)
    assert len(house.store.list(SESSION.group, SESSION.plural).records) == MOST_SESSIONS
    assert (await ask(house, first.access_token)).status_code == 401, "the least used one went"


async def test_people_see_and_end_their_own_sessions_and_nobody_else_s(house: House) -> None:
    await house.add_user("bob", "viewer", password=PASSWORD)
    ann, bob = await login(house), await login(house, "bob")
    mine = (await ask(house, bob["accessToken"], "/auth/sessions")).json()["sessions"]
    assert [each["current"] for each in mine] == [True]
    assert (await ask(house, bob["accessToken"], "/auth/sessions?user=ann")).status_code == 403
    (hers,) = (await ask(house, ann["accessToken"], "/auth/sessions")).json()["sessions"]
    assert (await ask(house, bob["accessToken"], f"/auth/sessions/{hers['id']}", "DELETE")).status_code == 404
    assert (
        await ask(house, bob["accessToken"], "/auth/logout-all", "POST", json={"username": "ann"})
    ).status_code == 403
    assert (await ask(house, ann["accessToken"], f"/auth/sessions/{mine[0]['id']}", "DELETE")).status_code == 204
    assert (await ask(house, bob["accessToken"])).status_code == 401


async def test_no_role_shows_sessions_through_the_resource_api(house: House) -> None:
    pair = await login(house)
    sessions = "/apis/aerekos.cloud/v1/sessions"
    for method in ("GET", "DELETE"):
        assert (await ask(house, pair["accessToken"], sessions, method)).status_code == 403
    assert house.authorizer is not None and ADMIN.name
