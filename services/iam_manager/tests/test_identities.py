"""Users, groups, roles and what they have, with an unmodified boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crds.kinds.iam import IAM_USER
from crds.kinds.user import USER
from services.iam_manager.tests.conftest import Account
from services.sdk.aws.accounts import account_of

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
)
AWS_READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_user_from_birth_to_end(iam: Any, account: Account) -> None:
    made = iam.create_user(UserName="Ann.Lee@example", Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]
    number = account_of(account.owner.namespace)
    assert made["Arn"] == f"arn:aws:iam::{number}:user/team/Ann.Lee@example"
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert iam.get_user(UserName="ann.lee@EXAMPLE")["User"] == made
    assert [each["UserName"] for each in iam.list_users(PathPrefix="/team/")["Users"]] == ["Ann.Lee@example"]
    assert iam.list_users(PathPrefix="/other/")["Users"] == []
    iam.update_user(UserName="Ann.Lee@example", NewPath="/all/")
    assert iam.get_user(UserName="Ann.Lee@example")["User"]["Path"] == "/all/"
    iam.tag_user(UserName="Ann.Lee@example", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert iam.list_user_tags(UserName="Ann.Lee@example")["Tags"] == [
        {"Key": "A", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]
    iam.untag_user(UserName="Ann.Lee@example", TagKeys=["a"])
    assert [each["Key"] for each in iam.list_user_tags(UserName="Ann.Lee@example")["Tags"]] == ["b"]
    iam.delete_user(UserName="Ann.Lee@example")
    with pytest.raises(ClientError) as error:
        iam.get_user(UserName="Ann.Lee@example")
    assert refused(error) == ("NoSuchEntity", 404)
    assert error.value.response["Error"]["Message"] == "The user with name Ann.Lee@example cannot be found."


def test_a_user_of_iam_is_a_user_of_the_cloud_who_may_nothing(iam: Any, account: Account) -> None:
    iam.create_user(UserName="born-in-iam")
    person = account.harness.run(account.harness.resources.get(USER, "born-in-iam"))
    assert (person.spec.roles, person.spec.namespace) == ([], account.owner.namespace)
    with pytest.raises(ClientError) as error:
        iam.create_user(UserName="Born-In-IAM")
    assert refused(error) == ("EntityAlreadyExists", 409)
    iam.delete_user(UserName="born-in-iam")
    assert ("users", "", "born-in-iam") not in account.harness.resources.items


def test_a_user_of_the_cloud_is_a_user_of_iam(iam: Any, account: Account) -> None:
    harness, where = account.harness, account.owner.namespace
    person = USER.parse({"metadata": {"name": "clara"}, "spec": {"roles": ["editor"], "namespace": where}})
    harness.run(harness.resources.create(USER, person))
    assert iam.get_user(UserName="clara")["User"]["Path"] == "/"
    (before,) = iam.list_users()["Users"]
    assert before["UserName"] == "clara"
    iam.put_user_policy(UserName="clara", PolicyName="p", PolicyDocument=POLICY)
    assert iam.list_users()["Users"] == [before]
    assert harness.run(harness.resources.get(IAM_USER, "clara", where)).spec.inline == {"p": POLICY}
    iam.delete_user_policy(UserName="clara", PolicyName="p")
    with pytest.raises(ClientError, match="user of this cloud"):
        iam.delete_user(UserName="clara")


def test_accounts_do_not_see_each_other(account: Account) -> None:
    account.client().create_user(UserName="hidden-one")
    stranger = account.harness.conductor.add(
        type(account.owner)("stranger", namespace="elsewhere", access_key="AKIATESTTESTTEST9999")
    )
    theirs = account.harness.boto3_client("iam", stranger)
    assert theirs.list_users()["Users"] == []
    with pytest.raises(ClientError, match="cannot be found"):
        theirs.get_user(UserName="hidden-one")


def test_who_may_not_is_refused_in_iams_words(account: Account) -> None:
    account.harness.conductor.refuse(account.owner.name, "create")
    with pytest.raises(ClientError) as error:
        account.client().create_user(UserName="never")
    assert refused(error) == ("AccessDenied", 403)


def test_groups_and_their_users(iam: Any) -> None:
    group = iam.create_group(GroupName="Devs")["Group"]
    iam.create_user(UserName="member-1")
    iam.add_user_to_group(GroupName="Devs", UserName="member-1")
    assert [each["UserName"] for each in iam.get_group(GroupName="devs")["Users"]] == ["member-1"]
    assert iam.list_groups_for_user(UserName="member-1")["Groups"] == [group]
    for name, request in (("delete_group", {"GroupName": "Devs"}), ("delete_user", {"UserName": "member-1"})):
        with pytest.raises(ClientError) as error:
            getattr(iam, name)(**request)
        assert refused(error) == ("DeleteConflict", 409)
    iam.remove_user_from_group(GroupName="Devs", UserName="member-1")
    iam.update_group(GroupName="Devs", NewPath="/x/")
    assert iam.list_groups()["Groups"][0]["Path"] == "/x/"
    iam.delete_group(GroupName="Devs")
    with pytest.raises(ClientError, match="The group with name Devs cannot be found"):
        iam.get_group(GroupName="Devs")


def test_a_role_from_birth_to_end(iam: Any) -> None:
    role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST, Description="d")["Role"]
    assert role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert (role["RoleId"][:4], role["Arn"].rpartition(":")[2]) == ("AROA", "role/app")
    shown = iam.get_role(RoleName="app")["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("d", 3600)
    iam.update_role(RoleName="app", MaxSessionDuration=7200)
    assert iam.get_role(RoleName="app")["Role"]["Description"] == "d"
    iam.update_role(RoleName="app", Description="")
    assert "Description" not in iam.get_role(RoleName="app")["Role"]
    assert iam.list_roles()["Roles"][0]["MaxSessionDuration"] == 7200
    assert iam.update_role_description(RoleName="app", Description="e")["Role"]["Description"] == "e"
    iam.tag_role(RoleName="app", Tags=[{"Key": "k", "Value": "v"}])
    assert iam.list_role_tags(RoleName="app")["Tags"] == [{"Key": "k", "Value": "v"}]
    iam.untag_role(RoleName="app", TagKeys=["k"])
    with pytest.raises(ClientError) as error:
        iam.update_assume_role_policy(RoleName="app", PolicyDocument=POLICY)
    assert refused(error) == ("MalformedPolicyDocument", 400)
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=TRUST.replace("ec2", "lambda"))
    iam.delete_role(RoleName="app")
    with pytest.raises(ClientError, match="The role with name app cannot be found"):
        iam.get_role(RoleName="app")


def test_a_role_just_made_does_not_say_how_long_its_sessions_are(iam: Any) -> None:
    assert "MaxSessionDuration" not in iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]


def test_service_linked_roles(iam: Any) -> None:
    role = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="x")["Role"]
    assert role["RoleName"] == "AWSServiceRoleForAutoScaling_x"
    assert role["Path"] == "/aws-service-role/autoscaling.amazonaws.com/"
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "autoscaling.amazonaws.com"}
    with pytest.raises(ClientError, match="has been taken"):
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="x")
    task = iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"


def test_a_service_linked_role_has_the_policy_of_its_service(iam: Any) -> None:
    name = iam.create_service_linked_role(AWSServiceName="docdb-elastic.amazonaws.com")["Role"]["RoleName"]
    assert name == "AWSServiceRoleForDocDB-Elastic"
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached["PolicyArn"] == "arn:aws:iam::aws:policy/aws-service-role/AmazonDocDB-ElasticServiceRolePolicy"
    policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
    assert (policy["Path"], policy["PolicyName"]) == ("/aws-service-role/", attached["PolicyName"])
    version = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=policy["DefaultVersionId"])
    assert version["PolicyVersion"]["Document"]["Statement"] == [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    iam.create_group(GroupName="ops")
    with pytest.raises(ClientError) as error:
        iam.attach_group_policy(GroupName="ops", PolicyArn=attached["PolicyArn"])
    assert refused(error) == ("PolicyNotAttachable", 400)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"AWSServiceName": "batch.amazonaws.com", "CustomSuffix": "x"}, "Custom suffix is not allowed for batch"),
        ({"AWSServiceName": "nobody.example.com"}, "has no service-linked role here"),
    ],
)
def test_service_linked_roles_that_cannot_be(iam: Any, request_: dict[str, str], message: str) -> None:
    with pytest.raises(ClientError, match=message) as error:
        iam.create_service_linked_role(**request_)
    assert refused(error) == ("InvalidInput", 400)


def test_a_service_linked_role_is_not_changed_like_others(iam: Any) -> None:
    name = iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")["Role"]["RoleName"]
    iam.create_instance_profile(InstanceProfileName="profile")
    attempts: list[Callable[[], Any]] = [
        lambda: iam.delete_role(RoleName=name),
        lambda: iam.attach_role_policy(RoleName=name, PolicyArn=AWS_READ),
        lambda: iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=POLICY),
        lambda: iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=AWS_READ),
        lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST),
        lambda: iam.update_role(RoleName=name, MaxSessionDuration=7200),
        lambda: iam.add_role_to_instance_profile(RoleName=name, InstanceProfileName="profile"),
    ]
    for refuse in attempts:
        with pytest.raises(ClientError, match=f"the protected role '{name}'") as error:
            refuse()
        assert refused(error) == ("UnmodifiableEntity", 400)
    assert iam.update_role_description(RoleName=name, Description="batches")["Role"]["Description"] == "batches"


def test_instance_profiles(iam: Any) -> None:
    iam.create_role(RoleName="machine", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="web", Tags=[{"Key": "k", "Value": "v"}])
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="machine")
    with pytest.raises(ClientError) as error:
        iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="machine")
    assert refused(error) == ("LimitExceeded", 409)
    found = iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    assert [each["RoleName"] for each in found["Roles"]] == ["machine"]
    assert iam.list_instance_profiles_for_role(RoleName="machine")["InstanceProfiles"] == [found]
    assert iam.list_instance_profiles()["InstanceProfiles"] == [found]
    assert iam.list_instance_profile_tags(InstanceProfileName="web")["Tags"] == [{"Key": "k", "Value": "v"}]
    for name, request in (
        ("delete_role", {"RoleName": "machine"}),
        ("delete_instance_profile", {"InstanceProfileName": "web"}),
    ):
        with pytest.raises(ClientError) as error:
            getattr(iam, name)(**request)
        assert refused(error) == ("DeleteConflict", 409)
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="machine")
    iam.delete_instance_profile(InstanceProfileName="web")
    iam.delete_role(RoleName="machine")


def test_oidc_providers(iam: Any) -> None:
    arn = iam.create_open_id_connect_provider(
        Url="https://id.example.org/realm", ClientIDList=["app"], ThumbprintList=["a" * 40]
    )["OpenIDConnectProviderArn"]
    assert arn.endswith(":oidc-provider/id.example.org/realm")
    with pytest.raises(ClientError) as error:
        iam.create_open_id_connect_provider(Url="https://id.example.org/realm", ThumbprintList=["a" * 40])
    assert refused(error) == ("EntityAlreadyExists", 409)
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="other")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["ClientIDList"], found["ThumbprintList"]) == (["other"], ["b" * 40])
    assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"] == found["Tags"]
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["k"])
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with pytest.raises(ClientError) as error:
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert refused(error) == ("NoSuchEntity", 404)


def test_the_account(iam: Any) -> None:
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="our-cloud")
    assert iam.list_account_aliases()["AccountAliases"] == ["our-cloud"]
    with pytest.raises(ClientError):
        iam.delete_account_alias(AccountAlias="another")
    iam.delete_account_alias(AccountAlias="our-cloud")
    with pytest.raises(ClientError) as error:
        iam.get_account_password_policy()
    assert refused(error) == ("NoSuchEntity", 404)
    iam.update_account_password_policy(MinimumPasswordLength=12, MaxPasswordAge=90)
    found = iam.get_account_password_policy()["PasswordPolicy"]
    assert (found["MinimumPasswordLength"], found["ExpirePasswords"], found["RequireNumbers"]) == (12, True, False)
    iam.delete_account_password_policy()
    iam.create_user(UserName="counted")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1


def test_who_first_writes_of_a_user_at_once_with_others_is_not_refused(iam: Any, account: Account) -> None:
    person = USER.parse({"metadata": {"name": "doris"}, "spec": {"namespace": account.owner.namespace}})
    account.harness.run(account.harness.resources.create(USER, person))
    with ThreadPoolExecutor(8) as pool:
        tags = [{"Key": f"k{number}", "Value": "v"} for number in range(8)]
        for each in [pool.submit(iam.tag_user, UserName="doris", Tags=[tag]) for tag in tags]:
            each.result()
    assert iam.list_user_tags(UserName="doris")["Tags"] == tags


def test_pages(iam: Any) -> None:
    names = [f"paged-{number}" for number in range(7)]
    for name in names:
        iam.create_group(GroupName=name)
    pages = list(iam.get_paginator("list_groups").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(each["Groups"]) for each in pages] == [3, 3, 1]
    assert [each["GroupName"] for one in pages for each in one["Groups"]] == names
    with pytest.raises(ClientError) as error:
        iam.list_groups(Marker="nonsense")
    assert refused(error) == ("ValidationError", 400)


def test_the_caller(account: Account) -> None:
    account.client().create_user(UserName=account.owner.name)
    found = account.client("sts").get_caller_identity()
    number = account_of(account.owner.namespace)
    assert found["Account"] == number
    assert found["Arn"] == f"arn:aws:iam::{number}:user/{account.owner.name}"
    assert found["UserId"] == account.client().get_user()["User"]["UserId"]


def test_an_operation_of_iam_is_none_of_sts(account: Account) -> None:
    sts = account.client("sts")
    with pytest.raises(ClientError) as error:
        sts.assume_root(TargetPrincipal="123456789012", TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/x"})
    assert refused(error)[0] == "InvalidAction"


def test_access_keys(iam: Any, account: Account) -> None:
    iam.create_user(UserName=f"keyed-{account.owner.name}")
    name = f"keyed-{account.owner.name}"
    made = iam.create_access_key(UserName=name)["AccessKey"]
    assert (made["UserName"], made["Status"]) == (name, "Active")
    assert len(made["SecretAccessKey"]) == 40
    iam.create_access_key(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.create_access_key(UserName=name)
    assert refused(error) == ("LimitExceeded", 409)
    iam.update_access_key(UserName=name, AccessKeyId=made["AccessKeyId"], Status="Inactive")
    listed = {each["AccessKeyId"]: each for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]}
    assert listed[made["AccessKeyId"]]["Status"] == "Inactive"
    assert all("SecretAccessKey" not in each for each in listed.values())
    with pytest.raises(ClientError, match="must delete access keys first") as error:
        iam.delete_user(UserName=name)
    assert refused(error) == ("DeleteConflict", 409)
    used = iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])
    assert used["UserName"] == name and used["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    iam.delete_access_key(UserName=name, AccessKeyId=made["AccessKeyId"])
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])
    with pytest.raises(ClientError) as error:
        iam.delete_access_key(UserName=name, AccessKeyId=made["AccessKeyId"])
    assert refused(error) == ("NoSuchEntity", 404)
    (left,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    iam.delete_access_key(UserName=name, AccessKeyId=left["AccessKeyId"])
    iam.delete_user(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.create_access_key(UserName="nobody-at-all")
    assert refused(error) == ("NoSuchEntity", 404)


def test_what_nobody_has_is_listed_as_none(iam: Any) -> None:
    iam.create_user(UserName="has-nothing")
    assert iam.list_ssh_public_keys(UserName="has-nothing")["SSHPublicKeys"] == []
    assert iam.list_signing_certificates(UserName="has-nothing")["Certificates"] == []
    assert iam.list_service_specific_credentials(UserName="has-nothing")["ServiceSpecificCredentials"] == []
    assert iam.list_mfa_devices(UserName="has-nothing")["MFADevices"] == []
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    for operation in (iam.get_login_profile, iam.delete_login_profile):
        with pytest.raises(ClientError, match="Login Profile for User has-nothing cannot be found") as error:
            operation(UserName="has-nothing")
        assert refused(error) == ("NoSuchEntity", 404)
    with pytest.raises(ClientError) as error:
        iam.list_ssh_public_keys(UserName="nobody-at-all")
    assert refused(error) == ("NoSuchEntity", 404)
