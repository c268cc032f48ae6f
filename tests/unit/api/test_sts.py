"""STS as the conductor decides it: trust, limits of a session, what it hangs on, and what policies see of it."""

from __future__ import annotations

import json
import string
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import HOW, House, make_house

from api.auth.accounts import Accounts
from api.auth.derived_secrets import DerivedSecrets
from api.auth.on_behalf import RememberedSigners, signer
from api.auth.principal import Principal
from api.auth.sts.authorization_messages import LEAD
from api.auth.sts.limits import checked_tags
from api.auth.sts.role_sessions import RoleSession
from api.auth.sts.wanted import FederationWanted, RoleSessionWanted, SessionTokenWanted
from api.auth.temporary_credentials import KEPT_AFTER, MOST_OF_ONE
from api.channel.records import COPIED, KINDS
from api.gateway.replica import ReplicaStore
from controller.kit.threads import Threads
from controller.resources.registry import Registry
from crds.errors import ApiError, BadRequest, Forbidden, NotFound, TooManyRequests
from crds.kinds.iam import IAM_POLICY, IAM_ROLE, IAM_USER
from crds.kinds.namespace import NAMESPACE
from crds.kinds.user import USER
from services.sdk.aws.accounts import account_of
from services.sdk.aws.caller_policies import policies_of
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.judgement import judge

pytestmark = pytest.mark.anyio
ACCOUNT, OTHER = account_of("default"), account_of("team-b")
ANN, ROOT = f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:root"
Json = dict[str, Any]


def document(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusts(principal: Any, *actions: str, **condition: Any) -> Json:
    more = {"Condition": condition} if condition else {}
    who = principal if isinstance(principal, dict) else {"AWS": principal}
    return {"Effect": "Allow", "Action": list(actions or ("sts:AssumeRole",)), "Principal": who, **more}


def allow(action: str, resource: str = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


class Cloud:
    """A cloud with ann, who has no role of the cloud, and boss, an admin; roles are made as a test needs them."""

    def __init__(self, house: House) -> None:
        self.house, self.sts = house, house.security

    async def namespace(self, name: str) -> None:
        if self.house.store.get(NAMESPACE.key(name)) is None:
            await self.house.registry.create(NAMESPACE, "", {"metadata": {"name": name}}, HOW)

    async def user(self, name: str, *roles: str, namespace: str = "default", **policies: str) -> None:
        await self.namespace(namespace)
        body = {"metadata": {"name": name}, "spec": {"roles": list(roles), "namespace": namespace}}
        await self.house.registry.create(USER, "", body, HOW)
        spec = {"userName": name, "inline": policies}
        await self.house.registry.create(IAM_USER, namespace, {"metadata": {"name": name}, "spec": spec}, HOW)

    async def role(self, name: str, *trust: Json, namespace: str = "default", **spec: Any) -> str:
        await self.namespace(namespace)
        body = {"roleName": name, "trust": document(*trust), **spec}
        meta = {"name": resource_name(name)}
        await self.house.registry.create(IAM_ROLE, namespace, {"metadata": meta, "spec": body}, HOW)
        return f"arn:aws:iam::{account_of(namespace)}:role{spec.get('path', '/')}{name}"

    def by_key(self, name: str) -> Principal:
        return signer(self.house.accounts, self.house.accounts.access_key(name).id).who

    def by_session(self, made: RoleSession) -> Principal:
        return signer(self.house.accounts, made.issued.key.id).who

    async def assume(self, who: Principal, arn: str, name: str = "monday", **wanted: Any) -> RoleSession:
        asked = RoleSessionWanted(role_arn=arn, role_session_name=name, **wanted)
        return await self.sts.roles.assume(self.sts.callers.caller(who), asked)

    def told(self, who: Principal) -> Json:
        return self.sts.policies.of(who)

    def may(self, who: Principal, action: str, resource: str = "arn:aws:s3:::b/k") -> bool:
        found = policies_of(self.told(who))
        assert found is not None
        try:
            return judge(found, action, resource, {}, self.house.clock.now()).allows
        except Forbidden:
            return False


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = Cloud(await make_house(tmp_path))
    await made.user("ann")
    await made.user("boss", "admin")
    yield made
    await made.house.close()


MAY_ASSUME = document(allow("sts:AssumeRole"))
TRUST: list[tuple[str, Json, str, bool]] = [
    ("names the user", trusts(ANN), "", True),
    ("names the account, and the user may", trusts(ROOT), MAY_ASSUME, True),
    ("names the account, and the user may nothing", trusts(ROOT), "", False),
    ("names another user", trusts(f"arn:aws:iam::{ACCOUNT}:user/eve"), MAY_ASSUME, False),
    ("names everybody", trusts("*"), "", True),
    ("names a service", trusts({"Service": "ec2.amazonaws.com"}), MAY_ASSUME, False),
    ("allows something else", trusts(ANN, "sts:TagSession"), MAY_ASSUME, False),
    ("a Deny of the user's own", trusts(ANN), document({**allow("sts:AssumeRole"), "Effect": "Deny"}), False),
    ("wants an external id", trusts(ANN, StringEquals={"sts:ExternalId": "7"}), "", False),
    ("wants the session's name", trusts(ANN, StringLike={"sts:RoleSessionName": "mon*"}), "", True),
    ("wants another name", trusts(ANN, StringLike={"sts:RoleSessionName": "tue*"}), "", False),
    ("wants a second factor", trusts(ANN, Bool={"aws:MultiFactorAuthPresent": "true"}), "", False),
    ("wants that very user", trusts(ROOT, ArnEquals={"aws:PrincipalArn": ANN}), MAY_ASSUME, True),
]


@pytest.mark.parametrize(("trust", "own", "trusted"), [each[1:] for each in TRUST], ids=[each[0] for each in TRUST])
async def test_who_a_role_trusts(cloud: Cloud, trust: Json, own: str, trusted: bool) -> None:
    arn = await cloud.role("ops", trust)
    if own:
        patch = {"spec": {"inline": {"p": own}}}
        await cloud.house.registry.merge(IAM_USER, IAM_USER.key("ann", "default"), patch, HOW)
    if trusted:
        made = await cloud.assume(cloud.by_key("ann"), arn)
        assert made.issued.key.id.startswith("ASIA") and made.issued.spec.expires_at > cloud.house.clock.now()
        return
    with pytest.raises(Forbidden) as refused:
        await cloud.assume(cloud.by_key("ann"), arn)
    assert refused.value.message.startswith(
        f"User: {ANN} is not authorized to perform: sts:AssumeRole on resource: {arn}. {LEAD}"
    )


async def test_an_external_id_opens_what_wants_it(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts(ANN, StringEquals={"sts:ExternalId": "7"}))
    for wrong in ({}, {"external_id": "8"}):
        with pytest.raises(Forbidden):
            await cloud.assume(cloud.by_key("ann"), arn, **wrong)
    assert (await cloud.assume(cloud.by_key("ann"), arn, external_id="7")).issued.key.token


async def test_a_refusal_does_not_say_whether_there_is_such_a_role(cloud: Cloud) -> None:
    there, gone = await cloud.role("ops", trusts(ROOT)), f"arn:aws:iam::{ACCOUNT}:role/opt"
    told = []
    for arn in (there, gone):
        with pytest.raises(Forbidden) as refused:
            await cloud.assume(cloud.by_key("ann"), arn)
        told.append(refused.value.message)
    first, second = (each.partition(LEAD) for each in told)
    assert first[0].replace("ops", "opt") == second[0] and len(first[2]) == len(second[2])
    assert json.loads(cloud.sts.messages.decoded("default", first[2]))["failures"]["items"]
    with pytest.raises(BadRequest):
        cloud.sts.messages.decoded("team-b", first[2])
    with pytest.raises(BadRequest):
        cloud.sts.messages.decoded("default", first[2][:-4] + "AAAA")


async def test_an_admin_of_the_cloud_needs_no_policy_but_the_role_s_trust(cloud: Cloud) -> None:
    mine, not_mine = await cloud.role("ops", trusts(ROOT)), await cloud.role("hers", trusts(ANN))
    assert await cloud.assume(cloud.by_key("boss"), mine)
    with pytest.raises(Forbidden):
        await cloud.assume(cloud.by_key("boss"), not_mine)


async def test_another_account_needs_both_sides(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts(ANN), namespace="team-b")
    with pytest.raises(Forbidden):
        await cloud.assume(cloud.by_key("ann"), arn)
    await cloud.user("may", p=document(allow("sts:AssumeRole", arn)))
    with pytest.raises(Forbidden):
        await cloud.assume(cloud.by_key("may"), arn)
    patch = {"spec": {"inline": {"p": document(allow("sts:AssumeRole", arn))}}}
    await cloud.house.registry.merge(IAM_USER, IAM_USER.key("ann", "default"), patch, HOW)
    made = await cloud.assume(cloud.by_key("ann"), arn)
    assert cloud.by_session(made).namespace == "team-b"
    assert cloud.told(cloud.by_session(made))["principal"]["account"] == OTHER


async def test_what_a_session_is_to_policies(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts(ANN, "sts:*"), path="/team/", tags={"Team": "red", "kept": "1"})
    who = cloud.by_session(
        await cloud.assume(cloud.by_key("ann"), arn, tags={"team": "blue"}, source_identity="ann-lee")
    )
    told = cloud.told(who)["principal"]
    assert (told["arn"], told["behind"]) == (f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/monday", arn)
    facts = told["facts"]
    assert facts["aws:PrincipalArn"] == arn and facts["aws:userid"] == told["ids"][0]
    assert (facts["aws:PrincipalTag/team"], facts["aws:PrincipalTag/kept"]) == ("blue", "1")
    assert "aws:PrincipalTag/Team" not in facts and "aws:username" not in facts
    assert (facts["aws:MultiFactorAuthPresent"], facts["aws:SourceIdentity"]) == ("false", "ann-lee")
    assert (who.groups, who.namespace) == (frozenset({"system:authenticated"}), "default")


async def test_a_session_may_what_role_and_session_policy_both_allow(cloud: Cloud) -> None:
    both = document(allow("s3:*"), allow("kms:*"))
    arn = await cloud.role("ops", trusts(ANN), inline={"p": both})
    versions = [{"number": 1, "document": document(allow("kms:*")), "createdAt": "2026-01-01T00:00:00Z"}]
    spec = {"policyName": "keys", "versions": versions}
    await cloud.house.registry.create(IAM_POLICY, "default", {"metadata": {"name": "keys"}, "spec": spec}, HOW)
    whole = cloud.by_session(await cloud.assume(cloud.by_key("ann"), arn))
    narrow = cloud.by_session(
        await cloud.assume(cloud.by_key("ann"), arn, policy=document(allow("s3:GetObject"), allow("iam:*")))
    )
    managed = cloud.by_session(
        await cloud.assume(cloud.by_key("ann"), arn, policy_arns=[f"arn:aws:iam::{ACCOUNT}:policy/keys"])
    )
    asked = ("s3:GetObject", "s3:PutObject", "kms:Encrypt", "iam:ListUsers")
    assert [cloud.may(whole, each) for each in asked] == [True, True, True, False]
    assert [cloud.may(narrow, each) for each in asked] == [True, False, False, False]
    assert [cloud.may(managed, each) for each in asked] == [False, False, True, False]


async def test_old_sessions_are_ended_by_a_policy_as_aws_does_it(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts(ANN), inline={"p": document(allow("s3:*"))})
    old = cloud.by_session(await cloud.assume(cloud.by_key("ann"), arn))
    cloud.house.clock.forward(60)
    cut = cloud.house.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": cut}},
    }
    patch = {"spec": {"inline": {"AWSRevokeOlderSessions": document(deny)}}}
    await cloud.house.registry.merge(IAM_ROLE, IAM_ROLE.key("ops", "default"), patch, HOW)
    cloud.house.clock.forward(1)
    new = cloud.by_session(await cloud.assume(cloud.by_key("ann"), arn))
    assert (cloud.may(old, "s3:GetObject"), cloud.may(new, "s3:GetObject")) == (False, True)


async def test_how_long_a_session_lasts(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts(ANN), maxSessionSeconds=7200)
    role = f"arn:aws:iam::{ACCOUNT}:role/ops"
    next_arn = await cloud.role("next", trusts(role))
    ann, now = cloud.by_key("ann"), cloud.house.clock.now()
    made = await cloud.assume(ann, arn)
    assert (made.issued.spec.expires_at - now).total_seconds() == 3600
    assert (
        (await cloud.assume(ann, arn, duration_seconds=7200)).issued.spec.expires_at - now
    ).total_seconds() == 7200
    for wrong in (7201, 899):
        with pytest.raises(BadRequest):
            await cloud.assume(ann, arn, duration_seconds=wrong)
    chained = cloud.by_session(made)
    with pytest.raises(BadRequest, match="1 hour session limit"):
        await cloud.assume(chained, next_arn, duration_seconds=3601)
    assert await cloud.assume(chained, next_arn, duration_seconds=3600)


async def test_tags_need_the_right_to_tag_and_go_on_where_they_are_transitive(cloud: Cloud) -> None:
    plain = await cloud.role("plain", trusts(ANN))
    with pytest.raises(Forbidden, match="sts:TagSession"):
        await cloud.assume(cloud.by_key("ann"), plain, tags={"a": "1"})
    first = await cloud.role("first", trusts(ANN, "sts:AssumeRole", "sts:TagSession"))
    made = await cloud.assume(
        cloud.by_key("ann"), first, tags={"a": "1", "b": "2"}, transitive_tag_keys=["a"], source_identity=None
    )
    second = await cloud.role("second", trusts(first, "sts:AssumeRole", "sts:TagSession"))
    with pytest.raises(BadRequest, match="it conflicts with a transitive tag key from the calling session"):
        await cloud.assume(cloud.by_session(made), second, tags={"A": "other"})
    on = await cloud.assume(cloud.by_session(made), second, tags={"c": "3"})
    assert (on.issued.spec.tags, on.issued.spec.transitive_tags) == ({"a": "1", "c": "3"}, ["a"])


async def test_a_source_identity_stays_and_needs_its_right(cloud: Cloud) -> None:
    first = await cloud.role("first", trusts(ANN, "sts:AssumeRole", "sts:SetSourceIdentity"))
    plain = await cloud.role("plain", trusts([ANN, first]))
    with pytest.raises(Forbidden, match="sts:SetSourceIdentity"):
        await cloud.assume(cloud.by_key("ann"), plain, source_identity="ann")
    made = cloud.by_session(await cloud.assume(cloud.by_key("ann"), first, source_identity="ann"))
    with pytest.raises(Forbidden):
        await cloud.assume(made, plain, source_identity="eve")
    assert (await cloud.assume(made, plain)).issued.spec.source_identity == "ann"


WRONG: list[Json] = [
    {"policy": "{"},
    {"policy": document(trusts(ANN))},
    {"policy": document(allow("s3:*", "arn:aws:s3:::" + "b" * 2100))},
    {"policy_arns": ["arn:aws:iam::aws:policy/NoSuchPolicy"]},
    {"policy_arns": [f"arn:aws:iam::{OTHER}:policy/keys"]},
    {"policy_arns": ["arn:aws:s3:::b"]},
    {"tags": {"aws:x": "1"}},
    {"tags": {"a": "1", "A": "2"}},
    {"tags": {"a": "1"}, "transitive_tag_keys": ["b"]},
    {"tags": {f"{n:03}": string.printable[:60] * 4 for n in range(51)}},
]


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_no_session_can_be_is_refused(cloud: Cloud, wrong: Json) -> None:
    arn = await cloud.role("ops", trusts(ANN, "sts:*"))
    with pytest.raises(BadRequest) as refused:
        await cloud.assume(cloud.by_key("ann"), arn, **wrong)
    assert refused.value.causes[0].reason


async def delete_role(cloud: Cloud, _: str) -> None:
    await cloud.house.registry.delete(IAM_ROLE, IAM_ROLE.key("ops", "default"), HOW)


async def delete_role_and_make_it_again(cloud: Cloud, key: str) -> None:
    await delete_role(cloud, key)
    await cloud.role("ops", trusts(ANN))


async def disable_user(cloud: Cloud, _: str) -> None:
    await cloud.house.registry.merge(USER, USER.key("ann"), {"spec": {"disabled": True}}, HOW)


async def delete_user(cloud: Cloud, _: str) -> None:
    await cloud.house.registry.delete(USER, USER.key("ann"), HOW)


async def switch_key_off(cloud: Cloud, _: str) -> None:
    key = cloud.house.accounts.access_key("ann").id
    await cloud.house.accounts.access_keys.set_state("ann", key, "Inactive", by="test")


async def revoke(cloud: Cloud, key: str) -> None:
    await cloud.sts.temporary.revoke(key, by="test")


TAKEN_BACK = [delete_role, delete_role_and_make_it_again, disable_user, delete_user, switch_key_off, revoke]


@pytest.mark.parametrize("take_back", TAKEN_BACK)
async def test_a_session_ends_with_everything_it_hangs_on(cloud: Cloud, take_back: Any) -> None:
    arn = await cloud.role("ops", trusts(ANN))
    made = await cloud.assume(cloud.by_key("ann"), arn)
    on = await cloud.assume(cloud.by_session(made), await cloud.role("next", trusts(arn)))
    await take_back(cloud, made.issued.key.id)
    for each in (made, on):
        with pytest.raises(NotFound):
            signer(cloud.house.accounts, each.issued.key.id)
    await cloud.sts.temporary.sweep()
    assert list(cloud.sts.temporary.all()) == []


@pytest.mark.parametrize("take_back", TAKEN_BACK)
async def test_a_gateway_s_copy_knows_and_forgets_it_as_it_is_told(cloud: Cloud, take_back: Any) -> None:
    """Record by record, as the conductor tells them: the last one of a revocation ends it there, without any wait."""
    arn = await cloud.role("ops", trusts(ANN))
    made = await cloud.assume(cloud.by_key("ann"), arn)
    house, copy = cloud.house, ReplicaStore()
    told = [each for kind in KINDS for each in house.store.list(kind.group, kind.plural).records]
    copy.replace(told, house.store.revision)
    registry = Registry(copy, house.registry.catalog, house.clock)
    accounts = Accounts(registry, house.tokens, DerivedSecrets(b"m" * 32), house.clock, Threads(1))
    signers = RememberedSigners(partial(signer, accounts), lambda: copy.version)
    assert signers(made.issued.key.id) == signer(house.accounts, made.issued.key.id)
    async with house.store.follow("", "*", after=house.store.revision) as follower:
        await take_back(cloud, made.issued.key.id)
        async for batch in follower:
            for each in batch:
                if each.record.key[:2] in COPIED:
                    copy.apply(each.record)
            if copy.revision >= house.store.revision or copy.version > 1:
                break
    with pytest.raises(NotFound):
        signers(made.issued.key.id)


async def test_what_has_ended_is_kept_for_an_hour_and_no_longer(cloud: Cloud) -> None:
    made = await cloud.assume(cloud.by_key("ann"), await cloud.role("ops", trusts(ANN)))
    cloud.house.clock.forward(3601)
    assert await cloud.sts.temporary.sweep() == 0
    owner = signer(cloud.house.accounts, made.issued.key.id)
    assert owner.ends_at is not None and owner.ends_at < cloud.house.clock.now()
    cloud.house.clock.forward(KEPT_AFTER.total_seconds())
    assert await cloud.sts.temporary.sweep() == 1


async def test_no_secret_and_no_token_is_in_the_store(cloud: Cloud) -> None:
    made = await cloud.assume(cloud.by_key("ann"), await cloud.role("ops", trusts(ANN)))
    (record,) = cloud.house.store.list("aerekos.cloud", "temporarycredentials").records
    for secret in (made.issued.key.secret, made.issued.key.token):
        assert secret.encode() not in record.body
    other = await cloud.assume(cloud.by_key("ann"), f"arn:aws:iam::{ACCOUNT}:role/ops")
    assert not {other.issued.key.secret, other.issued.key.token} & {made.issued.key.secret, made.issued.key.token}


async def test_the_session_of_a_user_is_the_user_for_a_while(cloud: Cloud) -> None:
    made = await cloud.sts.users.session_token(cloud.sts.callers.caller(cloud.by_key("boss")), SessionTokenWanted())
    assert (made.spec.expires_at - made.spec.issued_at).total_seconds() == 43_200
    who = signer(cloud.house.accounts, made.key.id).who
    assert (who.name, who.groups) == ("boss", cloud.by_key("boss").groups)
    told = cloud.told(who)["principal"]
    assert (told["kind"], told["facts"]["aws:username"]) == ("user", "boss")
    caller = cloud.sts.callers.caller(who)
    with pytest.raises(Forbidden, match="with session credentials"):
        await cloud.sts.users.session_token(caller, SessionTokenWanted())
    with pytest.raises(Forbidden, match="with session credentials"):
        await cloud.sts.users.federated(caller, FederationWanted(name="bob"))
    assert await cloud.assume(who, await cloud.role("ops", trusts(ROOT)))


async def test_a_federated_user_may_what_the_session_allows_and_becomes_nobody_else(cloud: Cloud) -> None:
    boss = cloud.sts.callers.caller(cloud.by_key("boss"))
    bare = await cloud.sts.users.federated(boss, FederationWanted(name="bob"))
    wanted = FederationWanted(name="bob", policy=document(allow("s3:*")))
    some = await cloud.sts.users.federated(boss, wanted)
    arn = await cloud.role("ops", trusts(ROOT))
    for made, may in ((bare, False), (some, True)):
        who = cloud.by_session(made)
        found = policies_of(cloud.told(who))
        assert found is not None and found.requester.arn == f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
        out_of_bounds = False
        try:
            judge(found, "s3:GetObject", "*", {}, cloud.house.clock.now())
        except Forbidden:
            out_of_bounds = True
        assert out_of_bounds is not may  # what is left to the roles of boss, an admin, is what the session allows
        with pytest.raises(Forbidden):
            await cloud.assume(who, arn)


async def test_nobody_fills_the_store(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.auth.temporary_credentials.MOST_OF_ONE", 2)
    assert MOST_OF_ONE > 2
    arn = await cloud.role("ops", trusts([ANN, f"arn:aws:iam::{ACCOUNT}:user/boss"]))
    for _ in range(2):
        made = await cloud.assume(cloud.by_key("ann"), arn)
    with pytest.raises(TooManyRequests):
        await cloud.assume(cloud.by_key("ann"), arn)
    assert await cloud.assume(cloud.by_key("boss"), arn)
    await cloud.sts.temporary.revoke(made.issued.key.id, by="test")
    assert await cloud.assume(cloud.by_key("ann"), arn)


async def test_whom_iam_does_not_know_becomes_nothing(cloud: Cloud) -> None:
    arn = await cloud.role("ops", trusts("*"))
    for name in ("system:service:key-manager", "system:worker:oak", "system:serviceaccount:default:robot"):
        with pytest.raises(ApiError):
            await cloud.assume(Principal(name, frozenset()), arn)


async def test_a_namespace_that_has_another_s_number_is_trusted_by_none(cloud: Cloud) -> None:
    """Account numbers are twelve digits of a hash: somebody may find a name that has the same."""
    arn = await cloud.role("ops", trusts(ROOT))
    forged = replace(cloud.by_key("boss"), namespace="looks-like-default")
    caller = cloud.sts.callers.caller(cloud.by_key("boss"))._replace(who=forged)
    with pytest.raises(Forbidden):
        await cloud.sts.roles.assume(caller, RoleSessionWanted(role_arn=arn, role_session_name="me"))


LETTERS = st.text(string.ascii_letters + string.digits + "_.:/=+-@", min_size=1, max_size=8)


@given(st.dictionaries(LETTERS, LETTERS, max_size=6), st.dictionaries(LETTERS, LETTERS, max_size=6), st.data())
def test_no_tag_of_a_session_hides_one_it_inherits(inherited: Json, given_: Json, data: Any) -> None:
    wanted = data.draw(st.lists(st.sampled_from(sorted(given_)), max_size=3)) if given_ else []
    try:
        found = checked_tags(given_, wanted, inherited)
    except BadRequest:
        lowered = [name.lower() for name in given_]
        clash = set(lowered) & {name.lower() for name in inherited} or len(set(lowered)) < len(lowered)
        assert clash or any(name.lower().startswith("aws:") for name in {**inherited, **given_})
        return
    assert {name: found.tags[name] for name in inherited} == inherited
    assert set(found.transitive) == {*inherited, *wanted} and {*found.tags} == {*inherited, *given_}
