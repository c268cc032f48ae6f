"""A second factor: a password alone lets nobody in who has one, whichever endpoint is tried; codes work once."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import HOW, House, make_house

from api.auth import totp
from api.auth.totp import code_at, hash_recovery, matching_step, provisioning_uri, recovery_codes, step_of
from cli.errors import Refused
from cli.login import second_factor
from crds.kinds.user import CREDENTIAL

PASSWORD = "a long enough password"
SECRET = b"12345678901234567890"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password=PASSWORD)
    yield made
    await made.close()


# the codes themselves


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(SECRET, step_of(seconds)) == code


@given(st.text())
def test_nothing_but_the_code_fits(noise: str) -> None:
    assert matching_step(SECRET, noise, 0.0, last=1) is None


def test_a_step_before_and_after_is_taken_and_none_twice() -> None:
    now = 1_000_000.0
    step = step_of(now)
    for away, taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        assert (matching_step(SECRET, code_at(SECRET, step + away), now, 0) is not None) == taken
    assert matching_step(SECRET, code_at(SECRET, step), now, last=step) is None
    assert matching_step(SECRET, code_at(SECRET, step - 1), now, last=step) is None


def test_an_app_reads_the_address() -> None:
    uri = provisioning_uri(SECRET, "ann lee", "my cloud")
    assert uri.startswith("otpauth://totp/my%20cloud%3Aann%20lee?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&")


def test_recovery_codes_are_long_and_kept_as_hashes() -> None:
    codes = recovery_codes()
    assert len(set(codes)) == 10 and all(len(code.replace("-", "")) == 16 for code in codes)
    assert hash_recovery(codes[0].upper()) == hash_recovery(codes[0].replace("-", " "))


# over the wire


async def post(house: House, path: str, **body: Any) -> Any:
    async with house.client() as client:
        return await client.post(path, json=body)


async def login(house: House, code: str = "", name: str = "ann", password: str = PASSWORD) -> Any:
    return await post(house, "/auth/login", username=name, password=password, code=code)


async def enrolled(house: House) -> tuple[bytes, list[str]]:
    made = (await post(house, "/auth/totp", username="ann", password=PASSWORD)).json()
    secret = base64.b32decode(made["secret"])
    answer = await post(house, "/auth/totp/confirm", username="ann", password=PASSWORD, code=now(house, secret))
    assert answer.status_code == 200, answer.text
    return secret, answer.json()["recoveryCodes"]


def now(house: House, secret: bytes) -> str:
    return code_at(secret, step_of(house.clock.now().timestamp()))


@pytest.mark.anyio
async def test_a_password_alone_is_refused_by_name_and_a_code_lets_in_once(house: House) -> None:
    secret, _ = await enrolled(house)
    refused = await login(house)
    assert (refused.status_code, refused.json()["reason"]) == (401, "TotpRequired")
    assert (await login(house, now(house, secret))).status_code == 401  # used for the enrolment
    house.clock.forward(30)
    code = now(house, secret)
    assert (await login(house, code)).status_code == 200
    again = await login(house, code)
    assert (again.status_code, again.json()["reason"]) == (401, "TotpInvalid")


@pytest.mark.anyio
async def test_who_has_a_wrong_password_learns_nothing_of_the_factor(house: House) -> None:
    await enrolled(house)
    answer = await login(house, password="not that one")
    assert answer.json()["reason"] == "Unauthorized"


@pytest.mark.anyio
async def test_of_many_logins_with_one_code_at_once_one_gets_in(house: House) -> None:
    secret, _ = await enrolled(house)
    house.clock.forward(30)
    code, codes = now(house, secret), []

    async def enter() -> None:
        codes.append((await login(house, code)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(enter)
    assert sorted(codes) == [200, 401, 401, 401]


@pytest.mark.anyio
async def test_guessing_codes_is_slowed_and_ends_by_itself(house: House) -> None:
    secret, _ = await enrolled(house)
    house.clock.forward(30)
    good = now(house, secret)
    wrong = f"{(int(good) + 1) % 10**6:06d}"
    for _ in range(5):
        assert (await login(house, wrong)).status_code == 401
    assert (await login(house, good)).status_code == 429
    house.clock.forward(301)
    assert (await login(house, now(house, secret))).status_code == 200


@pytest.mark.anyio
async def test_recovery_codes_work_once_each(house: House) -> None:
    _, codes = await enrolled(house)
    assert (await login(house, codes[0])).status_code == 200
    assert (await login(house, codes[0])).status_code == 401
    assert (await login(house, codes[1])).status_code == 200


@pytest.mark.anyio
async def test_no_other_door_takes_the_password_alone(house: House) -> None:
    await enrolled(house)
    basic = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    async with house.client() as client:
        answer = await client.get("/v2/token", headers={"authorization": f"Basic {basic}"})
    assert answer.status_code == 401 and "second factor" in answer.text


@pytest.mark.anyio
async def test_a_stolen_session_can_neither_remove_nor_replace_the_factor(house: House) -> None:
    secret, _ = await enrolled(house)
    house.clock.forward(30)
    token = (await login(house, now(house, secret))).json()["accessToken"]
    async with house.client({"authorization": f"Bearer {token}"}) as client:
        for body in ({}, {"password": PASSWORD}, {"password": "guess", "code": "000000"}):
            answer = await client.post("/auth/totp/remove", json={"username": "ann", **body})
            assert answer.status_code == 401
        begun = await client.post("/auth/totp", json={"username": "ann", "password": PASSWORD})
        assert begun.status_code == 409
        assert (await client.get("/auth/totp")).json()["enrolled"]
        house.clock.forward(30)
        good = {"username": "ann", "password": PASSWORD, "code": now(house, secret)}
        assert (await client.post("/auth/totp/remove", json=good)).status_code == 204
    assert (await login(house)).status_code == 200


@pytest.mark.anyio
async def test_only_admins_remove_those_of_others(house: House) -> None:
    await enrolled(house)
    await house.add_user("ed", "editor", password=PASSWORD)
    token = (await login(house, name="ed")).json()["accessToken"]
    async with house.client({"authorization": f"Bearer {token}"}) as client:
        assert (await client.post("/auth/totp/remove", json={"username": "ann"})).status_code == 403


@pytest.mark.anyio
async def test_an_unconfirmed_factor_locks_nobody_out(house: House) -> None:
    await post(house, "/auth/totp", username="ann", password=PASSWORD)
    assert (await login(house)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("demand", "codes"), [("none", (200, 200)), ("admins", (403, 200)), ("everybody", (403, 403))]
)
async def test_admins_or_everybody_can_be_made_to_have_one(house: House, demand: Any, codes: tuple[int, int]) -> None:
    await house.add_user("vera", "viewer", password=PASSWORD)
    house.accounts.factors.demand = demand
    answers = [await login(house), await login(house, name="vera")]
    assert tuple(each.status_code for each in answers) == codes
    reasons = {each.json()["reason"] for each in answers if each.status_code == 403}
    assert reasons <= {"TotpEnrolmentRequired"}
    secret, _ = await enrolled(house)  # no session is needed for it
    house.clock.forward(30)
    assert (await login(house, now(house, secret))).status_code == 200


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("records.db*"))


@pytest.mark.anyio
async def test_the_secret_is_sealed_for_its_user(house: House, tmp_path: Path) -> None:
    secret, codes = await enrolled(house)
    house.clock.forward(30)
    written = everything(tmp_path)
    assert secret not in written and totp.base32(secret).encode() not in written
    assert codes[0].encode() not in written and codes[0].replace("-", "").encode() not in written
    # Moved to somebody else, it opens nothing.
    await house.add_user("eve", "admin", password=PASSWORD)
    credential = house.accounts.people.credential("ann")
    assert credential is not None and credential.spec.totp is not None
    moved = {"spec": {"totp": credential.spec.totp.wire()}}
    await house.registry.merge(CREDENTIAL, CREDENTIAL.key("eve"), moved, HOW)
    answer = await login(house, now(house, secret), name="eve")
    assert answer.status_code == 401 and "cannot be read" in answer.json()["message"]


@pytest.mark.anyio
async def test_another_password_keeps_the_factor(house: House) -> None:
    secret, _ = await enrolled(house)
    await house.accounts.set_password("ann", "quite another password", one_time=False, by="test")
    assert (await login(house, password="quite another password")).json()["reason"] == "TotpRequired"
    house.clock.forward(30)
    assert (await login(house, now(house, secret), password="quite another password")).status_code == 200


# the command line


class _Api:
    """Answers as the cloud does. Keeps what was asked."""

    def __init__(self, code: str) -> None:
        self.code, self.asked = code, list[dict[str, Any]]()

    def ask(self, method: str, path: str, json: dict[str, Any]) -> Any:
        self.asked.append(json)
        if json["code"] == self.code:
            return {"accessToken": "t"}
        raise Refused("no", status=401, reason="TotpInvalid" if json["code"] else "TotpRequired")


def test_the_command_line_asks_for_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    given_codes = iter(["000000", "123456"])
    monkeypatch.setattr(second_factor, "ask_code", lambda: next(given_codes))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    api = _Api("123456")
    assert second_factor.log_in(api, "ann", PASSWORD) == {"accessToken": "t"}  # type: ignore[arg-type]
    assert [each["code"] for each in api.asked] == ["", "000000", "123456"]
