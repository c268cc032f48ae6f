"""Rotation of access keys: against a directory that has AWS's limits, with the process killed at every call."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from services.sdk.aws.role_calls import CallFault, KeyPair
from services.sdk.resources import Clock
from services.secrets_manager.access_key_api import AccessKey, SignedAccessKeyApi
from services.secrets_manager.access_key_rotator import ID, SECRET, AccessKeyRotator
from services.secrets_manager.envelope import Envelope
from services.secrets_manager.key_client import KeyClient
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.metrics import SecretsMetrics
from services.secrets_manager.rotation import RotationFailure, Rotations
from services.secrets_manager.rotation_targets import ACCESS_KEY
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.tests.conftest import Account

TARGET = f"arn:aws:lambda:us-east-1:111122223333:function:{ACCESS_KEY}"
USER = "arn:aws:iam::111122223333:user/robot"


class Killed(BaseException):
    """The process ended here."""


class Later:
    """A clock that is so far ahead of another."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.ahead = clock, timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        return self._clock.monotonic() + self.ahead.total_seconds()


class Directory:
    """One user's keys. `kill_at`: which call is the last, and whether it is carried out before."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self.keys_now: dict[str, tuple[str, AccessKey]] = {}
        self.used: set[str] = set()
        self.calls, self.kill_at, self.carried_out = 0, 0, True

    def add(self, *, created_at: datetime | None = None) -> KeyPair:
        if len(self.keys_now) == 2:
            raise CallFault("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", lasting=True)
        pair = KeyPair(f"AKIA{uuid4().hex[:16].upper()}", uuid4().hex)
        made = (created_at or self._now()).replace(microsecond=0)
        self.keys_now[pair.id] = pair.secret, AccessKey(pair.id, True, made)
        return pair

    def _asked(self, pair: KeyPair) -> bool:
        """Whether this call is the last one, and after it. Raises Killed, CallFault."""
        secret, key = self.keys_now.get(pair.id, ("", None))
        if key is None or not key.active or secret != pair.secret:
            raise CallFault("InvalidClientTokenId", "The security token is invalid", lasting=False)
        self.used.add(pair.id)
        self.calls += 1
        if self.calls == self.kill_at and not self.carried_out:
            raise Killed
        return self.calls == self.kill_at

    def _after(self, last: bool) -> None:
        if last:
            raise Killed

    async def identity(self, pair: KeyPair) -> str:
        self._after(self._asked(pair))
        return USER

    async def keys(self, pair: KeyPair) -> list[AccessKey]:
        self._after(self._asked(pair))
        return [key for _, key in self.keys_now.values()]

    async def was_used(self, pair: KeyPair, key: str) -> bool:
        self._after(self._asked(pair))
        return key in self.used

    async def create(self, pair: KeyPair) -> KeyPair:
        last = self._asked(pair)
        made = self.add()
        self._after(last)
        return made

    async def deactivate(self, pair: KeyPair, key: str) -> None:
        last = self._asked(pair)
        secret, found = self.keys_now[key]
        self.keys_now[key] = secret, found._replace(active=False)
        self._after(last)

    async def delete(self, pair: KeyPair, key: str) -> None:
        last = self._asked(pair)
        self.keys_now.pop(key, None)
        self._after(last)


class Robot:
    """A user, and a secret with their access key."""

    def __init__(self, account: Account) -> None:
        self.account, context = account, account.harness.context
        metrics = SecretsMetrics(CollectorRegistry())
        keys = KeyClient(context.service_client("key-manager"))
        store = SecretStore(context, Envelope(keys, context.clock, metrics))
        self.directory = Directory(context.clock.now)
        self.clock = Later(context.clock)
        rotator = AccessKeyRotator(store, self.directory, self.clock)
        self.rotations = Rotations(store, rotator, {ACCESS_KEY: rotator}, metrics)
        self.secrets, self.first = account.client(), self.directory.add()
        self.secrets.create_secret(Name="robot", SecretString=json.dumps(self.value_of(self.first)))
        self.secrets.rotate_secret(SecretId="robot", RotationLambdaARN=TARGET, RotateImmediately=False)

    @staticmethod
    def value_of(pair: KeyPair, **more: str) -> dict[str, str]:
        return {ID: pair.id, SECRET: pair.secret, "AWS_REGION": "eu-central-1", **more}

    def rotate(self, token: str) -> None:
        async def work() -> None:
            resources = self.account.harness.resources
            secret = await resources.get(MANAGED_SECRET, "robot", self.account.owner.namespace)
            try:
                await self.rotations.rotate(FoundSecret(secret), token)
            except Killed as killed:
                raise RuntimeError("killed") from killed

        self.account.harness.run(work())

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        told = self.secrets.get_secret_value(SecretId="robot", VersionStage=stage)["SecretString"]
        return dict(json.loads(told))

    @property
    def active(self) -> set[str]:
        return {each for each, (_, key) in self.directory.keys_now.items() if key.active}


def token() -> str:
    return str(uuid4())


@pytest.fixture
def robot(account: Account) -> Robot:
    return Robot(account)


def test_the_key_makes_the_next_one_and_lives_until_the_rotation_after_it(robot: Robot) -> None:
    seen = [robot.first.id]
    for _ in range(3):
        robot.rotate(token())
        now, before = robot.value(), robot.value("AWSPREVIOUS")
        assert now["AWS_REGION"] == "eu-central-1" and now[ID] not in seen
        assert robot.directory.keys_now[now[ID]][0] == now[SECRET]
        assert robot.active == {now[ID], before[ID]} and before[ID] == seen[-1], "nobody's key has ended"
        seen.append(now[ID])


@pytest.mark.parametrize("carried_out", [True, False], ids=["after the call", "before the call"])
def test_whoever_is_killed_at_any_call_is_gone_on_for(robot: Robot, carried_out: bool) -> None:
    robot.rotate(token())
    robot.clock.ahead = timedelta(minutes=11)
    for last in range(1, 12):
        directory, wanted, before = robot.directory, token(), robot.value()
        directory.calls, directory.kill_at, directory.carried_out = 0, last, carried_out
        try:
            robot.rotate(wanted)
        except RuntimeError:
            assert before[ID] in robot.active, "the current one opens whatever happened"
            directory.kill_at = 0
            robot.rotate(wanted)
        now = robot.value()
        assert now[ID] != before[ID] and robot.active == {now[ID], before[ID]} == set(directory.keys_now)
        if directory.calls < last and directory.kill_at != 0:
            return  # the whole rotation takes fewer calls
    raise AssertionError("a rotation takes more calls than were tried")


def test_a_second_key_of_somebody_else_is_left_alone(robot: Robot) -> None:
    now = robot.account.harness.context.clock.now()
    other = robot.directory.add(created_at=now - timedelta(days=1))
    wanted = token()
    with pytest.raises(RotationFailure, match=f"createSecret: .*second active access key, {other.id}"):
        robot.rotate(wanted)
    assert robot.active == {robot.first.id, other.id} and robot.value()[ID] == robot.first.id
    secret, key = robot.directory.keys_now[other.id]
    robot.directory.keys_now[other.id] = secret, key._replace(active=False)
    robot.rotate(wanted)
    assert other.id not in robot.directory.keys_now and robot.value()[ID] != robot.first.id


def test_a_key_that_was_made_as_it_was_killed_goes_when_nobody_uses_it_for_ten_minutes(robot: Robot) -> None:
    wanted = token()
    robot.directory.kill_at = 2  # when it has made the key
    with pytest.raises(RuntimeError):
        robot.rotate(wanted)
    robot.directory.kill_at = 0
    (other,) = robot.active - {robot.first.id}
    with pytest.raises(RotationFailure, match=f"{other} was made as this rotation was interrupted"):
        robot.rotate(wanted)
    robot.clock.ahead = timedelta(minutes=11)
    robot.directory.used.add(other)
    with pytest.raises(RotationFailure, match="second active access key"):
        robot.rotate(wanted)
    assert other in robot.active
    robot.directory.used.remove(other)
    robot.rotate(wanted)
    assert other not in robot.directory.keys_now and robot.value()[ID] in robot.active


def test_a_key_that_somebody_makes_while_rotations_fail_is_theirs(robot: Robot) -> None:
    foreign, wanted = robot.directory.add(), token()
    with pytest.raises(RotationFailure, match="second active access key"):
        robot.rotate(wanted)
    del robot.directory.keys_now[foreign.id]
    theirs = robot.directory.add(created_at=robot.clock.now() + timedelta(seconds=1))
    robot.clock.ahead = timedelta(hours=1)
    with pytest.raises(RotationFailure, match=f"second active access key, {theirs.id}"):
        robot.rotate(wanted)
    assert robot.active == {robot.first.id, theirs.id}


def test_a_key_of_which_nobody_knows_when_it_was_made_is_no_lost_one(robot: Robot) -> None:
    wanted, other = token(), robot.directory.add()
    secret, key = robot.directory.keys_now[other.id]
    robot.directory.keys_now[other.id] = secret, key._replace(created_at=None)
    with pytest.raises(RotationFailure, match=f"second active access key, {other.id}"):
        robot.rotate(wanted)


def test_a_first_key_is_listed_without_its_date() -> None:
    class Calls:
        async def answer(self, *asked: object) -> dict[str, Any]:
            return {"AccessKeyMetadata": [{"AccessKeyId": "AKIA1", "Status": "Active"}]}

    api = SignedAccessKeyApi.__new__(SignedAccessKeyApi)
    api._calls = Calls()  # type: ignore[assignment]
    assert asyncio.run(api.keys(KeyPair("AKIA1", "x"))) == [AccessKey("AKIA1", True, None)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no json", "the value is no JSON object"),
        (json.dumps({ID: "AKIA1"}), f"{SECRET}: must be an ASCII text"),
        (json.dumps({ID: "ASIA1", SECRET: "x"}), f"{ID}: must be the access key of a user"),
        (json.dumps({ID: "AKIAGONE", SECRET: "x"}), "InvalidClientTokenId"),
    ],
)
def test_what_is_no_key_is_said_without_telling_it(robot: Robot, value: str, words: str) -> None:
    robot.secrets.put_secret_value(SecretId="robot", SecretString=value)
    with pytest.raises(RotationFailure, match=f"createSecret: .*{words}"):
        robot.rotate(token())
    assert robot.active == {robot.first.id}
