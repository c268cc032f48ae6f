"""Tokens renewed in time, identities verified, permissions remembered; and a start that is quick."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from crds.errors import CONDUCTOR_AWAY, Cause, Forbidden, Unauthorized, Unavailable
from services.sdk.authorization import AccessReviewer
from services.sdk.conductor_client import ServiceAuth
from services.sdk.identity import Caller, IdentityVerifier
from services.sdk.remembered import HOLDS_SECONDS, REMEMBER_SECONDS
from services.sdk.resources import SystemClock
from services.sdk.testing import FakeConductor


class Hand(SystemClock):
    moment = 0.0

    def monotonic(self) -> float:
        return self.moment


def test_a_token_is_renewed_at_half_its_life_and_once_after_a_401(tmp_path: Path) -> None:
    credential = tmp_path / "c.json"
    credential.write_text('{"clientId": "a", "clientSecret": "b"}')
    clock, issued = Hand(), [0]
    accepted = {"t1", "t2"}

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            issued[0] += 1
            return httpx.Response(200, json={"accessToken": f"t{issued[0]}", "expiresIn": 100})
        token = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(200 if token in accepted else 401, text=token)

    async def story() -> None:
        auth = ServiceAuth("http://api", credential, clock)
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url="http://api", auth=auth, transport=transport) as client:
            texts = [each.text for each in await asyncio.gather(*(client.get("/x") for _ in range(5)))]
            assert texts == ["t1"] * 5
            clock.moment = 50
            assert (await client.get("/x")).text == "t2"
            accepted.clear()
            accepted.add("t3")
            assert (await client.get("/x")).text == "t3"
            accepted.clear()
            assert (await client.get("/x")).status_code == 401
            assert issued[0] == 4

    asyncio.run(story())


@pytest.mark.parametrize(
    "claims",
    [{"aud": "other"}, {"iss": "somebody"}, {"exp": 1}, {"exp": None}],
    ids=["audience", "issuer", "expired", "for ever"],
)
def test_identities_must_be_meant_for_us_and_fresh(claims: dict[str, Any]) -> None:
    conductor = FakeConductor()

    async def story() -> None:
        asked = []

        async def fetch() -> dict[str, Any]:
            asked.append(1)
            return dict((await conductor.answer(httpx.Request("GET", "http://x/auth/jwks"))).json())

        identities = IdentityVerifier(fetch, "key-manager", conductor.clock)
        good = conductor.token("admin", "key-manager", groups=["aerekos:admin"], ns="team")
        assert await identities.verify(good) == Caller("admin", ("aerekos:admin",), "team")
        with pytest.raises(Unauthorized):
            await identities.verify(conductor.token("admin", "key-manager", **claims))
        with pytest.raises(Unauthorized):
            await identities.verify(FakeConductor().token("admin", "key-manager") + "x")
        assert len(asked) == 1

    asyncio.run(story())


def test_permissions_are_remembered_for_a_second() -> None:
    clock, allowed, asked = Hand(), [True], [0]

    async def ask(review: dict[str, Any], token: str) -> dict[str, Any]:
        asked[0] += 1
        return {"status": {"allowed": allowed[0]}}

    async def story() -> None:
        authorizer = AccessReviewer(ask, clock)
        for _ in range(3):
            await authorizer.require(Caller("a"), "use", "keys", name="k", namespace="default")
        assert asked[0] == 1
        allowed[0], clock.moment = False, 1.01
        with pytest.raises(Forbidden, match='User "a" cannot use resource "keys"'):
            await authorizer.require(Caller("a"), "use", "keys", name="k", namespace="default")

    asyncio.run(story())


def test_what_was_said_last_holds_while_no_conductor_runs() -> None:
    """Only where the gateway says so: a conductor that answers late may be about to say no."""
    clock, faults = Hand(), list[Unavailable]()

    async def ask(review: dict[str, Any], token: str) -> dict[str, Any]:
        if faults:
            raise faults[0]
        return {"status": {"allowed": True}}

    async def story() -> None:
        authorizer = AccessReviewer(ask, clock)

        async def may(name: str) -> bool:
            return await authorizer.allows(Caller("a"), "use", "keys", "aerekos.cloud", name, "default")

        assert await may("known")
        clock.moment = REMEMBER_SECONDS + 0.1
        faults[:] = [Unavailable("away", causes=(Cause("", "away", CONDUCTOR_AWAY),))]
        assert await may("known")
        with pytest.raises(Unavailable):
            await may("never asked")
        faults[:] = [Unavailable("it takes too long")]
        with pytest.raises(Unavailable):
            await may("known")
        clock.moment = REMEMBER_SECONDS + HOLDS_SECONDS + 0.1
        faults[:] = [Unavailable("away", causes=(Cause("", "away", CONDUCTOR_AWAY),))]
        with pytest.raises(Unavailable):
            await may("known")

    asyncio.run(story())


def test_one_question_is_asked_once_however_many_wait_for_its_answer() -> None:
    async def story() -> None:
        asked: asyncio.Queue[asyncio.Future[dict[str, Any]]] = asyncio.Queue()

        async def ask(review: dict[str, Any], token: str) -> dict[str, Any]:
            answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            asked.put_nowait(answer)
            return await answer

        authorizer = AccessReviewer(ask, Hand())

        def wanting() -> asyncio.Task[bool]:
            return asyncio.ensure_future(
                authorizer.allows(Caller("a"), "use", "keys", "aerekos.cloud", "k", "default")
            )

        waiting = [wanting() for _ in range(5)]
        answer = await asked.get()
        waiting[0].cancel()  # whoever leaves takes nobody's answer along
        await asyncio.sleep(0)
        answer.set_exception(Unavailable("the conductor is away"))
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in failed[1:]] == [Unavailable] * 4
        again = [wanting() for _ in range(5)]
        (await asked.get()).set_result({"status": {"allowed": True}})
        assert await asyncio.gather(*again) == [True] * 5
        assert asked.empty()

    asyncio.run(story())


def test_starting_imports_nothing_heavy() -> None:
    program = (
        "import sys, services.sdk.run, services.key_manager.app;"
        "print([m for m in ('botocore', 'boto3', 'fastapi', 'sqlalchemy', 'docker') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
