"""What is explained of a key is what KMS does: every policy, grant and role, by real boto3 and by `judge_key`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crds.kind import Kind
from services.key_manager.access_rules import RULES
from services.key_manager.kinds import KEY
from services.sdk.aws.access_rules import ResourceQuestion, StoredObjects
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.policy import Requester
from services.sdk.testing import ServiceHarness, User, serving

EVE = "arn:aws:iam::000000000000:user/eve"
ROOT = "arn:aws:iam::000000000000:root"
ACTIONS = {"Encrypt": ("use", {"Plaintext": b"x"}), "DescribeKey": ("get", {}), "DisableKey": ("patch", {})}


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


class Objects(StoredObjects):
    """What the service keeps."""

    def __init__(self, house: ServiceHarness) -> None:
        self._house = house

    def all(self, kind: Kind[Any], namespace: str) -> Iterable[Any]:
        return list(self._house.run(self._house.context.resources.list(kind, namespace)).items)


def statement(principal: str, action: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "*", **more}


def policies() -> list[str]:
    context: dict[str, Any] = {"Condition": {"StringEquals": {"kms:EncryptionContext:team": "blue"}}}
    choices = [
        [],
        [statement(ROOT, "kms:*")],
        [statement(EVE, "kms:*")],
        [statement(ROOT, "kms:*"), statement(EVE, "kms:Encrypt", "Deny")],
        [statement(EVE, "kms:Encrypt", **context)],
    ]
    own = statement("arn:aws:iam::000000000000:user/admin", "kms:*")
    return [json.dumps({"Version": "2012-10-17", "Statement": [own, *each]}) if each else "" for each in choices]


def _role_of_eve(has: bool) -> Callable[[str, dict[str, str]], bool]:
    return lambda user, _: user != "eve" or has


def answered(kms: Any, action: str, key: str, more: dict[str, Any]) -> bool:
    call = {"Encrypt": kms.encrypt, "DescribeKey": kms.describe_key, "DisableKey": kms.disable_key}[action]
    try:
        call(KeyId=key, **more)
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "AccessDeniedException", refused
        return False
    return True


@pytest.mark.parametrize("policy", policies(), ids=["none", "account", "eve", "denied", "context"])
def test_what_is_explained_is_what_is_done(house: ServiceHarness, policy: str) -> None:
    admin = house.boto3_client("kms")
    eve = house.boto3_client("kms", house.conductor.add(User("eve", access_key="AKIAEVEEVEEVEEVEEVE1")))
    seen = set[bool]()
    for by_role, granted in itertools.product((False, True), repeat=2):
        house.conductor.judge = _role_of_eve(by_role)
        key = admin.create_key(**({"Policy": policy} if policy else {}))["KeyMetadata"]
        if granted:
            admin.create_grant(KeyId=key["KeyId"], GranteePrincipal=EVE, Operations=["Encrypt", "DescribeKey"])
        for (action, (verb, more)), team in itertools.product(ACTIONS.items(), ("", "blue")):
            context = {"EncryptionContext": {"team": team}} if team and action == "Encrypt" else {}
            facts = {"kms:EncryptionContext:team": team} if context else {}
            arn = parse_arn(key["Arn"])
            assert arn is not None
            found = RULES.locate(arn, Objects(house), "default")
            permission = RULES.permissions[f"kms:{action}"]
            assert permission is not None and permission.verb == verb and permission.kind is KEY
            verdict = RULES.judge(
                ResourceQuestion(
                    Requester("user", EVE, "000000000000"),
                    f"kms:{action}",
                    verb,
                    found.arn,
                    found.name,
                    "default",
                    by_role,
                    Objects(house),
                    facts,
                )
            )
            assert verdict is not None
            done = answered(eve, action, key["KeyId"], {**more, **context})
            assert verdict.allowed == done, (action, by_role, granted, team, verdict)
            seen.add(done)
            admin.enable_key(KeyId=key["KeyId"])
    assert seen == {True, False}


def test_a_key_that_is_not_there_has_no_say(house: ServiceHarness) -> None:
    arn = parse_arn("arn:aws:kms:us-east-1:000000000000:key/none")
    assert arn is not None
    found = RULES.locate(arn, Objects(house), "default")
    who = Requester("user", EVE, "000000000000")
    asked = ResourceQuestion(who, "kms:Encrypt", "use", found.arn, found.name, "default", True, Objects(house))
    assert RULES.judge(asked) is None
