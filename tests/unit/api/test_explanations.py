"""Explanations of access: both sides, the statement that decided, who may, and what nobody but its owner hears."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.access.reviews import PREFIX, AccessQuestions
from api.audit import Audit
from api.audit.denials import Denial
from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, MASTERS, SERVICES, Principal
from controller.kit.threads import Inline
from controller.main.explanations import access_questions
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.sql import open_store
from crds.errors import BadRequest, Forbidden, Invalid, NotFound
from crds.kinds.iam import IAM_GROUP, IAM_ROLE, IAM_USER
from crds.kinds.namespace import NAMESPACE
from crds.kinds.rbac import ROLE_BINDING
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.user import USER
from services.key_manager.kinds import KEY, KEY_GRANT
from services.queue_manager.kinds import QUEUE
from services.sdk.aws.accounts import account_of
from services.sdk.aws.model import called
from services.sdk.discovery import catalog_of, load, managed_services
from services.secrets_manager.kinds import MANAGED_SECRET
from services.storage_manager.kinds import BUCKET
from tests.unit.api.components import HOW, Hands

pytestmark = pytest.mark.anyio
ADMIN = Principal("root", frozenset({MASTERS, AUTHENTICATED}))
Json = dict[str, Any]
KEY_ID = "11111111-2222-3333-4444-555555555555"
KEY_ARN = f"arn:aws:kms:eu-central-1:000000000000:key/{KEY_ID}"


def policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def statement(effect: str, action: str, resource: str = "*", **more: Any) -> Json:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@dataclass
class Rig:
    registry: Registry
    questions: AccessQuestions
    audit: Audit

    async def add(self, kind: Any, name: str, namespace: str = "default", **body: Any) -> None:
        await self.registry.create(
            kind, namespace if kind.namespaced else "", {"metadata": {"name": name}, **body}, HOW
        )

    async def looked_at(self, bucket: str, **access: Any) -> None:
        """As storage-manager saw it."""
        how, status = WriteOptions(by="system:service:storage-manager"), {"status": {"access": access}}
        await self.registry.merge(BUCKET, BUCKET.key(bucket, "default"), status, how, subresource="status")

    async def iam_user(self, name: str, **spec: Any) -> None:
        await self.add(IAM_USER, name, spec={"userName": name, **spec})

    async def ask(self, plural: str, spec: Json, who: Principal = ADMIN) -> Any:
        return (await self.questions.answer(f"{PREFIX}{plural}", {"spec": spec}, who))["status"]

    async def aws(self, user: str, action: str, resource: str = "*", **context: Any) -> Any:
        asked = {"action": action, "resource": resource, "context": context}
        return await self.ask("accessexplanations", {"user": user, "awsAttributes": asked})


def of(name: str, *roles: str, namespace: str = "default") -> Principal:
    return Principal(name, frozenset({AUTHENTICATED, *(f"aerekos:{each}" for each in roles)}), namespace)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    services, clock = managed_services(), Hands()
    catalog = catalog_of(services)
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=Inline(), clock=clock)
    registry = Registry(store, catalog, clock)
    audit = Audit(tmp_path / "audit.log", clock, key=b"a" * 32)
    authorizer = Authorizer(catalog, services, store)
    rig = Rig(registry, access_questions(registry, authorizer, services, audit, clock), audit)
    for namespace in ("default", "team"):
        await rig.add(NAMESPACE, namespace)
    for name, roles in (("owner", ["admin"]), ("ed", ["editor"]), ("ann", [])):
        await rig.add(USER, name, spec={"roles": roles})
    await rig.add(USER, "tina", spec={"roles": [], "namespace": "team"})
    await rig.add(KEY, KEY_ID)
    yield rig
    audit.close()
    await store.close()


async def test_roles_and_policies_stand_side_by_side(rig: Rig) -> None:
    await rig.iam_user("ed", inline={"p": policy(statement("Deny", "kms:Decrypt", Sid="NoOpening"))})
    found = await rig.aws("ed", "kms:Decrypt", KEY_ARN)
    assert not found["allowed"] and found["decidedBy"] == "policies"
    assert found["roles"]["allowed"] and found["roles"]["role"] == {"kind": "Group", "name": "aerekos:editor"}
    assert found["roles"]["asked"]["verb"] == "use" and found["roles"]["asked"]["name"] == KEY_ID
    named = {"source": "identity-based policy", "policy": "p", "index": 0, "effect": "Deny", "sid": "NoOpening"}
    assert found["policies"]["statement"] == named
    assert found["reason"] == 'statement 0 "NoOpening" of the policy p (identity-based policy) denies it'
    assert json.loads(found["policies"]["document"])["Statement"][0]["Sid"] == "NoOpening"


async def test_what_no_statement_and_no_role_allows_says_both(rig: Rig) -> None:
    await rig.iam_user("ann", inline={"p": policy(statement("Allow", "kms:Encrypt"))})
    found = await rig.aws("ann", "kms:Decrypt", KEY_ARN)
    assert (found["allowed"], found["decidedBy"]) == (False, "nothing")
    assert found["reason"] == "neither a role nor a policy allows kms:Decrypt"
    assert found["policies"]["reason"] == "because no identity-based policy allows the kms:Decrypt action"
    assert "statement" not in found["policies"] and not found["roles"]["allowed"]
    assert (await rig.aws("ann", "kms:Encrypt", KEY_ARN))["decidedBy"] == "policies"


async def test_a_boundary_refuses_what_a_role_gives(rig: Rig) -> None:
    await rig.iam_user("ed", boundary="arn:aws:iam::aws:policy/ReadOnlyAccess")
    found = await rig.aws("ed", "kms:Decrypt", KEY_ARN)
    assert not found["allowed"] and found["roles"]["allowed"] and found["policies"]["outOfBounds"]
    assert found["reason"] == "the permissions boundary does not allow kms:Decrypt, whatever else does"


async def test_conditions_count_as_they_are_given(rig: Rig) -> None:
    condition = {"StringEquals": {"kms:EncryptionContext:team": "blue"}}
    await rig.iam_user("ann", inline={"p": policy(statement("Allow", "kms:Decrypt", Condition=condition))})
    assert not (await rig.aws("ann", "kms:Decrypt", KEY_ARN))["allowed"]
    assert (await rig.aws("ann", "kms:Decrypt", KEY_ARN, **{"kms:EncryptionContext:team": "blue"}))["allowed"]


async def test_a_key_s_policy_and_a_grant_have_their_say(rig: Rig) -> None:
    ann = "arn:aws:iam::000000000000:user/ann"
    only = {**statement("Allow", "kms:Encrypt"), "Principal": {"AWS": ann}}
    await rig.add(KEY, "guarded", spec={"policy": policy(only)})
    arn = "arn:aws:kms:us-east-1:000000000000:key/guarded"
    refused = await rig.aws("ed", "kms:Encrypt", arn)
    assert (refused["allowed"], refused["decidedBy"]) == (False, "resource-policy") and refused["roles"]["allowed"]
    given = await rig.aws("ann", "kms:Encrypt", arn)
    assert given["allowed"] and given["resourcePolicy"]["statement"]["policy"] == "default"
    assert json.loads(given["resourcePolicy"]["document"])["Statement"] == [only]
    await rig.add(KEY_GRANT, "g", spec={"key": KEY_ID, "grantee": ann, "operations": ["Decrypt"]})
    granted = await rig.aws("ann", "kms:Decrypt", KEY_ARN)
    assert (granted["allowed"], granted["decidedBy"]) == (True, "grant")
    assert granted["reason"] == "KeyGrant default/g gives it"


async def test_policies_count_in_their_own_account(rig: Rig) -> None:
    await rig.iam_user("ann", inline={"p": policy(statement("Allow", "*"))})
    await rig.add(KEY, "theirs", "team")
    arn = f"arn:aws:kms:us-east-1:{account_of('team')}:key/theirs"
    assert not (await rig.aws("ann", "kms:Decrypt", arn))["allowed"]
    assert not (await rig.aws("ann", "kms:Decrypt", "arn:aws:kms:us-east-1:999999999999:key/x"))["allowed"]


async def test_who_may_names_everybody_with_the_reason(rig: Rig) -> None:
    await rig.add(
        IAM_GROUP,
        "openers",
        spec={"groupName": "openers", "inline": {"g": policy(statement("Allow", "kms:Decrypt"))}},
    )
    await rig.iam_user("ann", groups=["openers"])
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
    inline = {"r": policy(statement("Allow", "kms:*"))}
    await rig.add(IAM_ROLE, "cook", spec={"roleName": "cook", "trust": trust, "inline": inline})
    await rig.add(SERVICE_ACCOUNT, "robot", "team")
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "team"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    await rig.add(ROLE_BINDING, "robots", subjects=[subject, {"kind": "Group", "name": "devs"}], roleRef=role)
    await rig.add(USER, "gone", spec={"roles": ["admin"], "disabled": True})
    asked = {"awsAttributes": {"action": "kms:Decrypt", "resource": KEY_ARN}}
    found = (await rig.ask("resourceaccessreviews", asked))["subjects"]
    told = {(each["subject"]["kind"], each["subject"]["name"]): each["decidedBy"] for each in found}
    assert told[("User", "ann")] == told[("IamRole", "cook")] == "policies"
    roles = {("User", "owner"), ("User", "ed"), ("ServiceAccount", "robot"), ("Group", "devs"), ("Group", MASTERS)}
    services = {name for name in told if name[0] == "ManagedService"}  # some seal with keys of people
    assert {name for name, decided in told.items() if decided == "roles"} - services == roles
    assert ("ManagedService", "storage-manager") in services and len(told) == len(roles | services) + 2, told
    bound = next(each for each in found if each["subject"]["name"] == "robot")["roles"]
    assert bound["binding"] == {"kind": "RoleBinding", "name": "robots", "namespace": "default"}
    pods = {"resourceAttributes": {"verb": "delete", "resource": "configmaps", "namespace": "team"}}
    found = (await rig.ask("resourceaccessreviews", pods))["subjects"]
    names = {each["subject"]["name"] for each in found if each["subject"]["kind"] != "ManagedService"}
    assert names == {"owner", "ed", MASTERS}


async def test_every_kind_of_principal_can_be_asked_about(rig: Rig) -> None:
    for user in ("system:serviceaccount:team:robot", "system:service:key-manager", "system:worker:oak", "nobody",
                 "arn:aws:iam::000000000000:role/none", "arn:aws:iam::000000000000:user/ed"):  # fmt: skip
        found = await rig.aws(user, "kms:Decrypt", KEY_ARN)
        assert found["allowed"] == user.endswith("user/ed"), user
        assert found["roles"]["reason"] and found["policies"]["outcome"]
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
    inline = {"r": policy(statement("Allow", "kms:*"))}
    await rig.add(IAM_ROLE, "cook", spec={"roleName": "Cook", "trust": trust, "inline": inline})
    for user in ("arn:aws:iam::000000000000:role/Cook", "arn:aws:sts::000000000000:assumed-role/Cook/x",
                 "system:assumed-role:default:Cook/x"):  # fmt: skip
        found = await rig.aws(user, "kms:Decrypt", KEY_ARN)
        assert (found["subject"]["kind"], found["allowed"], found["decidedBy"]) == ("IamRole", True, "policies")
    account = {"user": "nobody", "groups": ["aerekos:viewer"]}
    asked = {"resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": "x"}}
    assert (await rig.ask("accessexplanations", {**account, **asked}))["allowed"]


async def test_people_ask_about_themselves_alone(rig: Rig) -> None:
    asked = {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "team"}}
    for who in (of("ann"), of("vera", "viewer"), of("ed", "editor")):
        assert "allowed" in await rig.ask("accessexplanations", asked, who)
        for other in ({"user": "owner"}, {"user": who.name, "groups": [MASTERS]}):
            with pytest.raises(Forbidden):
                await rig.ask("accessexplanations", {**other, **asked}, who)
        with pytest.raises(Forbidden):
            await rig.ask("resourceaccessreviews", asked, who)
    service = Principal("system:service:key-manager", frozenset({AUTHENTICATED, SERVICES}))
    through = Principal("ann", frozenset({AUTHENTICATED}), acting=service.name, actors=(service.name,))
    for who in (service, through):
        for plural, spec in (("accessexplanations", asked), ("denialreviews", {})):
            with pytest.raises(Forbidden):
                await rig.ask(plural, spec, who)


async def test_a_tenant_learns_nothing_of_another_account(rig: Rig) -> None:
    """Whether it is there, how its namespace is called, whether a key is there, what its policy says of them."""
    tina = f"arn:aws:iam::{account_of('team')}:user/tina"
    named = {**statement("Allow", "kms:Encrypt"), "Principal": {"AWS": tina}}
    await rig.add(KEY, "named", spec={"policy": policy(named)})
    await rig.add(KEY, "payroll")
    record = rig.registry.store.get(KEY.key("payroll"))
    assert record is not None
    told = set()
    for account, key in (("000000000000", "named"), ("000000000000", "absent"), ("999999999999", "absent"),
                         ("000000000000", record.uid)):  # fmt: skip
        arn = f"arn:aws:kms:us-east-1:{account}:key/{key}"
        asked = {"awsAttributes": {"action": "kms:Encrypt", "resource": arn}}
        for who in (of("tina", namespace="team"), of("nils", namespace="team")):
            found = await rig.ask("accessexplanations", asked, who)
            assert "payroll" not in json.dumps(found)
            told.add(json.dumps(found).replace(key, "KEY").replace(account, "ACCOUNT").replace(who.name, "WHO"))
    assert len(told) == 1, told


async def test_a_right_in_another_account_is_told_to_whom_it_is_given(rig: Rig) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    await rig.add(ROLE_BINDING, "guests", subjects=[{"kind": "User", "name": "tina"}], roleRef=role)
    asked = {"awsAttributes": {"action": "kms:Encrypt", "resource": KEY_ARN}}
    found = await rig.ask("accessexplanations", asked, of("tina", namespace="team"))
    assert (found["allowed"], found["decidedBy"]) == (True, "roles")
    assert found["roles"]["binding"]["name"] == "guests"


async def test_documents_are_for_those_who_may_read_them(rig: Rig) -> None:
    inline = {"p": policy(statement("Deny", "kms:Decrypt", Sid="No"))}
    own = {**statement("Allow", "kms:*"), "Principal": {"AWS": "arn:aws:iam::000000000000:root"}}
    await rig.add(KEY, "guarded", spec={"policy": policy(own)})
    arn = "arn:aws:kms:us-east-1:000000000000:key/guarded"
    for name, roles, reads in (("ann", (), False), ("ed", ("editor",), True)):
        await rig.iam_user(name, inline=inline)
        for action, part in (("kms:Decrypt", "policies"), ("kms:Encrypt", "resourcePolicy")):
            asked = {"awsAttributes": {"action": action, "resource": arn}}
            found = (await rig.ask("accessexplanations", asked, of(name, *roles)))[part]
            assert ("document" in found) == reads, (name, action)
        assert "document" in (await rig.aws(name, "kms:Decrypt", arn))["policies"]


POLICY_OF_ANYTHING = policy({**statement("Allow", "*"), "Principal": "*"})


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("kms:Decrypt", KEY_ARN),
        ("s3:GetObject", "arn:aws:s3:::photos/cat"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:000000000000:secret:pin-abcdef"),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:jobs"),
    ],
)
async def test_a_policy_that_a_resource_could_have_is_tried_out(rig: Rig, action: str, arn: str) -> None:
    status = {"arn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:pin-abcdef"}
    await rig.add(MANAGED_SECRET, "pin")
    key = MANAGED_SECRET.key("pin", "default")
    await rig.registry.merge(MANAGED_SECRET, key, {"status": status}, HOW, subresource="status")
    await rig.add(QUEUE, "jobs")
    ann = {"AWS": "arn:aws:iam::000000000000:user/ann"}

    async def tried(who: str, *statements: Json) -> Any:
        asked = {"action": action, "resource": arn, "resourcePolicy": policy(*statements)}
        return await rig.ask("accessexplanations", {"user": who, "awsAttributes": asked})

    assert not (await rig.aws("ann", action, arn))["allowed"]
    given = await tried("ann", {**statement("Allow", action), "Principal": ann})
    assert (given["allowed"], given["decidedBy"]) == (True, "resource-policy")
    assert given["resourcePolicy"]["statement"]["index"] == 0
    denied = await tried("owner", {**statement("Deny", action), "Principal": "*"})
    assert (denied["allowed"], denied["decidedBy"]) == (False, "resource-policy") and denied["roles"]["allowed"]
    asked = {"action": action, "resource": arn, "resourcePolicy": POLICY_OF_ANYTHING}
    for who in (of("ann"), of("ed", "editor")):
        with pytest.raises(Forbidden):
            await rig.ask("accessexplanations", {"awsAttributes": asked}, who)


async def test_what_a_given_policy_says_is_considered(rig: Rig) -> None:
    asked = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "resourcePolicy": POLICY_OF_ANYTHING}
    found = await rig.ask("accessexplanations", {"user": "ann", "awsAttributes": asked})
    assert found["allowed"] and found["notConsidered"].startswith("access control lists")
    assert json.loads(found["resourcePolicy"]["document"])["Statement"][0]["Action"] == "*"


async def test_the_policy_a_bucket_has_is_considered(rig: Rig) -> None:
    """As storage-manager wrote it into the Bucket's status; of a bucket it has not looked at, that is said."""
    robot = {"Principal": {"AWS": f"arn:aws:iam::{account_of('default')}:user/ann"}}
    reads = {**statement("Allow", "s3:GetObject", "arn:aws:s3:::b/*"), **robot}
    no_deletes = {**statement("Deny", "s3:DeleteObject", "arn:aws:s3:::b/*"), "Principal": "*"}
    await rig.add(BUCKET, "b")
    unseen = await rig.aws("ann", "s3:GetObject", "arn:aws:s3:::b/k")
    assert not unseen["allowed"] and unseen["notConsidered"].startswith("policies, ")
    await rig.looked_at("b", policy=policy(reads, no_deletes))
    found = await rig.aws("ann", "s3:GetObject", "arn:aws:s3:::b/k")
    assert (found["allowed"], found["decidedBy"]) == (True, "resource-policy")
    assert found["notConsidered"].startswith("access control lists")
    assert found["resourcePolicy"]["statement"]["index"] == 0
    denied = await rig.aws("ed", "s3:DeleteObject", "arn:aws:s3:::b/k")
    assert (denied["allowed"], denied["decidedBy"]) == (False, "resource-policy") and denied["roles"]["allowed"]
    assert (await rig.aws("ed", "s3:PutObject", "arn:aws:s3:::b/k"))["decidedBy"] == "roles"
    assert not (await rig.aws("ann", "s3:GetObject", "arn:aws:s3:::other/k"))["allowed"]
    await rig.looked_at("b", policy="")
    nobody = await rig.aws("ann", "s3:GetObject", "arn:aws:s3:::b/k")
    assert not nobody["allowed"] and nobody["notConsidered"].startswith("access control lists")


async def test_a_policy_of_nothing_is_refused_also_where_iam_has_refused_already(rig: Rig) -> None:
    await rig.iam_user("ann", inline={"p": policy(statement("Deny", "kms:Decrypt"))})
    assert (await rig.aws("ann", "kms:Decrypt", KEY_ARN))["decidedBy"] == "policies"
    asked = {"action": "kms:Decrypt", "resource": "*", "resourcePolicy": POLICY_OF_ANYTHING}
    with pytest.raises(Invalid):
        await rig.ask("accessexplanations", {"user": "ann", "awsAttributes": asked})


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({}, Invalid, "either resourceAttributes or awsAttributes"),
        ({"awsAttributes": {"action": "kms:Decrypt", "x": 1}}, BadRequest, 'unknown field "spec.awsAttributes.x"'),
        ({"awsAttributes": {"action": "kms:Decript"}}, Invalid, "did you mean kms:Decrypt?"),
        ({"awsAttributes": {"action": "Decrypt"}}, Invalid, "spec.awsAttributes.action"),
        ({"resourceAttributes": {"verb": "get"}}, Invalid, "spec.resourceAttributes.resource"),
        (
            {"awsAttributes": {"action": "kms:Decrypt", "resourcePolicy": "{}"}},
            Invalid,
            "spec.awsAttributes.resourcePolicy",
        ),
        (
            {"awsAttributes": {"action": "iam:GetUser", "resourcePolicy": POLICY_OF_ANYTHING}},
            Invalid,
            "what iam:GetUser is about has no policy of its own",
        ),
        (
            {"awsAttributes": {"action": "kms:Decrypt", "resourcePolicy": POLICY_OF_ANYTHING}},
            Invalid,
            "spec.awsAttributes.resource: Invalid value: * is nothing that is there",
        ),
    ],
)
async def test_what_is_not_understood_is_refused(rig: Rig, spec: Json, error: Any, words: str) -> None:
    with pytest.raises(error) as caught:
        await rig.ask("accessexplanations", spec)
    assert words in caught.value.message


async def test_a_refusal_is_told_to_whom_it_met_and_to_admins(rig: Rig) -> None:
    await rig.iam_user("ann", inline={"p": policy(statement("Deny", "kms:Decrypt"))})
    decided = {"outcome": "explicitDeny", "source": "identity-based policy", "reason": "with an explicit deny"}
    rig.audit.denials.record(Denial("t", "r1", "ann", 400, "kms:Decrypt", KEY_ARN, "User: ann is not", decided))
    reference = {"resource": "secrets", "namespace": "team", "name": "db"}
    rig.audit.denials.record(Denial("u", "r2", "ann", 403, "get", reference, "secrets is forbidden", None))
    for who in (of("ann"), ADMIN, of("owner", "admin")):
        (found,) = (await rig.ask("denialreviews", {"requestId": "r1"}, who))["denials"]
        assert found["policies"] == decided and not found["now"]["allowed"]
        assert found["now"]["policies"]["statement"]["policy"] == "p"
        assert found["now"]["roles"]["allowed"] is False
    (found,) = (await rig.ask("denialreviews", {"requestId": "r2"}, of("ann")))["denials"]
    assert found["now"]["roles"]["asked"]["resource"] == "secrets"
    assert len((await rig.ask("denialreviews", {}, of("ann")))["denials"]) == 2
    for who in (of("tina", namespace="team"), of("ed", "editor")):
        unknown, theirs = [await refusal(rig, each, who) for each in ("r1", "none")]
        assert unknown.replace("r1", "none") == theirs
        assert (await rig.ask("denialreviews", {}, who))["denials"] == []


async def refusal(rig: Rig, request_id: str, who: Principal) -> str:
    with pytest.raises(NotFound) as caught:
        await rig.ask("denialreviews", {"requestId": request_id}, who)
    return caught.value.message


def test_every_service_that_speaks_aws_says_what_its_actions_ask() -> None:
    for each in managed_services():
        if not each.speaks:
            continue
        rules = load(each.access_rules)
        assert {name.partition(":")[0] for name in rules.permissions} == {called(name) for name in each.speaks}
        for permission in rules.permissions.values():
            assert permission is None or permission.verb, each.name


async def test_an_answer_says_what_it_does_not_know(rig: Rig) -> None:
    found = await rig.aws("ed", "s3:GetObject", "arn:aws:s3:::b/k")
    assert found["roles"]["asked"]["name"] == "b" and "access control lists" in found["notConsidered"]
    assert "notConsidered" not in await rig.aws("ed", "kms:Decrypt", KEY_ARN)
