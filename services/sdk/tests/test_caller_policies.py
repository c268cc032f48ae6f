"""What is remembered of callers' policies: for a second, and longer only while nobody can be asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from crds.errors import CONDUCTOR_AWAY, Cause, Forbidden, Unavailable
from services.sdk.aws.caller_policies import CallerPolicyReader
from services.sdk.aws.judgement import judge
from services.sdk.identity import Caller
from services.sdk.remembered import HOLDS_SECONDS, REMEMBER_SECONDS
from services.sdk.resources import SystemClock

ANN = Caller("ann", token="t")
USER = {"name": "ann", "arn": "arn:aws:iam::1:user/ann", "account": "1", "id": "AIDA", "tags": {"team": "red"}}


class Hand(SystemClock):
    moment = 0.0

    def monotonic(self) -> float:
        return self.moment


class Conductor:
    """Counts what it is asked."""

    def __init__(self, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.answer: dict[str, Any] = {
            "user": USER,
            "identity": [{"name": "p", "document": document}],
            "boundary": None,
        }
        self.asked = 0
        self.fault: Unavailable | None = None
        self.clock = Hand()
        self.reader = CallerPolicyReader(self.ask, self.clock)

    async def ask(self, token: str) -> dict[str, Any]:
        self.asked += 1
        assert token == ANN.token
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return self.answer

    async def may(self, action: str) -> bool:
        found = await self.reader.of(ANN)
        assert found is not None
        try:
            return judge(found, action, "arn:aws:s3:::b", {}, self.clock.now()).allows
        except Forbidden:
            return False


def allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


def test_policies_are_asked_for_once_a_second_however_many_wait() -> None:
    async def story() -> None:
        conductor = Conductor(allow("s3:*"))
        assert await asyncio.gather(*(conductor.may("s3:GetObject") for _ in range(5))) == [True] * 5
        assert conductor.asked == 1
        conductor.answer = {"user": None}
        assert await conductor.may("s3:GetObject")
        conductor.clock.moment = REMEMBER_SECONDS + 0.1
        assert await conductor.reader.of(ANN) is None

    asyncio.run(story())


def test_what_was_said_last_holds_while_no_conductor_runs() -> None:
    async def story() -> None:
        conductor = Conductor(allow("s3:*"))
        assert await conductor.may("s3:GetObject")
        conductor.clock.moment = REMEMBER_SECONDS + 0.1
        conductor.fault = Unavailable("away", causes=(Cause("", "away", CONDUCTOR_AWAY),))
        assert await conductor.may("s3:GetObject")
        conductor.fault = Unavailable("it takes too long")
        with pytest.raises(Unavailable):
            await conductor.may("s3:GetObject")
        conductor.fault = Unavailable("away", causes=(Cause("", "away", CONDUCTOR_AWAY),))
        conductor.clock.moment = REMEMBER_SECONDS + HOLDS_SECONDS + 0.1
        with pytest.raises(Unavailable):
            await conductor.may("s3:GetObject")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("document", "boundary", "allowed"),
    [
        ("", None, True),  # a policy that is gone says nothing
        ("no policy", None, False),  # one that cannot be read may have been meant to deny
        ("", "", False),  # a boundary that is gone allows nothing
    ],
)
def test_policies_that_are_gone_or_broken_open_nothing(document: str, boundary: str | None, allowed: bool) -> None:
    async def story() -> None:
        conductor = Conductor(allow("s3:*"))
        conductor.answer["identity"].append({"name": "q", "document": document})
        if boundary is not None:
            conductor.answer["boundary"] = {"name": "b", "document": boundary}
        assert await conductor.may("s3:GetObject") is allowed

    asyncio.run(story())


def test_services_are_no_users_of_iam() -> None:
    async def story() -> None:
        conductor = Conductor()
        assert await conductor.reader.of(Caller("system:service:key-manager", token="t")) is None
        assert conductor.asked == 0

    asyncio.run(story())
