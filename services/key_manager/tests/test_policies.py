"""Key policies and tags through real boto3: stored, refused when they are none, and asked at every call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.key_manager.key_policy import default_policy, policy_fault
from services.key_manager.kinds import KeySpec
from services.sdk.testing import ServiceHarness, User, serving

ROOT = "arn:aws:iam::000000000000:root"
EVE = "arn:aws:iam::000000000000:user/eve"
ADMIN = "arn:aws:iam::000000000000:user/admin"
Json = dict[str, Any]


@pytest.fixture
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


@pytest.fixture
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


@pytest.fixture
def eve(house: ServiceHarness) -> Any:
    return house.boto3_client("kms", house.conductor.add(User("eve", access_key="AKIAEVEEVEEVEEVEEVE1")))


def statement(principal: Any, *actions: str, effect: str = "Allow", **more: Any) -> Json:
    return {"Effect": effect, "Principal": principal, "Action": list(actions), "Resource": "*", **more}


def policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


OWNED = statement({"AWS": ROOT}, "kms:*")


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_key_without_a_policy_has_aws_s_default(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    text = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    assert text == default_policy("000000000000") and json.loads(text)["Statement"][0]["Principal"] == {"AWS": ROOT}
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert refusal(kms.get_key_policy, KeyId=key, PolicyName="mine") == ("NotFoundException", "No such policy exists")


def test_a_policy_is_kept_as_it_was_written(kms: Any) -> None:
    first, second = policy(OWNED), policy(OWNED, statement({"AWS": EVE}, "kms:Encrypt", Sid="Eve may seal"))
    key = kms.create_key(Policy=first)["KeyMetadata"]["KeyId"]
    assert kms.get_key_policy(KeyId=key)["Policy"] == first
    kms.put_key_policy(KeyId=key, Policy=second)
    assert kms.get_key_policy(KeyId=key)["Policy"] == second


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "{}",
        policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "kms:*", "Principal": {"AWS": ROOT}}),
        policy(statement({"AWS": ROOT}, "kms:*", Condition={"Nonsense": {"a": "b"}})),
        policy(statement({"AWS": ROOT}, "kms:*", Surplus=1)),
    ],
)
def test_what_is_no_policy_is_refused_by_every_way_in(kms: Any, text: str) -> None:
    before = len(kms.list_keys()["Keys"])
    assert refusal(kms.create_key, Policy=text)[0] == "MalformedPolicyDocumentException"
    assert len(kms.list_keys()["Keys"]) == before
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refusal(kms.put_key_policy, KeyId=key, Policy=text)[0] == "MalformedPolicyDocumentException"
    with pytest.raises(ValueError):
        KeySpec(policy=text)
    assert policy_fault(text)


def test_nobody_locks_themselves_out_unless_they_say_so(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    others = policy(statement({"AWS": EVE}, "kms:*"))
    code, said = refusal(kms.put_key_policy, KeyId=key, Policy=others)
    assert (code, "in the future" in said) == ("MalformedPolicyDocumentException", True)
    assert refusal(kms.create_key, Policy=others)[0] == "MalformedPolicyDocumentException"
    kms.put_key_policy(KeyId=key, Policy=others, BypassPolicyLockoutSafetyCheck=True)
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    assert refusal(kms.put_key_policy, KeyId=key, Policy=policy(OWNED))[0] == "AccessDeniedException"


def test_a_deny_wins_over_every_role(kms: Any, eve: Any) -> None:
    denied = statement({"AWS": EVE}, "kms:Decrypt", effect="Deny")
    key = kms.create_key(Policy=policy(OWNED, denied))["KeyMetadata"]["KeyId"]
    blob = eve.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    code, said = refusal(eve.decrypt, CiphertextBlob=blob)
    assert code == "AccessDeniedException"
    assert f"User: {EVE} is not authorized to perform: kms:Decrypt" in said and "explicit deny" in said
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_whom_no_statement_names_may_nothing_whatever_their_roles_say(kms: Any, eve: Any) -> None:
    key = kms.create_key(Policy=policy(statement({"AWS": ADMIN}, "kms:*")))["KeyMetadata"]["KeyId"]
    assert kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    code, said = refusal(eve.encrypt, KeyId=key, Plaintext=b"x")
    assert code == "AccessDeniedException"
    assert "no resource-based policy allows the kms:Encrypt action" in said
    assert refusal(eve.describe_key, KeyId=key)[0] == "AccessDeniedException"


def test_who_is_named_needs_no_role_to_use_a_key_but_to_change_it(house: ServiceHarness, kms: Any, eve: Any) -> None:
    named = policy(OWNED, statement({"AWS": EVE}, "kms:Encrypt", "kms:DisableKey"))
    key = kms.create_key(Policy=named)["KeyMetadata"]["KeyId"]
    for verb in ("use", "get", "patch"):
        house.conductor.refuse("eve", verb)
    assert eve.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(eve.decrypt, KeyId=key, CiphertextBlob=b"x")[0] == "AccessDeniedException"
    assert refusal(eve.disable_key, KeyId=key)[0] == "AccessDeniedException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"] is True


def test_conditions_see_the_encryption_context_and_the_tags(kms: Any, eve: Any) -> None:
    guarded = statement(
        {"AWS": EVE},
        "kms:Encrypt",
        "kms:Decrypt",
        Condition={
            "StringEquals": {"kms:EncryptionContext:tenant": "a", "aws:ResourceTag/stage": "live"},
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]},
        },
    )
    only_admin = statement({"AWS": ADMIN}, "kms:*")
    tags = [{"TagKey": "stage", "TagValue": "live"}]
    key = kms.create_key(Policy=policy(only_admin, guarded), Tags=tags)["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "Plaintext": b"x"}
    blob = eve.encrypt(**asked, EncryptionContext={"tenant": "a"})["CiphertextBlob"]
    assert eve.decrypt(CiphertextBlob=blob, EncryptionContext={"tenant": "a"})["Plaintext"] == b"x"
    for context in ({}, {"tenant": "b"}, {"tenant": "a", "more": "x"}):
        assert refusal(eve.encrypt, **asked, EncryptionContext=context)[0] == "AccessDeniedException"
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "stage", "TagValue": "test"}])
    assert refusal(eve.encrypt, **asked, EncryptionContext={"tenant": "a"})[0] == "AccessDeniedException"


def test_each_end_of_a_re_encryption_is_judged_by_its_own_context(kms: Any, eve: Any) -> None:
    def only(action: str, tenant: str) -> str:
        condition = {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}
        return policy(statement({"AWS": ADMIN}, "kms:*"), statement({"AWS": EVE}, action, Condition=condition))

    source = kms.create_key(Policy=only("kms:ReEncryptFrom", "a"))["KeyMetadata"]["KeyId"]
    target = kms.create_key(Policy=only("kms:ReEncryptTo", "b"))["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=source, Plaintext=b"x", EncryptionContext={"tenant": "a"})["CiphertextBlob"]
    asked = {"CiphertextBlob": blob, "SourceEncryptionContext": {"tenant": "a"}, "DestinationKeyId": target}
    moved = eve.re_encrypt(**asked, DestinationEncryptionContext={"tenant": "b"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=moved, EncryptionContext={"tenant": "b"})["Plaintext"] == b"x"
    wrong = refusal(eve.re_encrypt, **asked, DestinationEncryptionContext={"tenant": "a"})
    assert wrong[0] == "AccessDeniedException" and "kms:ReEncryptTo" in wrong[1]


def test_there_is_no_key_store_elsewhere(kms: Any) -> None:
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []
    assert refusal(kms.describe_custom_key_stores, CustomKeyStoreId="cks-1")[0] == "CustomKeyStoreNotFoundException"
    assert refusal(kms.connect_custom_key_store, CustomKeyStoreId="cks-1")[0] == "UnknownOperationException"
    assert refusal(kms.create_key, CustomKeyStoreId="cks-1")[0] == "UnsupportedOperationException"


def test_tags_come_change_and_go(kms: Any) -> None:
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}, {"TagKey": "a", "TagValue": "3"}])
    kms.untag_resource(KeyId=key, TagKeys=["b", "never"])
    answer = kms.list_resource_tags(KeyId=key)
    assert (answer["Tags"], answer["Truncated"]) == ([{"TagKey": "a", "TagValue": "3"}], False)
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": f"k{number:02}", "TagValue": ""} for number in range(49)])
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 20})
    assert [len(page["Tags"]) for page in pages] == [20, 20, 10]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "a"], "Duplicate tag keys"),
        (["aws:a"], "Tags beginning with aws: are reserved"),
        (["AWS:a"], "Tags beginning with aws: are reserved"),
        ([f"k{number}" for number in range(51)], "Too many tags"),
    ],
)
def test_tags_that_may_not_be_are_refused(kms: Any, names: list[str], said: str) -> None:
    tags = [{"TagKey": name, "TagValue": "x"} for name in names]
    assert refusal(kms.create_key, Tags=tags) == ("TagException", said)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refusal(kms.tag_resource, KeyId=key, Tags=tags) == ("TagException", said)
    assert kms.list_resource_tags(KeyId=key)["Tags"] == []


def iam_says(house: ServiceHarness, *statements: Json) -> None:
    """What IAM has for eve, as the conductor tells it."""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    house.conductor.identities.policies["eve"] = {
        "user": {"name": "eve", "arn": EVE, "account": "000000000000", "id": "AIDAEVE", "tags": {}},
        "identity": [{"name": "p", "document": document}],
        "boundary": None,
    }


def test_iams_policies_decide_about_keys(house: ServiceHarness, kms: Any, eve: Any) -> None:
    for verb in ("use", "get", "list"):
        house.conductor.refuse("eve", verb)
    one, other = (kms.create_key()["KeyMetadata"] for _ in range(2))
    kms.create_alias(AliasName="alias/one", TargetKeyId=one["KeyId"])
    iam_says(house, {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:ListKeys"], "Resource": one["Arn"]})
    assert eve.encrypt(KeyId="alias/one", Plaintext=b"x")["KeyId"] == one["Arn"]
    for call in (
        lambda: eve.encrypt(KeyId=other["KeyId"], Plaintext=b"x"),
        lambda: eve.generate_data_key(KeyId=one["KeyId"], KeySpec="AES_256"),
        eve.list_keys,
    ):
        with pytest.raises(ClientError, match="no identity-based policy allows the kms:"):
            call()


def test_a_deny_of_iams_wins_over_roles_and_aliases(house: ServiceHarness, kms: Any, eve: Any) -> None:
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/closed", TargetKeyId=key["KeyId"])
    iam_says(house, {"Effect": "Deny", "Action": "kms:*", "Resource": key["Arn"]})
    for name in (key["KeyId"], key["Arn"], "alias/closed"):
        with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
            eve.encrypt(KeyId=name, Plaintext=b"x")
    open_key = kms.create_key()["KeyMetadata"]["Arn"]
    assert eve.encrypt(KeyId=open_key, Plaintext=b"x")["KeyId"] == open_key
