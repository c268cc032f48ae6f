"""Delivery: the current value is a Kubernetes Secret, and only where that is this secret's."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from crds.kinds.secret import SECRET
from services.sdk.testing import virtual_time
from services.secrets_manager.delivery import DeliveryFailure, data_of
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION
from services.secrets_manager.tests.in_memory import ROTATOR, Secrets, secrets_in_memory

LOGIN = {"username": "app", "password": "first", "port": 5432}


async def deliver(secrets: Secrets, name: str | None) -> None:
    wanted = None if name is None else {"secret": name}
    await secrets.service.resources.patch(MANAGED_SECRET, "s", {"spec": {"delivery": wanted}}, "default")
    await secrets.service.advance(1)


async def delivered(secrets: Secrets, name: str = "app-login") -> dict[str, str]:
    found = await secrets.service.resources.get(SECRET, name, "default")
    return {key: base64.b64decode(text).decode() for key, text in (found.data or {}).items()}


async def condition(secrets: Secrets) -> Any:
    return (await secrets.service.resources.get(MANAGED_SECRET, "s", "default")).status.conditions[0]


def names(secrets: Secrets) -> list[str]:
    return [name for plural, _, name in secrets.service.resources.items if plural == "secrets"]


@virtual_time
async def test_the_current_value_is_delivered_and_follows_changes() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString=json.dumps(LOGIN))
        await deliver(secrets, "app-login")
        assert await delivered(secrets) == {"username": "app", "password": "first", "port": "5432"}
        found = await secrets.service.resources.get(SECRET, "app-login", "default")
        owner = await secrets.service.resources.get(MANAGED_SECRET, "s", "default")
        assert (found.metadata.owner_references or [])[0].uid == owner.metadata.uid
        assert owner.status.delivered_to == "app-login" and "first" not in json.dumps(owner.wire())
        await secrets.call("PutSecretValue", SecretId="s", SecretString="pending", VersionStages=["AWSPENDING"])
        await secrets.service.advance(1)
        assert (await delivered(secrets))["password"] == "first"
        await secrets.call("PutSecretValue", SecretId="s", SecretString=json.dumps({"password": "second"}))
        await secrets.service.advance(1)
        assert await delivered(secrets) == {"password": "second"}


@virtual_time
async def test_a_rotated_value_is_delivered_though_the_next_rotation_fails() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="old")
        await deliver(secrets, "app-login")
        await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        assert await delivered(secrets) == {"value": secrets.function.in_use}
        secrets.function.fails = "setSecret"
        await secrets.call("RotateSecret", SecretId="s")
        await secrets.call("PutSecretValue", SecretId="s", SecretString="by hand")
        await secrets.service.advance(60)
        assert await delivered(secrets) == {"value": "by hand"}


@virtual_time
async def test_what_lies_under_a_key_of_people_s_is_not_delivered() -> None:
    """The right to that key is the caller's, and a reconciler has none."""
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        values = secrets.service.resources
        (value,) = (await values.list(SECRET_VERSION)).items
        own = {"spec": {"keyId": "alias/mine"}}
        await values.patch(SECRET_VERSION, value.metadata.name, own, "default")
        await deliver(secrets, "app-login")
        told = await condition(secrets)
        assert told.reason == "DeliveryFailed" and "used in the name of who asks" in told.message
        assert names(secrets) == []


@virtual_time
async def test_under_another_name_the_first_goes() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        await deliver(secrets, "one")
        await deliver(secrets, "two")
        assert names(secrets) == ["two"]
        await deliver(secrets, None)
        assert names(secrets) == []


@virtual_time
async def test_a_secret_of_somebody_else_is_left_alone() -> None:
    async with secrets_in_memory() as secrets:
        theirs = SECRET.new("app-login", namespace="default")
        theirs.data = {"password": base64.b64encode(b"theirs").decode()}
        await secrets.service.resources.create(SECRET, theirs)
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        await deliver(secrets, "app-login")
        assert await delivered(secrets) == {"password": "theirs"}
        told = await condition(secrets)
        assert told.reason == "DeliveryFailed" and "is not this secret's" in told.message
        await deliver(secrets, None)
        assert await delivered(secrets) == {"password": "theirs"}
        assert (await condition(secrets)).status == "True"


@virtual_time
async def test_without_key_manager_it_is_delivered_later() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        await secrets.service.advance(400)
        secrets.keys.broken = True
        await deliver(secrets, "app-login")
        assert "key-manager does not answer" in (await condition(secrets)).message and names(secrets) == []
        secrets.keys.broken = False
        await secrets.service.advance(300)
        assert await delivered(secrets) == {"value": "1"}


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (b"plain", {"value": b"plain"}),
        (b"{}", {"value": b"{}"}),
        (b"[1]", {"value": b"[1]"}),
        (b'{"a": {"b": 1}, "c": "x"}', {"a": b'{"b": 1}', "c": b"x"}),
        (b"[" * 100_000, {"value": b"[" * 100_000}),
    ],
)
def test_what_a_value_becomes(value: bytes, data: dict[str, bytes]) -> None:
    assert data_of(SecretValue(value)) == data
    assert data_of(SecretValue(value, binary=True)) == {"value": value}


def test_a_member_that_cannot_be_a_key_is_told_with_nothing_of_the_value() -> None:
    with pytest.raises(DeliveryFailure, match="a member of the value") as failure:
        data_of(SecretValue(b'{"swordfish/": "hunter2"}'))
    assert "swordfish" not in str(failure.value) and "hunter2" not in str(failure.value)
