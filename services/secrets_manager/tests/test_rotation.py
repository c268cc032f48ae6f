"""Rotation in virtual time: the four steps by a webhook, on schedule, failing, tried again, canceled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crds.model import rfc3339
from services.sdk.outbound import is_outside
from services.sdk.testing import virtual_time
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.rotation import STEPS
from services.secrets_manager.rotation_targets import target_fault
from services.secrets_manager.tests.in_memory import ROTATOR, Secrets, secrets_in_memory


async def a_secret(secrets: Secrets) -> str:
    return str((await secrets.call("CreateSecret", Name="s", SecretString="old"))["VersionId"])


async def status_of(secrets: Secrets) -> Any:
    return (await secrets.service.resources.get(MANAGED_SECRET, "s", "default")).status


@virtual_time
async def test_the_four_steps_make_the_new_value_current() -> None:
    async with secrets_in_memory() as secrets:
        first = await a_secret(secrets)
        rules = {"AutomaticallyAfterDays": 30}
        begun = await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR, RotationRules=rules)
        await secrets.service.advance(1)
        assert secrets.function.steps == list(STEPS)
        assert await secrets.stages("s") == {first: ["AWSPREVIOUS"], begun["VersionId"]: ["AWSCURRENT", "AWSPENDING"]}
        value = await secrets.call("GetSecretValue", SecretId="s")
        assert value["SecretString"] == secrets.function.in_use != "old"
        told = await secrets.call("DescribeSecret", SecretId="s")
        assert (told["RotationEnabled"], told["RotationLambdaARN"]) == (True, ROTATOR)
        assert told["RotationRules"] == rules and told["NextRotationDate"] - told["LastRotatedDate"] == 30 * 86400


@virtual_time
async def test_rotations_are_counted_by_how_they_ended() -> None:
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        secrets.function.fails = "setSecret"
        await secrets.call("RotateSecret", SecretId="s")
        await secrets.service.advance(1)
        async with secrets.service.probe() as probe:
            told = (await probe.get("/metrics")).text
        assert 'aerekos_secrets_rotations_total{outcome="done"} 1.0' in told
        assert 'aerekos_secrets_rotations_total{outcome="failed"}' in told
        assert 'aerekos_secrets_data_keys_total{source="memory"}' in told


@virtual_time
async def test_it_is_rotated_when_its_date_comes_and_again_after_that() -> None:
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        await secrets.call(
            "RotateSecret",
            SecretId="s",
            RotationLambdaARN=ROTATOR,
            RotationRules={"ScheduleExpression": "rate(4 hours)"},
            RotateImmediately=False,
        )
        await secrets.service.advance(3.9 * 3600)
        assert secrets.function.steps == []
        await secrets.service.advance(0.2 * 3600)
        assert secrets.function.steps == list(STEPS)
        await secrets.service.advance(4 * 3600)
        assert secrets.function.steps == [*STEPS, *STEPS]
        assert len(await secrets.stages("s")) == 2, "the first value has no label any more"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_the_current_version_and_is_tried_again(step: str) -> None:
    @virtual_time
    async def run() -> None:
        async with secrets_in_memory() as secrets:
            first = await a_secret(secrets)
            secrets.function.fails = step
            begun = await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
            await secrets.service.advance(5)
            assert "AWSCURRENT" in (await secrets.stages("s"))[first]
            assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == "old"
            status = await status_of(secrets)
            (condition,) = status.conditions
            assert (condition.status, condition.reason) == ("False", "RotationFailed")
            assert condition.message == f"not rotated: {step}: the webhook answered 500"
            assert (status.rotation.token, status.rotation.step) == (begun["VersionId"], step)
            again = await secrets.ask("RotateSecret", SecretId="s")
            assert again[1]["Message"] == "A previous rotation isn't complete. That rotation will be reattempted."
            secrets.function.fails = ""
            await secrets.service.advance(600)
            assert "AWSCURRENT" in (await secrets.stages("s"))[begun["VersionId"]]
            status = await status_of(secrets)
            assert status.rotation is None and status.conditions[0].status == "True"

    run()


@virtual_time
async def test_a_canceled_rotation_is_not_tried_again() -> None:
    async with secrets_in_memory() as secrets:
        first = await a_secret(secrets)
        secrets.function.fails = "testSecret"
        begun = await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        canceled = await secrets.call("CancelRotateSecret", SecretId="s")
        assert canceled["VersionId"] == begun["VersionId"]
        secrets.function.fails, done = "", len(secrets.function.steps)
        await secrets.service.advance(1200)
        assert len(secrets.function.steps) == done and "AWSCURRENT" in (await secrets.stages("s"))[first]
        told = await secrets.call("DescribeSecret", SecretId="s")
        assert told["RotationEnabled"] is False and "NextRotationDate" not in told
        assert (await status_of(secrets)).conditions[0].status == "True"


@virtual_time
async def test_a_canceled_rotation_is_gone_on_with_and_not_begun_anew() -> None:
    """The database has the pending password by then: another version would not know it."""
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        secrets.function.fails = "testSecret"
        begun = await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        await secrets.call("CancelRotateSecret", SecretId="s")
        secrets.function.fails, in_use = "", secrets.function.in_use
        for at_once in (True, False):
            rules = {"ScheduleExpression": "rate(4 hours)"}
            status, told = await secrets.ask(
                "RotateSecret", SecretId="s", RotationRules=rules, RotateImmediately=at_once
            )
            assert status == 400 and begun["VersionId"] in told["Message"]
        assert (await secrets.call("DescribeSecret", SecretId="s"))["RotationEnabled"] is False
        await secrets.call("RotateSecret", SecretId="s", ClientRequestToken=begun["VersionId"])
        await secrets.service.advance(5)
        assert "AWSCURRENT" in (await secrets.stages("s"))[begun["VersionId"]]
        assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == in_use
        await secrets.call("RotateSecret", SecretId="s")


@virtual_time
async def test_a_date_goes_on_with_a_canceled_rotation() -> None:
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        secrets.function.fails = "testSecret"
        begun = await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        await secrets.call("CancelRotateSecret", SecretId="s")
        secrets.function.fails = ""
        rotation = {"enabled": True, "schedule": "rate(4 hours)"}
        await secrets.service.resources.patch(MANAGED_SECRET, "s", {"spec": {"rotation": rotation}}, "default")
        await secrets.service.advance(4.1 * 3600)
        assert "AWSCURRENT" in (await secrets.stages("s"))[begun["VersionId"]]


@virtual_time
async def test_a_window_that_was_missed_is_left_for_the_next() -> None:
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        rules = {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}
        more = {"RotationLambdaARN": ROTATOR, "RotationRules": rules, "RotateImmediately": False}
        await secrets.call("RotateSecret", SecretId="s", **more)
        await secrets.service.advance(1)
        missed = rfc3339(secrets.service.context.clock.now() - timedelta(hours=4))
        await secrets.service.resources.patch(
            MANAGED_SECRET, "s", {"status": {"nextRotationAt": missed}}, "default", subresource="status"
        )
        await secrets.service.advance(60)
        status = await status_of(secrets)
        assert secrets.function.steps == []
        assert status.next_rotation_at > secrets.service.context.clock.now() + timedelta(days=9)


@virtual_time
async def test_webhooks_on_this_machine_are_not_called() -> None:
    async with secrets_in_memory() as secrets:
        await a_secret(secrets)
        secrets.function.resolved = "127.0.0.1"
        await secrets.call("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        await secrets.service.advance(5)
        assert secrets.function.steps == []
        assert "not one that may be called" in (await status_of(secrets)).conditions[0].message


@virtual_time
async def test_what_cannot_be_rotated_is_refused() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s")
        assert (await secrets.ask("RotateSecret", SecretId="s"))[1]["__type"] == "InvalidRequestException"
        refused = await secrets.ask("RotateSecret", SecretId="s", RotationLambdaARN=ROTATOR)
        assert refused[1]["Message"] == "The secret has no value to rotate."
        both = {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}
        function = {"RotationLambdaARN": "arn:aws:lambda:us-east-1:111122223333:function:mine"}
        assert (await secrets.ask("RotateSecret", SecretId="s", **function))[1]["__type"] == "AccessDeniedException"
        for more in (
            {"RotationLambdaARN": "http://rotator.example.com/"},
            {"RotationLambdaARN": ROTATOR, "RotationRules": both},
            {"RotationLambdaARN": ROTATOR, "RotationRules": {"ScheduleExpression": "daily"}},
            {"RotationLambdaARN": ROTATOR, "RotationRules": {"Duration": "30h"}},
        ):
            refused = await secrets.ask("RotateSecret", SecretId="s", **more)
            assert refused[1]["__type"] == "InvalidParameterException"
        assert (await secrets.ask("CancelRotateSecret", SecretId="s"))[1]["__type"] == "InvalidRequestException"


@pytest.mark.parametrize(
    "target",
    [
        "http://a.example/", "ftp://a.example/", "https:///x", "https://u:p@a.example/", "https://a.example/#x",
        "https://a.example:x/", "https://a b.example/", "file:///etc/passwd", "arn:aws:lambda:us-east-1:0:function:x",
        "arn:aws:lambda:us-east-1:111122223333:function:mine", "https://ä.example/", "https://a.example/\n",
    ],
)  # fmt: skip
def test_what_is_no_target(target: str) -> None:
    assert target_fault(target)


@pytest.mark.parametrize(
    ("address", "outside"),
    [
        ("203.0.113.7", True), ("10.0.0.7", True), ("2a00::7", True), ("127.0.0.1", False), ("::1", False),
        ("::ffff:127.0.0.1", False), ("169.254.169.254", False), ("fe80::1%eth0", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("none", False), ("::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_outside(address: str, outside: bool) -> None:
    assert is_outside(address) is outside
