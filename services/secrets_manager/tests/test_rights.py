"""Who may what with a secret: roles, its resource policy, IAM's policies, and the rights on its key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.sdk.testing import User
from services.secrets_manager.resource_policy import is_public
from services.secrets_manager.tests.conftest import Account, refusal

DENIED = "AccessDeniedException"
Json = dict[str, Any]


def statement(who: Any, *actions: str, effect: str = "Allow", **more: Any) -> Json:
    return {"Effect": effect, "Principal": who, "Action": list(actions), "Resource": "*", **more}


def policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def arn_of(account: Account, user: User) -> str:
    return f"arn:aws:iam::{account.number}:user/{user.name}"


@pytest.fixture
def eve(account: Account) -> User:
    """Somebody without any role."""
    made = account.user("eve")
    for verb in ("get", "list", "create", "patch", "delete", "use"):
        account.harness.conductor.refuse(made.name, verb)
    return made


def test_who_has_no_right_learns_nothing(account: Account, secrets: Any, eve: User) -> None:
    secrets.create_secret(Name="s", SecretString="1")
    hers = account.client(eve)
    for name in ("s", "none"):
        for call in (hers.get_secret_value, hers.describe_secret, hers.restore_secret, hers.delete_secret):
            code, said = refusal(call, SecretId=name)
            assert code == DENIED and f"user/{eve.name} is not authorized to perform: secretsmanager:" in said
    assert refusal(hers.delete_secret, SecretId="none", ForceDeleteWithoutRecovery=True)[0] == DENIED
    assert refusal(hers.create_secret, Name="s", SecretString="2")[0] == DENIED
    assert refusal(hers.list_secrets)[0] == DENIED
    told = hers.batch_get_secret_value(SecretIdList=["s"])
    assert told["SecretValues"] == [] and [each["ErrorCode"] for each in told["Errors"]] == [DENIED]


def test_who_may_read_metadata_does_not_read_values(account: Account, secrets: Any) -> None:
    viewer = account.user("viewer")
    account.harness.conductor.refuse(viewer.name, "use")
    secrets.create_secret(Name="s", SecretString="1")
    assert account.client(viewer).describe_secret(SecretId="s")["Name"] == "s"
    assert refusal(account.client(viewer).get_secret_value, SecretId="s")[0] == DENIED


def test_a_resource_policy_lets_in_whom_it_names(account: Account, secrets: Any, eve: User) -> None:
    secrets.create_secret(Name="s", SecretString="1")
    text = policy(statement({"AWS": arn_of(account, eve)}, "secretsmanager:GetSecretValue"))
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=text)
    assert secrets.get_resource_policy(SecretId="s")["ResourcePolicy"] == text
    hers = account.client(eve)
    assert hers.get_secret_value(SecretId="s")["SecretString"] == "1"
    assert hers.batch_get_secret_value(SecretIdList=["s"])["SecretValues"][0]["SecretString"] == "1"
    assert refusal(hers.put_secret_value, SecretId="s", SecretString="2")[0] == DENIED
    secrets.delete_resource_policy(SecretId="s")
    assert refusal(hers.get_secret_value, SecretId="s")[0] == DENIED


def test_a_deny_of_the_resource_policy_wins_over_roles(account: Account, secrets: Any) -> None:
    secrets.create_secret(Name="s", SecretString="1")
    other = account.user("other")
    assert account.client(other).get_secret_value(SecretId="s")
    deny = statement({"AWS": arn_of(account, other)}, "secretsmanager:GetSecretValue", effect="Deny")
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=policy(deny))
    code, said = refusal(account.client(other).get_secret_value, SecretId="s")
    assert code == DENIED and said.endswith("with an explicit deny in a resource-based policy")
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"


def test_conditions_know_stages_and_tags(account: Account, secrets: Any, eve: User) -> None:
    secrets.create_secret(Name="s", SecretString="1", Tags=[{"Key": "team", "Value": "red"}])
    pending = secrets.put_secret_value(SecretId="s", SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    condition = {
        "StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT", "secretsmanager:ResourceTag/team": "red"},
    }
    who = {"AWS": arn_of(account, eve)}
    text = policy(statement(who, "secretsmanager:GetSecretValue", Condition=condition))
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=text)
    hers = account.client(eve)
    assert hers.get_secret_value(SecretId="s")["SecretString"] == "1"
    assert hers.get_secret_value(SecretId="s", VersionStage="AWSCURRENT")["SecretString"] == "1"
    assert refusal(hers.get_secret_value, SecretId="s", VersionStage="AWSPENDING")[0] == DENIED
    assert refusal(hers.get_secret_value, SecretId="s", VersionId=pending)[0] == DENIED
    secrets.tag_resource(SecretId="s", Tags=[{"Key": "team", "Value": "blue"}])
    assert refusal(hers.get_secret_value, SecretId="s")[0] == DENIED
    secrets.untag_resource(SecretId="s", TagKeys=["team"])
    assert secrets.describe_secret(SecretId="s")["Tags"] == []


def test_a_policy_that_is_none_or_locks_out_or_is_public_is_refused(account: Account, secrets: Any) -> None:
    secrets.create_secret(Name="s", SecretString="1")
    put = secrets.put_resource_policy
    assert refusal(put, SecretId="s", ResourcePolicy="garbage")[0] == "MalformedPolicyDocumentException"
    assert refusal(put, SecretId="s", ResourcePolicy=policy(statement("*", "secretsmanager:*", effect="Deny")))[
        0
    ] == ("InvalidParameterException")
    public = policy(statement("*", "secretsmanager:GetSecretValue"))
    assert refusal(put, SecretId="s", ResourcePolicy=public, BlockPublicPolicy=True)[0] == "PublicPolicyException"
    told = secrets.validate_resource_policy(SecretId="s", ResourcePolicy=public)
    assert (told["PolicyValidationPassed"], told["ValidationErrors"][0]["CheckName"]) == (False, "NoPublicAccess")
    mine = policy(statement({"AWS": arn_of(account, account.owner)}, "secretsmanager:*"))
    assert secrets.validate_resource_policy(ResourcePolicy=mine)["PolicyValidationPassed"] is True


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        ({}, True),
        ({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}, False),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, True),
        ({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}, True),
        ({"StringEqualsIfExists": {"aws:PrincipalAccount": "111122223333"}}, True),
        ({"ForAllValues:StringEquals": {"aws:PrincipalAccount": "111122223333"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
    ],
)
def test_what_is_open_to_everybody_is_public(condition: Json, public: bool) -> None:
    assert is_public(policy(statement("*", "secretsmanager:GetSecretValue", Condition=condition))) is public


def test_policies_of_iam_are_asked_about_the_secret(account: Account, secrets: Any, eve: User) -> None:
    secrets.create_secret(Name="team/a", SecretString="1")
    secrets.create_secret(Name="other/a", SecretString="2")
    arn = f"arn:aws:secretsmanager:*:{account.number}:secret:team/*"
    allow = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": arn}
    current = {"StringEqualsIfExists": {"secretsmanager:VersionStage": "AWSCURRENT"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Condition": current}]})
    user = {"name": eve.name, "arn": arn_of(account, eve), "account": account.number, "id": "AIDA", "tags": {}}
    told = {"user": user, "identity": [{"name": "team", "document": document}], "boundary": None}
    account.harness.conductor.identities.policies[eve.name] = told
    hers = account.client(eve)
    assert hers.get_secret_value(SecretId="team/a")["SecretString"] == "1"
    assert hers.create_secret(Name="team/b", SecretString="3")["Name"] == "team/b"
    assert refusal(hers.get_secret_value, SecretId="team/a", VersionStage="AWSPREVIOUS")[0] == DENIED
    assert refusal(hers.get_secret_value, SecretId="other/a")[0] == DENIED
    assert refusal(hers.create_secret, Name="other/b", SecretString="3")[0] == DENIED


def test_a_secret_under_a_key_of_one_s_own_needs_the_right_to_it(account: Account, secrets: Any) -> None:
    key = account.kms().create_key()["KeyMetadata"]
    made = secrets.create_secret(Name="s", SecretString="1", KmsKeyId=key["KeyId"])
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    assert secrets.list_secret_version_ids(SecretId="s")["Versions"][0]["KmsKeyIds"] == [key["Arn"]]
    other = account.user("keyless")
    account.keys.conductor.add(other)
    account.keys.conductor.refuse(other.name, "use")
    theirs = account.client(other)
    assert refusal(theirs.get_secret_value, SecretId="s") == (DENIED, "Access to KMS is not allowed")
    # Naming another key does not open what the first one sealed, though its data key is in memory.
    account.harness.run(_patch_key(account, made["Name"], ""))
    assert refusal(theirs.get_secret_value, SecretId="s")[0] == DENIED
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"


def test_another_key_seals_what_has_a_label_anew(account: Account, secrets: Any) -> None:
    kms = account.kms()
    first, second = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    secrets.create_secret(Name="s", SecretString="1", KmsKeyId=first)
    secrets.put_secret_value(SecretId="s", SecretString="2")
    secrets.update_secret(SecretId="s", KmsKeyId=second)
    kms.disable_key(KeyId=first)
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "2"
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    keys = {each["KmsKeyIds"][0] for each in secrets.list_secret_version_ids(SecretId="s")["Versions"]}
    assert len(keys) == 1 and keys.pop().endswith(second)


def test_a_key_that_is_not_there_is_told(secrets: Any) -> None:
    code, said = refusal(secrets.create_secret, Name="s", SecretString="1", KmsKeyId="alias/none")
    assert code == "EncryptionFailure" and "NotFoundException" in said


async def _patch_key(account: Account, name: str, key: str) -> None:
    from services.secrets_manager.kinds import MANAGED_SECRET

    patch = {"spec": {"kmsKeyId": key}}
    await account.harness.resources.patch(MANAGED_SECRET, name, patch, account.owner.namespace)
