"""Managed and inline policies, boundaries and the simulator, with an unmodified boto3."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.iam_manager.tests.test_identities import AWS_READ, POLICY, TRUST, refused


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_policy_and_its_versions(iam: Any) -> None:
    made = iam.create_policy(PolicyName="readers", Path="/p/", PolicyDocument=POLICY, Description="d")["Policy"]
    arn = made["Arn"]
    assert (made["DefaultVersionId"], made["AttachmentCount"]) == ("v1", 0)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Description"] == "d"
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY.replace("s3", "kms"), SetAsDefault=True)
    assert (version["PolicyVersion"]["VersionId"], version["PolicyVersion"]["IsDefaultVersion"]) == ("v2", True)
    found = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert found["Document"]["Statement"][0]["Action"] == "kms:*"
    with pytest.raises(ClientError) as error:
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    assert refused(error) == ("DeleteConflict", 409)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    again = iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)["PolicyVersion"]["VersionId"]
    assert again == "v3"
    assert [each["VersionId"] for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v3", "v1"]
    with pytest.raises(ClientError) as error:
        iam.delete_policy(PolicyArn=arn)
    assert refused(error) == ("DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v3")
    iam.delete_policy(PolicyArn=arn)
    with pytest.raises(ClientError) as error:
        iam.get_policy(PolicyArn=arn)
    assert refused(error) == ("NoSuchEntity", 404)


def test_five_versions_are_the_most(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="many", PolicyDocument=POLICY)["Policy"]["Arn"]
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)
    with pytest.raises(ClientError) as error:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)
    assert refused(error) == ("LimitExceeded", 409)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Syntax errors in policy."),
        (POLICY.replace("2012-10-17", "2008-10-17"), "Policy document must be version 2012-10-17 or greater."),
        (TRUST, "Policy document should not specify a principal."),
    ],
)
def test_what_is_no_policy_is_refused(iam: Any, document: str, message: str) -> None:
    with pytest.raises(ClientError) as error:
        iam.create_policy(PolicyName="bad", PolicyDocument=document)
    assert refused(error) == ("MalformedPolicyDocument", 400)
    assert error.value.response["Error"]["Message"] == message


def test_a_trust_policy_that_is_no_json_is_refused_in_other_words(iam: Any) -> None:
    with pytest.raises(ClientError, match="This policy contains invalid Json") as error:
        iam.create_role(RoleName="bad", AssumeRolePolicyDocument=TRUST.replace("}", ",}"))
    assert refused(error) == ("MalformedPolicyDocument", 400)


@pytest.mark.parametrize("arn", ["no-arn-but-long-enough-for-one", "arn:aws:iam::policy-and-no-more"])
def test_what_is_no_arn_is_refused(iam: Any, arn: str) -> None:
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    attempts: list[Callable[[], Any]] = [
        lambda: iam.attach_role_policy(RoleName="app", PolicyArn=arn),
        lambda: iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=arn),
        lambda: iam.get_policy(PolicyArn=arn),
        lambda: iam.get_policy_version(PolicyArn=arn, VersionId="v1"),
        lambda: iam.delete_policy(PolicyArn=arn),
    ]
    for refuse in attempts:
        with pytest.raises(ClientError, match="Invalid ARN:  Could not be parsed!") as error:
            refuse()
        assert error.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize("noun", ["user", "group", "role"])
def test_policies_of_users_groups_and_roles(iam: Any, noun: str) -> None:
    name = {f"{noun.capitalize()}Name": f"holder-{noun}"}
    more = {"AssumeRolePolicyDocument": TRUST} if noun == "role" else {}
    getattr(iam, f"create_{noun}")(**name, **more)
    arn = iam.create_policy(PolicyName=f"own-{noun}", PolicyDocument=POLICY)["Policy"]["Arn"]

    def call(operation: str, **request: Any) -> Any:
        return getattr(iam, operation.format(noun))(**name, **request)

    for each in (arn, AWS_READ, arn):
        call("attach_{}_policy", PolicyArn=each)
    attached = call("list_attached_{}_policies")["AttachedPolicies"]
    assert {each["PolicyArn"] for each in attached} == {arn, AWS_READ}
    entities = iam.list_entities_for_policy(PolicyArn=arn)[f"Policy{noun.capitalize()}s"]
    assert [each[f"{noun.capitalize()}Name"] for each in entities] == [f"holder-{noun}"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    with pytest.raises(ClientError) as error:
        iam.delete_policy(PolicyArn=arn)
    assert refused(error) == ("DeleteConflict", 409)
    with pytest.raises(ClientError) as error:
        call("attach_{}_policy", PolicyArn=f"{arn}-missing")
    assert refused(error) == ("NoSuchEntity", 404)
    call("put_{}_policy", PolicyName="inline", PolicyDocument=POLICY)
    assert call("get_{}_policy", PolicyName="inline")["PolicyDocument"] == json.loads(POLICY)
    assert call("list_{}_policies")["PolicyNames"] == ["inline"]
    with pytest.raises(ClientError) as error:
        call("delete_{}")
    assert refused(error) == ("DeleteConflict", 409)
    call("delete_{}_policy", PolicyName="inline")
    with pytest.raises(ClientError) as error:
        call("get_{}_policy", PolicyName="inline")
    assert refused(error) == ("NoSuchEntity", 404)
    for each in (arn, AWS_READ):
        call("detach_{}_policy", PolicyArn=each)
    call("delete_{}")


@pytest.mark.parametrize("noun", ["user", "role"])
def test_boundaries(iam: Any, noun: str) -> None:
    name = {f"{noun.capitalize()}Name": f"bound-{noun}"}
    more = {"AssumeRolePolicyDocument": TRUST} if noun == "role" else {}
    getattr(iam, f"create_{noun}")(**name, **more)
    getattr(iam, f"put_{noun}_permissions_boundary")(**name, PermissionsBoundary=AWS_READ)
    found = getattr(iam, f"get_{noun}")(**name)[noun.capitalize()]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == AWS_READ
    getattr(iam, f"delete_{noun}_permissions_boundary")(**name)
    assert "PermissionsBoundary" not in getattr(iam, f"get_{noun}")(**name)[noun.capitalize()]


def test_policies_that_every_account_has(iam: Any) -> None:
    assert iam.get_policy(PolicyArn=AWS_READ)["Policy"]["PolicyName"] == "ReadOnlyAccess"
    version = iam.get_policy_version(PolicyArn=AWS_READ, VersionId="v1")["PolicyVersion"]
    assert version["Document"]["Version"] == "2012-10-17"
    pages = iam.get_paginator("list_policies").paginate(Scope="AWS")
    names = {each["PolicyName"] for page in pages for each in page["Policies"]}
    assert {"AdministratorAccess", "ReadOnlyAccess"} <= names
    assert iam.list_policies(Scope="Local")["Policies"] == []
    with pytest.raises(ClientError) as error:
        iam.delete_policy(PolicyArn=AWS_READ)
    assert refused(error)[0] == "InvalidInput"


def test_the_simulator_of_documents(iam: Any) -> None:
    document = policy(
        {
            "Effect": "Allow",
            "Action": "s3:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        },
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::kept/${aws:username}"},
    )
    entry = {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}
    who = {"ContextKeyName": "aws:username", "ContextKeyValues": ["ann"], "ContextKeyType": "string"}
    found = iam.simulate_custom_policy(
        PolicyInputList=[document],
        ActionNames=["s3:GetObject", "s3:DeleteObject", "kms:Decrypt"],
        ResourceArns=["arn:aws:s3:::kept/ann"],
        ContextEntries=[entry, who],
    )["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "explicitDeny", "implicitDeny"]
    assert found[0]["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"
    lacking = iam.simulate_custom_policy(PolicyInputList=[document], ActionNames=["s3:GetObject"])
    assert lacking["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"
    assert lacking["EvaluationResults"][0]["MissingContextValues"] == ["aws:SecureTransport", "aws:username"]
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[document])["ContextKeyNames"]
    assert keys == ["aws:SecureTransport", "aws:username"]


def test_the_simulator_of_people(iam: Any) -> None:
    user = iam.create_user(UserName="simulated-one")["User"]["Arn"]
    iam.create_group(GroupName="simulated")
    iam.add_user_to_group(GroupName="simulated", UserName="simulated-one")
    iam.put_group_policy(GroupName="simulated", PolicyName="g", PolicyDocument=POLICY)
    iam.put_user_policy(
        UserName="simulated-one",
        PolicyName="u",
        PolicyDocument=policy({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}),
    )
    asked = {"PolicySourceArn": user, "ActionNames": ["s3:GetObject", "s3:PutObject", "kms:Decrypt"]}
    found = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "explicitDeny", "implicitDeny"]
    assert [each["SourcePolicyId"] for each in found[1]["MatchedStatements"]] == ["u"]
    bound = iam.create_policy(PolicyName="bound", PolicyDocument=POLICY.replace("s3", "kms"))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="simulated-one", PermissionsBoundary=bound)
    first = iam.simulate_principal_policy(**asked)["EvaluationResults"][0]
    assert first["EvalDecision"] == "implicitDeny"
    assert first["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert first["ResourceSpecificResults"] == []


def test_the_simulator_of_resources(iam: Any) -> None:
    things = ["arn:aws:s3:::a/1", "arn:aws:s3:::b/1"]
    one = policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"})
    found = iam.simulate_custom_policy(PolicyInputList=[one], ActionNames=["s3:GetObject"], ResourceArns=things)
    rows = found["EvaluationResults"]
    assert [(each["EvalResourceName"], each["EvalDecision"]) for each in rows] == [
        (things[0], "allowed"),
        (things[1], "implicitDeny"),
    ]
    for row in rows:
        assert row["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}
        assert row["ResourceSpecificResults"] == [
            {
                "EvalResourceName": row["EvalResourceName"],
                "EvalResourceDecision": row["EvalDecision"],
                "MatchedStatements": row["MatchedStatements"],
                "MissingContextValues": [],
            }
        ]


def test_everything_of_an_account_at_once(iam: Any) -> None:
    iam.create_user(UserName="detailed")
    iam.put_user_policy(UserName="detailed", PolicyName="p", PolicyDocument=POLICY)
    iam.create_role(RoleName="detailed", AssumeRolePolicyDocument=TRUST)
    iam.create_group(GroupName="detailed")
    iam.create_policy(PolicyName="detailed", PolicyDocument=POLICY)
    found = iam.get_account_authorization_details()
    assert found["UserDetailList"][0]["UserPolicyList"][0]["PolicyDocument"] == json.loads(POLICY)
    assert [each["RoleName"] for each in found["RoleDetailList"]] == ["detailed"]
    assert [each["GroupName"] for each in found["GroupDetailList"]] == ["detailed"]
    assert found["Policies"][0]["PolicyVersionList"][0]["IsDefaultVersion"]
    assert iam.get_account_authorization_details(Filter=["Role"])["UserDetailList"] == []


def test_the_credential_report(iam: Any) -> None:
    made = iam.create_user(UserName="reported")["User"]
    key = iam.create_access_key(UserName="reported")["AccessKey"]
    iam.update_access_key(UserName="reported", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    iam.create_access_key(UserName="reported")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    answer = iam.get_credential_report()
    (row,) = csv.DictReader(io.StringIO(answer["Content"].decode()))
    assert (row["user"], row["arn"]) == ("reported", made["Arn"])
    assert (row["access_key_1_active"], row["access_key_2_active"]) == ("false", "true")
    assert row["password_enabled"] == "not_supported"
    assert answer["ReportFormat"] == "text/csv"


def test_which_policies_give_a_service(iam: Any) -> None:
    arn = iam.create_user(UserName="given")["User"]["Arn"]
    iam.attach_user_policy(UserName="given", PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess")
    iam.put_user_policy(UserName="given", PolicyName="own", PolicyDocument=POLICY)
    asked = {"Arn": arn, "ServiceNamespaces": ["s3", "iam", "organizations"]}
    rows = iam.list_policies_granting_service_access(**asked)["PoliciesGrantingServiceAccess"]
    found = {each["ServiceNamespace"]: [one["PolicyName"] for one in each["Policies"]] for each in rows}
    assert found == {"s3": ["own", "PowerUserAccess"], "iam": ["PowerUserAccess"], "organizations": []}
