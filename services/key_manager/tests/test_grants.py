"""Grants through real boto3: they give what no role gives, no more than they say, until they are taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.key_manager.kinds import KEY_GRANT, KeyGrantSpec
from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User, serving

EVE = "arn:aws:iam::000000000000:user/eve"
MAL = "arn:aws:iam::000000000000:user/mal"
ADMIN = "arn:aws:iam::000000000000:user/admin"


@pytest.fixture
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        for name in ("eve", "mal"):
            house.conductor.add(User(name, access_key=f"AKIA{name.upper() * 5}1"))
            for verb in ("use", "get", "create", "delete", "list"):
                house.conductor.refuse(name, verb)
        yield house


@pytest.fixture
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


@pytest.fixture
def eve(house: ServiceHarness) -> Any:
    return house.boto3_client("kms", house.conductor.users["AKIAEVEEVEEVEEVEEVE1"])


@pytest.fixture
def mal(house: ServiceHarness) -> Any:
    return house.boto3_client("kms", house.conductor.users["AKIAMALMALMALMALMAL1"])


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["KeyId"])


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def granted(kms: Any, key: str, *operations: str, to: str = EVE, **more: Any) -> Any:
    return kms.create_grant(KeyId=key, GranteePrincipal=to, Operations=[*operations], **more)


def test_a_grant_gives_its_operations_to_its_grantee_alone(kms: Any, eve: Any, mal: Any, key: str) -> None:
    assert refusal(eve.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    grant = granted(kms, key, "Encrypt", "DescribeKey")
    blob = eve.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert eve.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key
    assert refusal(eve.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    assert refusal(mal.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    # A token names a grant; it lends nobody its rights.
    tokens = [grant["GrantToken"]]
    assert refusal(mal.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=tokens) == "AccessDeniedException"
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refusal(eve.encrypt, KeyId=other, Plaintext=b"x", GrantTokens=tokens) == "AccessDeniedException"
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert refusal(eve.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_constraints_hold_for_whatever_takes_a_context(kms: Any, eve: Any, key: str) -> None:
    granted(kms, key, "Encrypt", Constraints={"EncryptionContextEquals": {"tenant": "a"}})
    granted(kms, key, "GenerateDataKey", "DescribeKey", Constraints={"EncryptionContextSubset": {"tenant": "a"}})
    assert eve.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"tenant": "a"})
    both = {"tenant": "a", "more": "b"}
    for context in ({}, {"tenant": "b"}, both):
        assert refusal(eve.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context) == "AccessDeniedException"
    assert eve.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=both)
    assert refusal(eve.generate_data_key, KeyId=key, KeySpec="AES_256") == "AccessDeniedException"
    assert eve.describe_key(KeyId=key)


def test_each_end_of_a_re_encryption_needs_its_own_grant(kms: Any, eve: Any, key: str) -> None:
    target = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    granted(kms, key, "ReEncryptFrom")
    assert refusal(eve.re_encrypt, CiphertextBlob=blob, DestinationKeyId=target) == "AccessDeniedException"
    granted(kms, target, "ReEncryptTo")
    moved = eve.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=moved)["Plaintext"] == b"x"
    assert refusal(eve.re_encrypt, CiphertextBlob=moved, DestinationKeyId=key) == "AccessDeniedException"


def test_no_grant_helps_against_a_deny(kms: Any, eve: Any) -> None:
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": ADMIN}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": EVE}, "Action": "kms:Encrypt", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    granted(kms, key, "Encrypt", "GenerateDataKey")
    assert eve.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert refusal(eve.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_a_grant_reaches_into_another_account_and_no_further(house: ServiceHarness, kms: Any, key: str) -> None:
    made = kms.describe_key(KeyId=key)["KeyMetadata"]
    team = house.conductor.add(User("ted", namespace="team", access_key="AKIATEDTEDTEDTEDTED1"))
    ted = house.boto3_client("kms", team)
    for verb in ("use", "get"):
        house.conductor.refuse("ted", verb)
    assert refusal(ted.encrypt, KeyId=made["Arn"], Plaintext=b"x") == "NotFoundException"
    granted(kms, key, "Encrypt", "Decrypt", to=f"arn:aws:iam::{account_of('team')}:user/ted")
    blob = ted.encrypt(KeyId=made["Arn"], Plaintext=b"x")["CiphertextBlob"]
    assert ted.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(ted.describe_key, KeyId=made["Arn"]) == "AccessDeniedException"
    other = kms.create_key()["KeyMetadata"]["Arn"]
    assert refusal(ted.encrypt, KeyId=other, Plaintext=b"x") == "NotFoundException"
    hidden = kms.encrypt(KeyId=other, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(ted.decrypt, CiphertextBlob=hidden) == "InvalidCiphertextException"
    assert ted.list_keys()["Keys"] == []


def test_who_retires_a_grant(kms: Any, eve: Any, mal: Any, key: str) -> None:
    mine = granted(kms, key, "Encrypt", "RetireGrant")
    theirs = granted(kms, key, "Decrypt", RetiringPrincipal=MAL)
    third = granted(kms, key, "Encrypt", Name="third")
    assert refusal(mal.retire_grant, GrantToken=mine["GrantToken"]) == "AccessDeniedException"
    assert refusal(eve.retire_grant, GrantToken=theirs["GrantToken"]) == "AccessDeniedException"
    assert refusal(eve.retire_grant, GrantToken=mine["GrantToken"], DryRun=True) == "DryRunOperationException"
    eve.retire_grant(GrantToken=mine["GrantToken"])
    mal.retire_grant(GrantToken=theirs["GrantToken"])
    assert [each["GrantId"] for each in kms.list_grants(KeyId=key)["Grants"]] == [third["GrantId"]]
    kms.retire_grant(KeyId=key, GrantId=third["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert refusal(kms.retire_grant, GrantToken=third["GrantToken"]) == "NotFoundException"
    assert refusal(kms.retire_grant, GrantToken="nonsense") == "InvalidGrantTokenException"
    assert refusal(kms.retire_grant, KeyId=key) == "ValidationException"


def test_grants_are_listed_as_they_were_given(kms: Any, key: str) -> None:
    constraints = {"EncryptionContextSubset": {"tenant": "a"}}
    first = granted(kms, key, "Encrypt", "Decrypt", Name="one", Constraints=constraints, RetiringPrincipal=MAL)
    again = granted(kms, key, "Decrypt", "Encrypt", Name="one", Constraints=constraints, RetiringPrincipal=MAL)
    assert first["GrantId"] == again["GrantId"], "asked twice, made once"
    granted(kms, key, "Encrypt", to=MAL)
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 2
    [entry] = kms.list_grants(KeyId=key, GranteePrincipal=EVE)["Grants"]
    arn = kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    assert (entry["KeyId"], entry["Name"], entry["Operations"]) == (arn, "one", ["Decrypt", "Encrypt"])
    assert (entry["Constraints"], entry["RetiringPrincipal"]) == (constraints, MAL)
    assert entry["IssuingAccount"] == "arn:aws:iam::000000000000:root"
    assert [each["GrantId"] for each in kms.list_grants(KeyId=key, GrantId=first["GrantId"])["Grants"]] == [
        first["GrantId"]
    ]
    retirable = kms.list_retirable_grants(RetiringPrincipal=MAL)["Grants"]
    assert [each["GrantId"] for each in retirable] == [first["GrantId"]]
    page = kms.list_grants(KeyId=key, Limit=1)
    rest = kms.list_grants(KeyId=key, Limit=1, Marker=page["NextMarker"])
    assert {each["GranteePrincipal"] for each in page["Grants"] + rest["Grants"]} == {EVE, MAL}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GranteePrincipal": "eve"}, "InvalidArnException"),
        ({"GranteePrincipal": "arn:aws:iam::000000000000:root"}, "InvalidArnException"),
        ({"Operations": ["Sign"]}, "ValidationException"),
        ({"GrantTokens": ["nonsense"]}, "InvalidGrantTokenException"),
        ({"DryRun": True}, "DryRunOperationException"),
        ({"GranteeServicePrincipal": "s3.amazonaws.com"}, "UnsupportedOperationException"),
    ],
)
def test_what_cannot_be_granted_is_refused(kms: Any, key: str, asked: dict[str, Any], code: str) -> None:
    said = {"KeyId": key, "GranteePrincipal": EVE, "Operations": ["Encrypt"], **asked}
    assert refusal(kms.create_grant, **said) == code
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_a_key_that_goes_is_granted_to_nobody(kms: Any, eve: Any, key: str) -> None:
    granted(kms, key, "Encrypt")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refusal(eve.encrypt, KeyId=key, Plaintext=b"x") == "KMSInvalidStateException"
    assert refusal(granted, kms=kms, key=key) in ("KMSInvalidStateException", "ValidationException")


def test_a_grant_made_by_kubectl_counts(house: ServiceHarness, kms: Any, eve: Any, key: str) -> None:
    spec = KeyGrantSpec(key=key, grantee=EVE, operations=["Encrypt"])
    house.run(house.resources.create(KEY_GRANT, KEY_GRANT.new("for-eve", namespace="default", spec=spec)))
    [entry] = _eventually(lambda: kms.list_grants(KeyId=key)["Grants"])
    assert entry["GrantId"] == "for-eve"
    assert eve.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]


def _eventually(read: Any) -> Any:
    """What the informer has heard of: its watch is told in the same loop, a few turns later."""
    for _ in range(200):
        if found := read():
            return found
    return found
