"""What policies say decides about IAM's own operations: instead of a role, beside it, and against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.iam_manager.tests.conftest import Account
from services.sdk.aws.accounts import account_of
from services.sdk.testing import User


class Judged:
    """Somebody without any role, and what IAM says of them, as the conductor would tell it."""

    def __init__(self, account: Account) -> None:
        self.account, number = account, account.owner.name.rpartition("-")[2]
        self.user = User(
            f"judged-{number}", namespace=account.owner.namespace, access_key=f"AKIAJUDGEDTEST{number:>06}"
        )
        self.number = account_of(account.owner.namespace)
        account.harness.conductor.add(self.user)

    def policies(self, *statements: dict[str, Any], boundary: list[dict[str, Any]] | None = None) -> Any:
        """A client of somebody with these."""
        self.account.harness.conductor.identities.policies[self.user.name] = {
            "user": {
                "name": self.user.name,
                "arn": f"arn:aws:iam::{self.number}:user/{self.user.name}",
                "account": self.number,
                "id": "AIDA",
                "tags": {"team": "blue"},
            },
            "identity": [{"name": "p", "document": document(*statements)}] if statements else [],
            "boundary": {"name": "b", "document": document(*boundary)} if boundary is not None else None,
        }
        return self.account.harness.boto3_client("iam", self.user)

    def without_roles(self) -> None:
        for verb in ("get", "list", "create", "patch", "delete"):
            self.account.harness.conductor.refuse(self.user.name, verb)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str, resource: str = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.fixture
def judged(account: Account) -> Iterator[Judged]:
    account.client().create_user(UserName="ann", Path="/team/")
    account.client().create_user(UserName="bob")
    yield Judged(account)
    for name in ("ann", "bob"):
        account.client().delete_user(UserName=name)


def denied(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    return str(error.value.response["Error"]["Message"])


def test_an_allow_does_instead_of_a_role(judged: Judged) -> None:
    judged.without_roles()
    iam = judged.policies(allow("iam:*", f"arn:aws:iam::{judged.number}:user/team/*"))
    assert iam.get_user(UserName="ann")["User"]["Path"] == "/team/"
    iam.tag_user(UserName="ann", Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_user_tags(UserName="ann")["Tags"] == [{"Key": "a", "Value": "b"}]
    said = denied(iam.get_user, UserName="bob")
    who = f"arn:aws:iam::{judged.number}:user/{judged.user.name}"
    assert said == (
        f"User: {who} is not authorized to perform: iam:GetUser on resource: arn:aws:iam::{judged.number}:user/bob "
        "because no identity-based policy allows the iam:GetUser action"
    )


def test_without_role_and_policy_nothing_is_allowed(judged: Judged) -> None:
    judged.without_roles()
    assert "no identity-based policy allows the iam:GetUser action" in denied(
        judged.policies().get_user, UserName="ann"
    )


def test_a_deny_wins_over_the_roles(judged: Judged) -> None:
    iam = judged.policies(allow("iam:GetUser", f"arn:aws:iam::{judged.number}:user/team/ann", "Deny"))
    said = denied(iam.get_user, UserName="ANN")
    assert said.endswith("with an explicit deny in an identity-based policy")
    assert iam.get_user(UserName="bob")["User"]["UserName"] == "bob"


def test_a_boundary_limits_the_roles(judged: Judged) -> None:
    iam = judged.policies(boundary=[allow("iam:Get*")])
    assert iam.get_user(UserName="ann")["User"]["UserName"] == "ann"
    denied(iam.list_users)
    denied(iam.list_access_keys, UserName="ann")


def test_conditions_are_about_the_caller(judged: Judged) -> None:
    judged.without_roles()
    blue = {"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/team}", "aws:RequestedRegion": "us-east-1"}}
    assert judged.policies(allow("iam:GetUser", Condition=blue)).get_user(UserName="ann")
    later = {"DateGreaterThan": {"aws:CurrentTime": "2999-01-01T00:00:00Z"}}
    denied(judged_later(judged, later).get_user, UserName="ann")


def judged_later(judged: Judged, condition: dict[str, Any]) -> Any:
    """The answers of a moment ago are remembered for a second: another caller asks anew."""
    other = Judged(judged.account)
    other.user = User(
        f"{judged.user.name}-2", namespace=judged.user.namespace, access_key=f"X{judged.user.access_key[1:]}"
    )
    other.account.harness.conductor.add(other.user)
    other.without_roles()
    return other.policies(allow("iam:GetUser", Condition=condition))


def test_what_is_about_to_be_made_is_judged_by_its_path(judged: Judged) -> None:
    judged.without_roles()
    iam = judged.policies(allow("iam:CreateGroup", f"arn:aws:iam::{judged.number}:group/mine/*"))
    assert iam.create_group(GroupName="g", Path="/mine/")["Group"]["Path"] == "/mine/"
    denied(iam.create_group, GroupName="h")


def test_nobody_is_denied_who_they_are(judged: Judged) -> None:
    judged.without_roles()
    judged.policies(allow("*", effect="Deny"))
    sts = judged.account.harness.boto3_client("sts", judged.user)
    assert sts.get_caller_identity()["Account"] == judged.number
