"""The refresh cookie alone opens nothing: not to a form, not to another port of the host, not to a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.house import House, make_house

from api.cookies import KEY_HEADER, REFRESH_COOKIE, without_ours
from api.gateway.proxying import forwarded

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
    assert name == REFRESH_COOKIE and name.startswith("__Host-")
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
        stolen = client.cookies[REFRESH_COOKIE]
    async with house.client() as thief:
        assert (await thief.post("/auth/refresh", json={"refreshToken": stolen})).status_code == 401


async def test_another_page_cannot_log_this_browser_in_as_somebody_else(house: House) -> None:
    async with house.client() as client:
        refused = await login(client, origin="https://evil.example")
        assert refused.status_code == 403 and not client.cookies


async def test_logging_out_ends_the_session_not_only_the_cookie(house: House) -> None:
    async with house.client() as client:
        key = (await login(client)).json()["refreshKey"]
        kept = client.cookies[REFRESH_COOKIE]
        assert (await client.post("/auth/logout", json={}, headers={KEY_HEADER: key})).status_code == 204
        cookie = {"cookie": f"{REFRESH_COOKIE}={kept}", KEY_HEADER: key}
        assert (await client.post("/auth/refresh", json={}, headers=cookie)).status_code == 401


def test_the_gateway_hands_the_cookie_to_nobody() -> None:
    sent = [(b"cookie", f"a=1; {REFRESH_COOKIE}=secret; b=2".encode()), (b"x", b"y")]
    assert forwarded(sent) == [(b"cookie", b"a=1; b=2"), (b"x", b"y")]
    assert forwarded([(b"cookie", f"{REFRESH_COOKIE}=secret".encode())]) == []


@given(st.lists(st.tuples(st.sampled_from(["a", "b", REFRESH_COOKIE]), st.text("abc=", max_size=5)), max_size=6))
def test_other_cookies_pass_as_they_are(pairs: list[tuple[str, Any]]) -> None:
    given = "; ".join(f"{name}={value}" for name, value in pairs).encode()
    kept = "; ".join(f"{name}={value}" for name, value in pairs if name != REFRESH_COOKIE).encode()
    assert without_ours(given) == kept
