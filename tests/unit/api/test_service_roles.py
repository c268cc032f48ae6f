"""Roles that managed services assume for people's resources: which, as whom, and who may give one to a Schedule."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from unit.api.components import HOW, make_house
from unit.api.test_sts import Cloud, allow, document, trusts

from api.auth.on_behalf import signer
from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.auth.sts.service_roles import ServiceRoles
from api.auth.sts.wanted import ServiceRoleWanted
from crds.errors import Forbidden, NotFound
from crds.kinds.iam import IAM_ROLE
from crds.kinds.service import SERVICE
from services.schedule_manager.events.kinds import EVENT_RULE
from services.schedule_manager.kinds import PRINCIPAL, SCHEDULE
from services.schedule_manager.manifest import MANIFEST
from services.sdk.aws.accounts import account_of
from services.storage_manager.manifest import MANIFEST as STORAGE

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
ACCOUNT = account_of("default")
GROUP_ARN = f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/default"
ED = Principal("ed", frozenset({"aerekos:editor", AUTHENTICATED}))
RULES = "/apis/aerekos.cloud/v1/namespaces/default/eventrules"
PLACE = "/apis/aerekos.cloud/v1/namespaces/default/schedules"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/caller"


class Scheduled(Cloud):
    """A cloud with schedules, whose service runs."""

    uid = ""

    async def begin(self) -> None:
        self.house.registry.catalog.add(SCHEDULE)
        self.house.registry.catalog.add(EVENT_RULE)
        self.assuming = ServiceRoles(self.sts.trust, self.sts.roles, self.house.clock, (MANIFEST, STORAGE))
        spec = {"managed": "key_manager"}
        body = {"metadata": {"name": "schedule-manager"}, "spec": spec}
        made = await self.house.registry.create(SERVICE, "default", body, HOW)
        assert made.record is not None
        self.uid = made.record.uid

    @property
    def service(self) -> Principal:
        return Principal(f"system:service:{MANIFEST.service_name}", frozenset({SERVICES}), uid=self.uid)

    async def take(self, arn: str, who: Principal | None = None, **more: Any) -> Principal:
        told = {"namespace": "default", "principal": PRINCIPAL, "source_arn": GROUP_ARN, **more}
        wanted = ServiceRoleWanted(role_arn=arn, role_session_name="schedule-manager", **told)
        return self.by_session(await self.assuming.assume(who or self.service, wanted))

    async def write(self, who: Principal, method: str, path: str, body: Json, sort: str = "json") -> int:
        content = {"content-type": f"application/{sort}"}
        async with self.house.client({**self.house.bearer(who), **content}) as client:
            return (await client.request(method, path, content=json.dumps(body))).status_code


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Scheduled]:
    made = Scheduled(await make_house(tmp_path))
    await made.begin()
    yield made
    await made.house.close()


async def test_a_service_has_what_the_role_may_and_no_more(cloud: Scheduled) -> None:
    arn = await cloud.role("caller", trusts({"Service": PRINCIPAL}), inline={"p": document(allow("sqs:SendMessage"))})
    who = await cloud.take(arn)
    assert (cloud.may(who, "sqs:SendMessage"), cloud.may(who, "sqs:DeleteQueue")) == (True, False)
    principal = cloud.told(who)["principal"]["arn"]
    assert principal == f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/schedule-manager"


async def test_a_role_that_does_not_trust_it_is_refused(cloud: Scheduled) -> None:
    for name, trust in (
        ("people", trusts(f"arn:aws:iam::{ACCOUNT}:root")),
        ("tasks", trusts({"Service": "ecs-tasks.amazonaws.com"})),
        ("other-group", trusts({"Service": PRINCIPAL}, ArnEquals={"aws:SourceArn": f"{GROUP_ARN}-x"})),
        ("other-account", trusts({"Service": PRINCIPAL}, StringEquals={"aws:SourceAccount": "123456789012"})),
    ):
        with pytest.raises(Forbidden):
            await cloud.take(await cloud.role(name, trust))
    with pytest.raises(Forbidden):
        await cloud.take(f"arn:aws:iam::{ACCOUNT}:role/gone")


async def test_conditions_on_whose_schedule_it_is_are_met(cloud: Scheduled) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnEquals": {"aws:SourceArn": GROUP_ARN}}
    arn = await cloud.role("caller", trusts({"Service": PRINCIPAL}, **condition))
    assert (await cloud.take(arn)).namespace == "default"


async def test_nobody_else_stands_for_the_scheduler(cloud: Scheduled) -> None:
    arn = await cloud.role("caller", trusts({"Service": PRINCIPAL}))
    for who in (
        Principal("system:service:key-manager", frozenset({SERVICES})),
        Principal("boss", frozenset({"aerekos:admin", AUTHENTICATED})),
        Principal(cloud.service.name, frozenset({SERVICES}), acting="boss"),
    ):
        with pytest.raises(Forbidden, match="does not stand for"):
            await cloud.take(arn, who)
    with pytest.raises(Forbidden, match="does not stand for"):
        await cloud.take(arn, principal="ecs-tasks.amazonaws.com")


async def test_who_is_only_known_by_policies_takes_no_role(cloud: Scheduled) -> None:
    arn = await cloud.role("caller", trusts({"Service": STORAGE.known_as}))
    storage = Principal(f"system:service:{STORAGE.service_name}", frozenset({SERVICES}))
    with pytest.raises(Forbidden, match="does not stand for"):
        await cloud.take(arn, storage, principal=STORAGE.known_as)


async def test_a_role_of_another_account_is_refused(cloud: Scheduled) -> None:
    arn = await cloud.role("caller", trusts({"Service": PRINCIPAL}), namespace="team-b")
    with pytest.raises(Forbidden):
        await cloud.take(arn)
    assert (await cloud.take(arn, namespace="team-b")).namespace == "team-b"


async def test_what_it_had_ends_with_the_role_and_with_the_service(cloud: Scheduled) -> None:
    arn = await cloud.role("caller", trusts({"Service": PRINCIPAL}))
    wanted = ServiceRoleWanted(
        role_arn=arn, role_session_name="s1", principal=PRINCIPAL, namespace="default", source_arn=GROUP_ARN
    )
    for kind, name in ((IAM_ROLE, "caller"), (SERVICE, "schedule-manager")):
        if cloud.house.store.get(IAM_ROLE.key("caller", "default")) is None:
            await cloud.role("caller", trusts({"Service": PRINCIPAL}))
        made = await cloud.assuming.assume(cloud.service, wanted)
        assert signer(cloud.house.accounts, made.issued.key.id)
        await cloud.house.registry.delete(kind, kind.key(name, "default"), HOW)
        with pytest.raises(NotFound):
            signer(cloud.house.accounts, made.issued.key.id)


def schedule(**target: Any) -> Json:
    wanted = {"arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", "roleArn": ROLE, **target}
    return {"metadata": {"name": "s"}, "spec": {"expression": "rate(1 day)", "target": wanted}}


async def test_an_editor_gives_no_schedule_a_role_nor_changes_what_one_does_with_it(cloud: Scheduled) -> None:
    await cloud.user("ed", "editor")
    await cloud.role("caller", trusts({"Service": PRINCIPAL}))
    assert await cloud.write(ED, "POST", PLACE, schedule()) == 403
    await cloud.house.registry.create(SCHEDULE, "default", schedule(), HOW)
    merge = "merge-patch+json"
    other = {"spec": {"target": {"arn": "arn:aws:scheduler:::aws-sdk:sqs:purgeQueue", "input": "{}"}}}
    assert await cloud.write(ED, "PATCH", f"{PLACE}/s", other, merge) == 403
    assert await cloud.write(ED, "PATCH", f"{PLACE}/s", {"spec": {"expression": "rate(1 minute)"}}, merge) == 403
    assert await cloud.write(ED, "PATCH", f"{PLACE}/s", {"spec": {"description": "x"}}, merge) == 200
    assert await cloud.write(ED, "POST", PLACE, schedule(arn="https://example.com/", roleArn="")) == 409


@pytest.mark.parametrize("target", ["x", ["x"], 3, {"arn": 3, "roleArn": ["x"]}, None])
async def test_a_target_of_another_type_is_refused_in_words(cloud: Scheduled, target: Any) -> None:
    await cloud.user("root", "admin")
    root = Principal("root", frozenset({"aerekos:admin", AUTHENTICATED}))
    body = {"metadata": {"name": "s"}, "spec": {"expression": "rate(1 day)", "target": target}}
    assert await cloud.write(root, "POST", PLACE, body) == 422


async def test_whom_a_policy_lets_pass_it_does(cloud: Scheduled) -> None:
    condition = {"StringEquals": {"iam:PassedToService": PRINCIPAL}}
    await cloud.user("ed", "editor", p=document(allow("iam:PassRole", ROLE, Condition=condition)))
    await cloud.role("caller", trusts({"Service": PRINCIPAL}))
    assert await cloud.write(ED, "POST", PLACE, schedule()) == 201


async def test_a_schedule_has_a_role_of_its_own_account(cloud: Scheduled) -> None:
    await cloud.user("root", "admin")
    root = Principal("root", frozenset({"aerekos:admin", AUTHENTICATED}))
    assert await cloud.write(root, "POST", PLACE, schedule(roleArn="arn:aws:iam::123456789012:role/caller")) == 422


async def test_an_event_rule_is_given_no_role_that_its_writer_may_not_pass(cloud: Scheduled) -> None:
    await cloud.user("ed", "editor")
    await cloud.user("root", "admin")
    await cloud.role("caller", trusts({"Service": "events.amazonaws.com"}))
    target = {"id": "t", "arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}
    for spec in (
        {"roleArn": ROLE, "targets": [target]},
        {"targets": [{**target, "roleArn": ROLE}]},
    ):
        body = {"metadata": {"name": "r"}, "spec": {"eventPattern": '{"source": ["s"]}', **spec}}
        assert await cloud.write(ED, "POST", RULES, body) == 403
    root = Principal("root", frozenset({"aerekos:admin", AUTHENTICATED}))
    other = {**target, "roleArn": "arn:aws:iam::123456789012:role/caller"}
    body = {"metadata": {"name": "r"}, "spec": {"eventPattern": '{"source": ["s"]}', "targets": [other]}}
    assert await cloud.write(root, "POST", RULES, body) == 422
    for targets in (3, ["x"], [{"id": 3}], {"a": 1}):
        body["spec"]["targets"] = targets
        assert await cloud.write(root, "POST", RULES, body) == 422
