"""Callers that are sessions, and becoming one: what STS and IAM say of those, with an unmodified boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.iam_manager.tests.conftest import Account
from services.sdk.aws.accounts import account_of
from services.sdk.testing import User

ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


@pytest.fixture
def session(account: Account) -> Any:
    """A client of a session of a role, which a policy lets do all."""
    number, harness = account_of(account.owner.namespace), account.harness
    name = f"session-{account.owner.name}"
    user = harness.conductor.add(
        User(name, groups=(), namespace=account.owner.namespace, access_key=f"ASIA{number:0>16}"[:20])
    )
    harness.conductor.identities.policies[name] = {
        "principal": {
            "kind": "session",
            "arn": f"arn:aws:sts::{number}:assumed-role/app/{name}",
            "account": number,
            "behind": f"arn:aws:iam::{number}:role/app",
            "ids": [],
            "facts": {},
        },
        "identity": [{"name": "p", "document": ALL}],
        "boundary": None,
    }
    return harness.boto3_client("iam", user)


def test_a_session_says_which_user_it_means(session: Any) -> None:
    said = "Must specify userName when calling with non-User credentials"
    for name in ("get_user", "list_access_keys", "list_ssh_public_keys", "list_mfa_devices", "get_login_profile"):
        with pytest.raises(ClientError, match=said) as error:
            getattr(session, name)()
        assert error.value.response["Error"]["Code"] == "ValidationError"
    assert session.list_users()["Users"] == []


@pytest.mark.parametrize(
    "arn",
    [
        "nothing-of-an-arn-in-here",
        "arn::iam::123456789012:role/no-partition",
        "arn:aws::::role/no-service",
        "arn:aws:iam:role/too-few-colons",
        "arn:aws:iam::123456789012:",
    ],
)
def test_what_is_no_arn_is_no_role(account: Account, arn: str) -> None:
    with pytest.raises(ClientError) as error:
        account.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")
    told = error.value.response["Error"]
    assert (told["Code"], told["Message"]) == ("ValidationError", f"{arn} is invalid")
