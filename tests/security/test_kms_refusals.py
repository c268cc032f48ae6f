"""What KMS is asked for and does not do is refused; no name, marker or member reaches another account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from controller.resources.remote import path_of
from crds.errors import Invalid
from services.key_manager.kinds import KEY
from services.sdk.aws.accounts import account_of
from services.sdk.testing import House, User, serving


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        house.run(house.resources.create(KEY, KEY.new("theirs", namespace="team")))
        yield house


@pytest.fixture(scope="module")
def kms(house: House) -> Any:
    return house.boto3_client("kms")


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def tricks(uid: str) -> list[str]:
    account = account_of("team")
    return [
        "../../../namespaces/team/keys/theirs",
        "..",
        ".",
        "theirs/../theirs",
        "%2e%2e%2f%2e%2e%2fnamespaces%2fteam%2fkeys%2ftheirs",
        "key/../../team/keys/theirs",
        "arn:aws:kms:us-east-1:000000000000:key/../../../namespaces/team/keys/theirs",
        f"arn:aws:kms:us-east-1:{account}:key/theirs",
        f"arn:aws:kms:us-east-1:{account}:key/{uid}",
        uid,
        "theirs?x=1",
        "theirs#x",
        "the\nirs",
        "the\x00irs",
        " theirs",
    ]


def test_no_spelling_of_a_key_id_leads_to_another_account(house: House, kms: Any) -> None:
    uid = str(house.run(house.resources.get(KEY, "theirs", "team")).metadata.uid)
    for wanted in tricks(uid):
        assert code(kms.describe_key, KeyId=wanted) in ("NotFoundException", "InvalidArnException"), wanted
        for operation, more in (("encrypt", {"Plaintext": b"x"}), ("schedule_key_deletion", {}), ("disable_key", {})):
            refused = code(getattr(kms, operation), KeyId=wanted, **more)
            assert refused in ("NotFoundException", "InvalidArnException"), (operation, wanted)
    eve = house.boto3_client(
        "kms", house.conductor.add(User("eve", namespace="team", access_key="AKIAEVEEVEEVEEVEEVE1"))
    )
    assert eve.describe_key(KeyId="theirs")["KeyMetadata"]["Enabled"] is True


@given(st.text(max_size=40))
@example("../../team/keys/theirs")
@example("..")
@example("%2e%2e")
def test_an_address_made_of_a_name_stays_below_its_kind(name: str) -> None:
    try:
        path = path_of(KEY, "default", name)
    except Invalid:
        return
    base = "apis/aerekos.cloud/v1/namespaces/default/keys"
    assert path == base or (path.startswith(f"{base}/") and "/" not in path[len(base) + 1 :])
    assert "?" not in path and "#" not in path and "/.." not in path
