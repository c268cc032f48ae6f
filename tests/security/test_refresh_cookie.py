"""The refresh cookie alone opens nothing: not to a form, not to another port of the host, not to a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import COOKIE, House, make_house

from api.cookies import FAMILY, KEY_HEADER, RefreshCookie, without_ours
from api.gateway.reverse_proxy import forwarded

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
HOST = {"host": "cloud.test"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password=PASSWORD)
    yield made
    await made.close()


async def login(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    body = {"username": "ann", "password": PASSWORD, "cookie": True}
    return await client.post("/auth/login", json=body, headers=headers)


async def test_the_cookie_is_of_this_host_alone_and_no_script_reads_it(house: House) -> None:
    async with house.client() as client:
        answer = await login(client)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == COOKIE.name and name.startswith("__Host-")
    for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/;"):
        assert word in rest
    assert "Domain" not in rest
    assert "refreshToken" not in answer.json() and len(answer.json()["refreshKey"]) > 40


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a form, or an image
        {KEY_HEADER: ""},
        {KEY_HEADER: "guessed"},
        {"origin": "https://cloud.test:9443"},  # a service on another port of this host
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"origin": "null"},  # a sandboxed object
    ],
)
async def test_the_cookie_alone_is_worth_nothing(house: House, headers: dict[str, str]) -> None:
    async with house.client() as client:
        key = (await login(client)).json()["refreshKey"]
        sent = {KEY_HEADER: key, **headers} if headers and KEY_HEADER not in headers else headers
        refused = await client.post("/auth/refresh", json={}, headers=sent)
        assert refused.status_code in (401, 403) and "accessToken" not in refused.text
        assert refused.headers.get_list("set-cookie") == []
        # Trying it did not end the session of the dashboard, either.
        ours = {KEY_HEADER: key, "origin": "https://cloud.test", "sec-fetch-site": "same-origin"}
        assert (await client.post("/auth/refresh", json={}, headers=ours)).status_code == 200


async def test_the_token_out_of_the_cookie_is_worth_nothing_either(house: House) -> None:
    async with house.client() as client:
        await login(client)
        stolen = client.cookies[COOKIE.name]
    async with house.client() as thief:
        assert (await thief.post("/auth/refresh", json={"refreshToken": stolen})).status_code == 401


async def test_another_page_cannot_log_this_browser_in_as_somebody_else(house: House) -> None:
    async with house.client() as client:
        refused = await login(client, origin="https://evil.example")
        assert refused.status_code == 403 and not client.cookies


async def test_logging_out_ends_the_session_not_only_the_cookie(house: House) -> None:
    async with house.client() as client:
        key = (await login(client)).json()["refreshKey"]
        kept = client.cookies[COOKIE.name]
        assert (await client.post("/auth/logout", json={}, headers={KEY_HEADER: key})).status_code == 204
        cookie = {"cookie": f"{COOKIE.name}={kept}", KEY_HEADER: key}
        assert (await client.post("/auth/refresh", json={}, headers=cookie)).status_code == 401


async def test_two_clouds_on_one_host_do_not_log_each_other_out(house: House) -> None:
    other = RefreshCookie.of(b"the CA of another cloud").name
    async with house.client() as client:
        key = (await login(client)).json()["refreshKey"]
        kept = client.cookies[COOKIE.name]
        both = {"cookie": f"{other}=theirs; {COOKIE.name}={kept}", KEY_HEADER: key}
        client.cookies.clear()
        assert (await client.post("/auth/refresh", json={}, headers=both)).status_code == 200
        left = await client.post("/auth/logout", json={}, headers=both)
        assert other not in left.headers["set-cookie"]


async def test_who_was_never_here_is_told_so_without_a_fault(house: House) -> None:
    async with house.client() as client:
        first = await client.post("/auth/refresh", json={})
        assert (first.status_code, first.content) == (204, b"")
        foreign = {"origin": "https://evil.example"}
        assert (await client.post("/auth/refresh", json={}, headers=foreign)).status_code == 403


def test_the_gateway_hands_the_cookie_to_nobody() -> None:
    theirs = RefreshCookie.of(b"another cloud").name
    sent = [(b"cookie", f"a=1; {COOKIE.name}=secret; {theirs}=1; b=2".encode()), (b"x", b"y")]
    assert forwarded(sent) == [(b"cookie", b"a=1; b=2"), (b"x", b"y")]
    assert forwarded([(b"cookie", f"{COOKIE.name}=secret".encode())]) == []


@given(st.lists(st.tuples(st.sampled_from(["a", "b", FAMILY, COOKIE.name]), st.text("abc=", max_size=5)), max_size=6))
def test_other_cookies_pass_as_they_are(pairs: list[tuple[str, Any]]) -> None:
    given = "; ".join(f"{name}={value}" for name, value in pairs).encode()
    kept = "; ".join(f"{name}={value}" for name, value in pairs if not name.startswith(FAMILY)).encode()
    assert without_ours(given) == kept
