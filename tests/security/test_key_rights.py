"""A bucket's own key is used in the name of whoever asks for the object: their right on the key counts, not that of
the storage service, and not that its data key happens to be in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from services.key_manager.kinds import KEY
from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.kinds import BUCKET, BucketSpec, Encryption

EVE = User("eve", groups=("aerekos:viewer",), access_key="AKIAEVEEVEEVEEVEEVE1", secret="eves-secret")
V4: dict[str, Any] = {"signature_version": "s3v4"}


@pytest.fixture
def keys() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as house:
        yield house


@pytest.fixture
def house(keys: ServiceHarness) -> Iterator[ServiceHarness]:
    with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house:
        house.conductor.add(EVE)
        keys.run(keys.resources.create(KEY, KEY.new("payments", namespace="default")))
        spec = BucketSpec(encryption=Encryption(key="payments"))
        house.run(house.resources.create(BUCKET, BUCKET.new("box", namespace="default", spec=spec)))
        house.run(house.resources.create(BUCKET, BUCKET.new("common", namespace="default")))
        yield house


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_who_may_not_use_the_key_neither_puts_nor_gets(house: ServiceHarness, keys: ServiceHarness) -> None:
    admin, eve = house.boto3_client("s3", **V4), house.boto3_client("s3", EVE, **V4)
    keys.conductor.refuse("eve", "use")
    assert code(eve.put_object, Bucket="box", Key="k", Body=b"x") == "KMS.AccessDeniedException"
    admin.put_object(Bucket="box", Key="k", Body=b"secret")
    assert admin.get_object(Bucket="box", Key="k")["Body"].read() == b"secret"  # the data key is in memory now
    assert code(eve.get_object, Bucket="box", Key="k") == "KMS.AccessDeniedException"
    assert code(eve.put_object, Bucket="box", Key="k", Body=b"x") == "KMS.AccessDeniedException"
    copy = {"Bucket": "box", "Key": "k"}
    assert code(eve.copy_object, Bucket="common", Key="mine", CopySource=copy) == "KMS.AccessDeniedException"
    assert admin.get_object(Bucket="box", Key="k")["Body"].read() == b"secret"


def test_the_account_s_own_key_belongs_to_the_service(house: ServiceHarness, keys: ServiceHarness) -> None:
    """As with AWS: who may read the bucket needs no right of their own on `aws/s3`."""
    keys.conductor.refuse("eve", "use")
    eve = house.boto3_client("s3", EVE, **V4)
    eve.put_object(Bucket="common", Key="k", Body=b"x")
    assert eve.get_object(Bucket="common", Key="k")["Body"].read() == b"x"


def test_a_bucket_that_changed_its_key_keeps_asking_for_the_old_one(
    house: ServiceHarness, keys: ServiceHarness
) -> None:
    admin, eve = house.boto3_client("s3", **V4), house.boto3_client("s3", EVE, **V4)
    admin.put_object(Bucket="box", Key="k", Body=b"secret")
    house.run(house.resources.patch(BUCKET, "box", {"spec": {"encryption": {"key": None}}}, "default"))
    keys.conductor.refuse("eve", "use")
    assert code(eve.get_object, Bucket="box", Key="k") == "KMS.AccessDeniedException"


def test_a_service_in_its_own_name_has_its_own_rights_only(keys: ServiceHarness) -> None:
    """It opens and seals with the platform's keys. Whoever took it over holds no oracle for everybody else's."""
    keys.run(keys.resources.create(KEY, KEY.new("payments", namespace="default")))

    async def ask() -> httpx.Response:
        async with keys.peer_client("storage-manager") as client:
            return await client.post(
                "/", headers={"x-amz-target": "TrentService.GenerateDataKey", "x-aerekos-namespace": "default"},
                json={"KeyId": "payments", "KeySpec": "AES_256"},
            )  # fmt: skip

    answer = keys.run(ask())
    assert answer.status_code == 400 and "AccessDenied" in answer.text
    assert "only in the name of who asks" in answer.text
