"""What KMS is asked for and does not do is refused; no name, marker or member reaches another account."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from controller.client.remote import path_of
from crds.errors import Invalid
from services.key_manager.kinds import KEY
from services.key_manager.operations import OPERATIONS
from services.key_manager.pages import Pages, page_tokens
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import load_model
from services.sdk.aws.operations import RequestContext, require_modelled
from services.sdk.identity import Caller
from services.sdk.testing import ServiceHarness, User, serving


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        house.run(house.resources.create(KEY, KEY.new("theirs", namespace="team")))
        yield house


@pytest.fixture(scope="module")
def kms(house: ServiceHarness) -> Any:
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


def test_no_spelling_of_a_key_id_leads_to_another_account(house: ServiceHarness, kms: Any) -> None:
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


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("create_key", {"CustomKeyStoreId": "cks-1"}),
        ("create_key", {"XksKeyId": "x"}),
        ("create_key", {"Origin": "AWS_CLOUDHSM"}),
        ("create_key", {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
        ("decrypt", {"CiphertextBlob": b"x", "Recipient": {"AttestationDocument": b"x"}}),
        ("generate_random", {"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"}),
    ],
)
def test_members_that_are_asked_for_and_not_done_are_refused(kms: Any, operation: str, asked: dict[str, Any]) -> None:
    before = len(kms.list_keys()["Keys"])
    assert code(getattr(kms, operation), **asked) == "UnsupportedOperationException"
    assert len(kms.list_keys()["Keys"]) == before


def test_a_rehearsal_does_nothing(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for operation, asked in (
        ("encrypt", {"KeyId": key, "Plaintext": b"x"}),
        ("generate_data_key", {"KeyId": key, "KeySpec": "AES_256"}),
        ("re_encrypt", {"CiphertextBlob": blob, "DestinationKeyId": key}),
    ):
        assert code(getattr(kms, operation), DryRun=True, **asked) == "DryRunOperationException"


def test_a_context_is_bounded(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"a": "x" * 8193}
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context) == "ValidationException"


@given(st.text(min_size=1, max_size=30) | st.sampled_from(["=", "YQ", "YQ=="]))
def test_a_forged_marker_is_refused(marker: str) -> None:
    call = RequestContext(Caller("eve"), "us-east-1", account_of("default"), "r", OPERATIONS["ListKeys"], [])
    rows = [{"KeyId": f"{number}"} for number in range(5)]
    with pytest.raises(AwsError) as refused:
        Pages(page_tokens(bytes(32))).page(call, rows, "KeyId", {"Marker": marker, "Limit": 2}, 100)
    assert refused.value.code == "InvalidMarkerException"


def test_a_marker_serves_its_own_list_alone(house: ServiceHarness, kms: Any) -> None:
    for _ in range(2):
        kms.create_alias(AliasName=f"alias/m{_}", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    marker = kms.list_keys(Limit=1)["NextMarker"]
    assert kms.list_keys(Limit=1, Marker=marker)["Keys"] != kms.list_keys(Limit=1)["Keys"]
    assert code(kms.list_aliases, Marker=marker) == "InvalidMarkerException"
    team = house.conductor.add(User("mal", namespace="team", access_key="AKIAMALMALMALMALMAL1"))
    assert code(house.boto3_client("kms", team).list_keys, Marker=marker) == "InvalidMarkerException"


def test_the_platforms_keys_serve_people_only_through_their_service(house: ServiceHarness, kms: Any) -> None:
    identity = house.conductor.token("system:service:storage-manager", "key-manager", groups=["system:services"])
    headers = {"X-Aerekos-Identity": identity, "X-Amz-Target": "TrentService.GenerateDataKey"}
    made = httpx.post(house.url, json={"KeyId": "alias/aws/s3", "KeySpec": "AES_256"}, headers=headers)
    assert made.status_code == 200, made.text
    blob = base64.b64decode(made.json()["CiphertextBlob"])
    key = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert key["KeyManager"] == "AWS"
    id = key["KeyId"]
    for operation, asked in (
        ("decrypt", {"CiphertextBlob": blob}),
        ("encrypt", {"KeyId": "alias/aws/s3", "Plaintext": b"x"}),
        ("generate_data_key", {"KeyId": key["Arn"], "KeySpec": "AES_256"}),
        ("rotate_key_on_demand", {"KeyId": id}),
        ("disable_key", {"KeyId": id}),
        ("schedule_key_deletion", {"KeyId": id}),
        ("update_key_description", {"KeyId": id, "Description": "mine"}),
    ):
        assert code(getattr(kms, operation), **asked) == "AccessDeniedException", operation
    assert code(kms.delete_alias, AliasName="alias/aws/s3") == "NotAuthorizedException"
    assert code(kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=id) == "NotAuthorizedException"


def test_every_operation_has_its_row_and_every_member_is_judged() -> None:
    model = load_model("kms")
    require_modelled(model, OPERATIONS.values())
    assert all(each.understands for each in OPERATIONS.values())
    assert {name for name, each in OPERATIONS.items() if each.permission is None} == {"GenerateRandom"}


# What the model calls optional, though without it nothing can be done.
NEEDED = {
    "GenerateDataKey": {"KeySpec"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec"},
    "Decrypt": {"CiphertextBlob"},
    "ReEncrypt": {"CiphertextBlob"},
    "RetireGrant": {"KeyId", "GrantId"},
    "ListRetirableGrants": {"RetiringPrincipal"},
}


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"GenerateRandom"}))
def test_every_operation_asks_for_what_its_row_says(house: ServiceHarness, operation: str) -> None:
    """Who lacks just that verb is refused. Who has it is answered only after it was asked for (`AwsApp`)."""
    wanted = OPERATIONS[operation].permission
    assert wanted is not None
    name = f"no{wanted.verb}"
    user = house.conductor.add(User(name, access_key=f"AKIA{name.upper():X<16}"))
    house.conductor.refuse(name, wanted.verb)
    admin = house.boto3_client("kms")
    key = admin.create_key()["KeyMetadata"]["KeyId"]
    alias = f"alias/{operation}"
    if operation in ("UpdateAlias", "DeleteAlias"):
        admin.create_alias(AliasName=alias, TargetKeyId=key)
    asked: dict[str, Any] = {
        "KeyId": key,
        "AliasName": alias,
        "TargetKeyId": key,
        "Plaintext": b"x",
        "Description": "x",
        "KeySpec": "AES_256",
        "CiphertextBlob": admin.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"],
        "DestinationKeyId": key,
        "Message": b"x",
        "ReplicaRegion": "eu-west-1",
        "PrimaryRegion": "eu-west-1",
        "GranteePrincipal": "arn:aws:iam::000000000000:user/eve",
        "RetiringPrincipal": "arn:aws:iam::000000000000:user/eve",
        "Operations": ["Encrypt"],
        "GrantId": "0" * 64,
        "ImportToken": b"x",
        "EncryptedKeyMaterial": b"x",
        "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048",
        "Policy": "{}",
        "Tags": [],
        "TagKeys": [],
        "Signature": b"x",
        "SigningAlgorithm": "ECDSA_SHA_256",
        "Mac": b"x",
        "MacAlgorithm": "HMAC_SHA_256",
        "KeyPairSpec": "RSA_2048",
        "PublicKey": b"x",
        "KeyAgreementAlgorithm": "ECDH",
        "EncapsulationAlgorithm": "ML_KEM",
        "SharedSecretCiphertextBlob": b"x",
    }
    shape = load_model("kms").shapes[str(load_model("kms").input_of(operation))]
    needed = {*shape.get("required", ()), *NEEDED.get(operation, ())}
    client = house.boto3_client("kms", user)
    refused = code(getattr(client, xform_name(operation)), **{member: asked[member] for member in needed})
    assert refused == "AccessDeniedException"
