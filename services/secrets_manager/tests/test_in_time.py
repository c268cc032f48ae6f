"""What time does: deletion at its date, values that a crash left, data keys in memory, key_manager away."""

from __future__ import annotations

from datetime import timedelta

from crds.model import rfc3339
from services.sdk.testing import virtual_time
from services.secrets_manager import envelope
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION, ManagedSecretSpec
from services.secrets_manager.tests.in_memory import Secrets, secrets_in_memory


async def scheduled(secrets: Secrets, seconds: float) -> None:
    """A secret that goes then: sooner than anybody could ask for, since virtual days are real work."""
    await secrets.call("CreateSecret", Name="s", SecretString="1")
    date = rfc3339(secrets.service.context.clock.now() + timedelta(seconds=seconds))
    await secrets.service.resources.patch(MANAGED_SECRET, "s", {"spec": {"deletionDate": date}}, "default")


@virtual_time
async def test_a_secret_goes_at_its_date_and_not_before() -> None:
    async with secrets_in_memory() as secrets:
        await scheduled(secrets, 600)
        await secrets.service.advance(590)
        assert (await secrets.service.resources.get(MANAGED_SECRET, "s")).status.arn
        await secrets.service.advance(20)
        assert (await secrets.service.resources.list(MANAGED_SECRET)).items == []
        assert (await secrets.service.resources.list(SECRET_VERSION)).items == []


@virtual_time
async def test_a_secret_that_was_restored_stays() -> None:
    async with secrets_in_memory() as secrets:
        await scheduled(secrets, 600)
        await secrets.service.advance(590)
        await secrets.call("RestoreSecret", SecretId="s")
        await secrets.service.advance(1000)
        assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == "1"


@virtual_time
async def test_what_kubectl_made_is_a_secret_of_aws() -> None:
    async with secrets_in_memory() as secrets:
        spec = ManagedSecretSpec(description="by hand")
        await secrets.service.resources.create(
            MANAGED_SECRET, MANAGED_SECRET.new("made", namespace="default", spec=spec)
        )
        await secrets.service.advance(1)
        told = await secrets.call("DescribeSecret", SecretId="made")
        seen = await secrets.service.resources.get(MANAGED_SECRET, "made", "default")
        assert (told["Description"], told["ARN"]) == ("by hand", seen.status.arn)
        assert seen.status.conditions[0].reason == "Empty"
        await secrets.call("PutSecretValue", SecretId="made", SecretString="1")
        await secrets.service.advance(1)
        seen = await secrets.service.resources.get(MANAGED_SECRET, "made", "default")
        assert seen.status.conditions[0].reason == "Current" and seen.status.current_version


@virtual_time
async def test_values_without_a_version_are_swept_after_an_hour() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        resources = secrets.service.resources
        (value,) = (await resources.list(SECRET_VERSION)).items
        left = SECRET_VERSION.new(
            "sv-left", namespace="default", spec=value.spec.model_copy(update={"version_id": "x"})
        )
        await secrets.service.advance(1800)
        await resources.create(SECRET_VERSION, left)
        await secrets.service.advance(3000)
        assert len((await resources.list(SECRET_VERSION)).items) == 2, "it may still become a version"
        await secrets.service.advance(2.1 * 3600)
        assert [each.metadata.name for each in (await resources.list(SECRET_VERSION)).items] == [value.metadata.name]
        assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == "1"


@virtual_time
async def test_data_keys_are_held_for_minutes_and_are_not_many() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        asked = secrets.keys.asked
        for _ in range(3):
            await secrets.call("GetSecretValue", SecretId="s")
        assert secrets.keys.asked == asked
        await secrets.service.advance(envelope.CACHE_SECONDS + 60)
        await secrets.call("GetSecretValue", SecretId="s")
        assert secrets.keys.asked > asked


@virtual_time
async def test_without_key_manager_it_is_degraded_and_says_so() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        assert await secrets.ready() == {"ready": True}
        secrets.keys.broken = True
        await secrets.service.advance(60)
        told = await secrets.ready()
        assert told["ready"] is True and told["degraded"].startswith("key-manager: key-manager does not answer")
        assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == "1", (
            "its data key is in memory"
        )
        status, answer = await secrets.ask("PutSecretValue", SecretId="s", SecretString="2")
        assert (status, answer["__type"]) == (503, "InternalServiceError") and "key-manager" in answer["Message"]
        await secrets.service.advance(envelope.CACHE_SECONDS)
        assert (await secrets.ask("GetSecretValue", SecretId="s"))[0] == 503
        secrets.keys.broken = False
        await secrets.service.advance(60)
        assert await secrets.ready() == {"ready": True}
        assert (await secrets.call("GetSecretValue", SecretId="s"))["SecretString"] == "1"


@virtual_time
async def test_the_day_of_the_last_read_is_written_once_a_day() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        changed = (await secrets.service.resources.get(MANAGED_SECRET, "s", "default")).status.changed_at
        revisions = set()
        for _ in range(3):
            await secrets.call("GetSecretValue", SecretId="s")
            revisions.add(
                (await secrets.service.resources.get(MANAGED_SECRET, "s", "default")).metadata.resource_version
            )
        assert len(revisions) <= 2, "the first read, and perhaps the reconciler's pass"
        seen = (await secrets.service.resources.get(MANAGED_SECRET, "s", "default")).status
        assert seen.accessed_on is not None and seen.changed_at == changed


@virtual_time
async def test_a_read_is_noted_also_where_somebody_else_wrote_meanwhile() -> None:
    async with secrets_in_memory() as secrets:
        await secrets.call("CreateSecret", Name="s", SecretString="1")
        resources, seen = (
            secrets.service.resources,
            await secrets.service.context.informer(MANAGED_SECRET).read("s", "default"),
        )
        assert seen is not None
        await resources.patch(
            MANAGED_SECRET, "s", {"metadata": {"labels": {"newer": "than-what-is-held"}}}, "default"
        )
        secrets.service.context.informer(MANAGED_SECRET).put(seen)
        await secrets.call("GetSecretValue", SecretId="s")
        now = await resources.get(MANAGED_SECRET, "s", "default")
        assert now.status.accessed_on is not None and now.metadata.labels


@virtual_time
async def test_a_request_without_a_token_is_refused_before_anything_is_looked_at() -> None:
    async with secrets_in_memory() as secrets:
        for operation in ("CreateSecret", "PutSecretValue", "UpdateSecret", "RotateSecret"):
            named = {"Name" if operation == "CreateSecret" else "SecretId": "s"}
            asked = {**named, "SecretString": "1"} if operation != "RotateSecret" else named
            status, answer = await secrets.ask(operation, **asked, ClientRequestToken=None)
            assert (status, answer["__type"]) == (400, "InvalidRequestException"), operation
            assert answer["Message"].startswith("You must provide a ClientRequestToken value."), operation
        assert (await secrets.service.resources.list(MANAGED_SECRET)).items == []
