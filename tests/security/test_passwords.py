"""Passwords: guessing slows the guesser and nobody else, bad ones are not taken, one-time ones are used once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.accounts import ONE_TIME_LASTS
from api.auth.attempts import FORGOTTEN_SECONDS, LONGEST_SECONDS, MOST_WAITING_AT_ONE_ADDRESS, Attempts
from api.auth.password_policy import fault
from api.auth.passwords import hash_password, is_outdated, one_time_password, password_fits
from crds.errors import TooManyRequests, Unauthorized
from crds.kinds.user import CREDENTIAL, USER

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password=PASSWORD)
    yield made
    await made.close()


async def post(house: House, path: str, body: Any, **headers: str) -> httpx.Response:
    async with house.client(headers) as client:
        return await client.post(path, json=body)


async def guess(house: House, address: str, times: int, name: str = "ann") -> None:
    for _ in range(times):
        with pytest.raises(Unauthorized):
            await house.accounts.log_in(name, "not this one", address=address)


async def test_nobody_can_lock_a_name(house: House) -> None:
    """The attack: ten wrong passwords, and the admin stays outside for five minutes, again and again."""
    await guess(house, "203.0.113.9", 50)
    house.clock.slept.clear()
    assert await house.accounts.log_in("ann", PASSWORD, address="192.0.2.1")
    assert house.clock.slept == [], "honest people do not even wait"
    # And from the very place that guesses, the right password gets through too.
    assert await house.accounts.log_in("ann", PASSWORD, address="203.0.113.9")
    assert house.clock.slept == [LONGEST_SECONDS]


async def test_who_guesses_waits_longer_each_time(house: House) -> None:
    await guess(house, "203.0.113.9", 12)
    assert house.clock.slept == sorted(house.clock.slept) and len(house.clock.slept) == 9
    assert house.clock.slept[-1] == LONGEST_SECONDS
    house.clock.forward(FORGOTTEN_SECONDS + 1)
    house.clock.slept.clear()
    await guess(house, "203.0.113.9", 1)
    assert house.clock.slept == []


async def test_all_ipv6_addresses_of_one_machine_wait_for_each_other(house: House) -> None:
    for number in range(12):
        await guess(house, f"2001:db8:0:1::{number:x}", 1)
    assert len(house.clock.slept) == 9 and house.clock.slept[-1] == LONGEST_SECONDS
    house.clock.slept.clear()
    await guess(house, "2001:db8:0:2::1", 1)
    assert house.clock.slept == []


async def test_guessing_at_many_names_is_slowed_by_address(house: House) -> None:
    for number in range(100):
        await guess(house, "203.0.113.9", 1, name=f"name-{number}")
    assert house.clock.slept[-1] == LONGEST_SECONDS


async def test_guessing_in_parallel_gains_nothing() -> None:
    """Guesses of one place at one name take turns, and too many of one address are told to come back."""
    from unit.api.components import Hands

    clock, waited, refused = Hands(), list[float](), 0
    attempts = Attempts(clock, clock.sleep)

    async def one() -> None:
        nonlocal refused
        try:
            async with attempts.attempt("203.0.113.9", "ann") as judged:
                waited.append(sum(clock.slept))
                await anyio.lowlevel.checkpoint()
                judged(False)
        except TooManyRequests:
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(one)
    assert len(waited) == MOST_WAITING_AT_ONE_ADDRESS and refused == 100 - len(waited)
    assert waited[-1] >= LONGEST_SECONDS * 5


async def test_made_up_names_do_not_fill_the_memory() -> None:
    from unit.api.components import Hands

    attempts = Attempts(Hands())
    for number in range(30_000):
        attempts.delay("203.0.113.9", f"name-{number}")
    assert len(attempts._counts) <= 10_001


def test_hashing_costs_what_owasp_asks_for() -> None:
    """The constant itself, as the program has it: tests of other things turn it down."""
    source = (Path(__file__).parents[2] / "api" / "auth" / "passwords.py").read_text()
    assert "\nCOST = (2**17, 8, 1)\n" in source
    salt = b"0123456789abcdef"
    made = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    kept = f"scrypt${2**17}$8$1${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"
    assert password_fits(PASSWORD, kept)


async def test_a_hash_made_with_too_little_work_is_made_anew_at_the_next_login(house: House) -> None:
    salt = b"0123456789abcdef"
    made = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**9, r=8, p=1, dklen=32)
    old = f"scrypt$512$8$1${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"
    assert is_outdated(old) and not is_outdated(hash_password("x"))
    await house.registry.merge(CREDENTIAL, CREDENTIAL.key("ann"), {"spec": {"passwordHash": old}}, HOW)
    pair = await house.accounts.log_in("ann", PASSWORD)
    now = house.registry.get(CREDENTIAL, CREDENTIAL.key("ann")).object["spec"]["passwordHash"]
    assert not is_outdated(now) and password_fits(PASSWORD, now)
    assert await house.accounts.refresh(pair.refresh_token), "the login that did it is a good one"


BAD = [
    "short",
    "elevenchars",
    "passwordpassword",
    "Password12345!",
    "P4ssw0rd!!!!!!",
    "123456789012",
    "098765432109",
    "qwertyuiopasdf",
    "abcdefghijklmnop",
    "aaaaaaaaaaaaaaaa",
    "abababababababab",
    "abcabcabcabcabcabc",
    "administrator1",
    "Kubernetes2026!",
    "letmeinletmein",
    "annabelle-vane",  # the name of the user
    "2026annabelle-vane!",
]


@pytest.mark.parametrize("password", BAD)
async def test_bad_passwords_are_not_taken(house: House, password: str) -> None:
    await house.add_user("annabelle-vane")
    body = {"username": "annabelle-vane", "password": password}
    refused = await post(house, "/auth/password", body, **house.bearer(ADMIN))
    assert refused.status_code == 422, refused.text
    assert len(password) < 8 or password not in refused.text
    assert house.store.get(CREDENTIAL.key("annabelle-vane")) is None


GOOD = [PASSWORD, "Tr0ub4dor&3 and more", "journeys-only-password", "x7!kQ-92_zzPqL", "四季の歌は長いほうがよい"]


@pytest.mark.parametrize("password", GOOD)
def test_good_passwords_are_taken(password: str) -> None:
    assert not fault(password, "ann")


@given(st.text(max_size=60), st.text(max_size=12))
def test_any_text_is_judged(password: str, name: str) -> None:
    assert isinstance(fault(password, name), str)


@given(st.integers())
def test_one_time_passwords_pass_the_rules(_: int) -> None:
    assert not fault(one_time_password(), "admin")


async def one_time(house: House) -> tuple[str, dict[str, Any]]:
    password = one_time_password()
    await house.accounts.set_password("ann", password, one_time=True, by="test")
    answer = await post(house, "/auth/login", {"username": "ann", "password": password})
    assert answer.status_code == 200, answer.text
    return password, dict(answer.json())


async def test_a_one_time_password_is_good_for_choosing_another_and_nothing_else(house: House) -> None:
    password, pair = await one_time(house)
    assert pair["passwordChangeRequired"] is True
    headers = {"authorization": f"Bearer {pair['accessToken']}"}
    async with house.client(headers) as client:
        for path in ("/api/v1/namespaces", "/catalog", "/auth/access-key", "/auth/sessions", "/v2/token", "/v2/"):
            assert (await client.get(path)).status_code in (401, 403), path
        assert (await client.get("/auth/whoami")).status_code == 200
        change = {"username": "ann", "current": password, "password": "chosen by herself"}
        assert (await client.post("/auth/password", json=change)).status_code == 204
        assert (await client.get("/auth/whoami")).status_code == 401, "its session ended with it"
    assert (await post(house, "/auth/login", {"username": "ann", "password": password})).status_code == 401
    fresh = (await post(house, "/auth/login", {"username": "ann", "password": "chosen by herself"})).json()
    assert "passwordChangeRequired" not in fresh
    async with house.client({"authorization": f"Bearer {fresh['accessToken']}"}) as client:
        assert (await client.get("/api/v1/namespaces")).status_code == 200


async def test_an_admin_with_a_one_time_password_cannot_choose_those_of_others(house: House) -> None:
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"roles": ["admin"]}}, HOW)
    _, pair = await one_time(house)
    async with house.client({"authorization": f"Bearer {pair['accessToken']}"}) as client:
        change = {"username": "bob", "password": "chosen by somebody"}
        assert (await client.post("/auth/password", json=change)).status_code == 403


async def test_refreshing_a_restricted_session_does_not_widen_it(house: House) -> None:
    _, pair = await one_time(house)
    again = (await post(house, "/auth/refresh", {"refreshToken": pair["refreshToken"]})).json()
    async with house.client({"authorization": f"Bearer {again['accessToken']}"}) as client:
        assert (await client.get("/api/v1/namespaces")).status_code == 403


async def test_docker_does_not_log_in_with_a_one_time_password(house: House) -> None:
    password, _ = await one_time(house)
    basic = base64.b64encode(f"ann:{password}".encode()).decode()
    async with house.client({"authorization": f"Basic {basic}"}) as client:
        assert (await client.get("/v2/token")).status_code == 403


async def test_a_one_time_password_has_a_deadline(house: House) -> None:
    password, _ = await one_time(house)
    house.clock.forward(ONE_TIME_LASTS.total_seconds() + 1)
    refused = await post(house, "/auth/login", {"username": "ann", "password": password})
    assert refused.status_code == 401 and "expired" in refused.json()["message"]
