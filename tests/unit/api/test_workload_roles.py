"""Services with a role: whose token gets its credentials, for how long, and who may give a Service a role."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from unit.api.components import HOW, make_house
from unit.api.test_sts import Cloud, allow, document, trusts

from api.auth.on_behalf import signer
from api.auth.principal import AUTHENTICATED, Principal
from api.role_credentials import role_credentials_app
from crds.errors import NotFound
from crds.kinds.iam import IAM_ROLE, IAM_USER
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING
from crds.kinds.service import SERVICE
from services.sdk.aws.accounts import account_of

pytestmark = pytest.mark.anyio
TASKS = trusts({"Service": "ecs-tasks.amazonaws.com"})
ROLE_ARN = f"arn:aws:iam::{account_of('default')}:role/jobs"
Json = dict[str, Any]
ED = Principal("ed", frozenset({"aerekos:editor", AUTHENTICATED}))


class Workloads(Cloud):
    """A cloud with a role that programs may have."""

    async def service(self, name: str = "job", role: str | None = "jobs", **spec: Any) -> str:
        """Its token."""
        given = {"command": ["/bin/true"], **({"role": role} if role else {}), **spec}
        body = {"metadata": {"name": name}, "spec": given}
        made = await self.house.registry.create(SERVICE, "default", body, HOW)
        assert made.record is not None
        return self.sts.workloads.token("default", name, made.record.uid)

    async def ask(self, token: str, path: str = "/services/default/job", **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=role_credentials_app(self.sts.workloads))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(more.pop("method", "GET"), path, headers={"authorization": token}, **more)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Workloads]:
    made = Workloads(await make_house(tmp_path))
    await made.role("jobs", TASKS, inline={"p": document(allow("s3:GetObject"))})
    yield made
    await made.house.close()


async def test_a_service_gets_what_its_role_may(cloud: Workloads) -> None:
    answer = await cloud.ask(await cloud.service())
    told = answer.json()
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert told["RoleArn"] == ROLE_ARN and told["AccessKeyId"].startswith("ASIA")
    owner = signer(cloud.house.accounts, told["AccessKeyId"])
    assert (owner.secret, owner.token) == (told["SecretAccessKey"], told["Token"])
    assert (cloud.may(owner.who, "s3:GetObject"), cloud.may(owner.who, "s3:PutObject")) == (True, False)
    arn = cloud.told(owner.who)["principal"]["arn"]
    assert arn == f"arn:aws:sts::{account_of('default')}:assumed-role/jobs/default.job"


async def test_nobody_else_s_token_gets_them(cloud: Workloads) -> None:
    mine, other = await cloud.service(), await cloud.service("other")
    for token, path in (
        (other, "/services/default/job"),
        (mine, "/services/default/other"),
        (mine, "/services/team-b/job"),
        (mine[:-1], "/services/default/job"),
        ("", "/services/default/job"),
        ("x" * 300, "/services/default/job"),
        (mine, "/services/default/gone"),
    ):
        assert (await cloud.ask(token, path)).status_code == 401, path
    for path in (
        "/",
        "/services/default",
        "/services/default/job/x",
        "/services/default/job?x=1",
        "/latest/meta-data",
    ):
        assert (await cloud.ask(mine, path)).status_code == 404, path
    assert (await cloud.ask(mine, method="POST")).status_code == 404


async def test_a_service_of_that_name_made_later_has_another_token(cloud: Workloads) -> None:
    before = await cloud.service()
    await cloud.house.registry.delete(SERVICE, SERVICE.key("job", "default"), HOW)
    after = await cloud.service()
    assert before != after
    assert [(await cloud.ask(each)).status_code for each in (before, after)] == [401, 200]


async def test_one_credential_lasts_for_half_of_its_life_and_the_next_one_is_there_before_it_ends(
    cloud: Workloads,
) -> None:
    token = await cloud.service()
    first = (await cloud.ask(token)).json()
    cloud.house.clock.forward(1799)
    assert (await cloud.ask(token)).json() == first
    cloud.house.clock.forward(2)
    second = (await cloud.ask(token)).json()
    assert second["AccessKeyId"] != first["AccessKeyId"]
    for each in (first, second):
        ends_at = signer(cloud.house.accounts, each["AccessKeyId"]).ends_at
        assert ends_at is not None and ends_at > cloud.house.clock.now()


async def lose_role(cloud: Workloads) -> None:
    await cloud.house.registry.merge(SERVICE, SERVICE.key("job", "default"), {"spec": {"role": None}}, HOW)


async def get_another_role(cloud: Workloads) -> None:
    await cloud.role("other", TASKS)
    await cloud.house.registry.merge(SERVICE, SERVICE.key("job", "default"), {"spec": {"role": "other"}}, HOW)


async def lose_the_role_itself(cloud: Workloads) -> None:
    await cloud.house.registry.delete(IAM_ROLE, IAM_ROLE.key("jobs", "default"), HOW)


async def be_deleted(cloud: Workloads) -> None:
    await cloud.house.registry.delete(SERVICE, SERVICE.key("job", "default"), HOW)


@pytest.mark.parametrize("end", [lose_role, get_another_role, lose_the_role_itself, be_deleted])
async def test_what_a_service_had_ends_with_its_role(cloud: Workloads, end: Any) -> None:
    told = (await cloud.ask(await cloud.service())).json()
    await end(cloud)
    with pytest.raises(NotFound):
        signer(cloud.house.accounts, told["AccessKeyId"])


async def test_a_revoked_credential_is_not_handed_out_again(cloud: Workloads) -> None:
    token = await cloud.service()
    first = (await cloud.ask(token)).json()["AccessKeyId"]
    await cloud.sts.temporary.revoke(first, by="test")
    assert (await cloud.ask(token)).json()["AccessKeyId"] != first


async def test_a_role_that_does_not_trust_programs_gives_nothing(cloud: Workloads) -> None:
    await cloud.role("people", trusts(f"arn:aws:iam::{account_of('default')}:root"))
    answer = await cloud.ask(await cloud.service("other", "people"), "/services/default/other")
    assert answer.status_code == 403 and "ecs-tasks.amazonaws.com" in answer.text
    answer = await cloud.ask(await cloud.service("bare", None), "/services/default/bare")
    assert answer.status_code == 404


async def write(cloud: Workloads, who: Principal, method: str, path: str, body: Json, sort: str = "json") -> int:
    """The code of a write by that person, by the API."""
    content = {"content-type": f"application/{sort}"}
    async with cloud.house.client({**cloud.house.bearer(who), **content}) as client:
        return (await client.request(method, path, content=json.dumps(body))).status_code


PLACE = "/apis/aerekos.cloud/v1/namespaces/default/services"
MERGE = "merge-patch+json"


def manifest(**spec: Any) -> Json:
    return {"metadata": {"name": "job"}, "spec": {"command": ["/bin/true"], **spec}}


async def test_an_editor_gives_no_service_a_role(cloud: Workloads) -> None:
    await cloud.user("ed", "editor")
    assert await write(cloud, ED, "POST", PLACE, manifest(role="jobs")) == 403
    assert await write(cloud, ED, "POST", PLACE, manifest(role="no-such-role")) == 403
    assert await write(cloud, ED, "POST", PLACE, manifest()) == 201
    assert await write(cloud, ED, "PATCH", f"{PLACE}/job", {"spec": {"role": "jobs"}}, MERGE) == 403
    apply = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", **manifest(role="jobs")}
    assert await write(cloud, ED, "PATCH", f"{PLACE}/job?fieldManager=x&force=true", apply, "apply-patch+yaml") == 403


async def test_nor_changes_what_runs_with_one(cloud: Workloads) -> None:
    """Whoever changes the command, the files or the variables has the credentials as well."""
    await cloud.user("ed", "editor")
    await cloud.service()
    for change in (
        {"command": ["/bin/sh", "-c", "cat /run/aerekos/role-token"]},
        {"env": [{"name": "PYTHONSTARTUP", "value": "/x"}]},
        {"files": [{"path": "/srv/x", "content": "x"}]},
    ):
        assert await write(cloud, ED, "PATCH", f"{PLACE}/job", {"spec": change}, MERGE) == 403, change
    shown = "/apis/apps/v1/namespaces/default/deployments/job"
    named = {"spec": {"template": {"spec": {"containers": [{"name": "job", "env": [{"name": "A", "value": "b"}]}]}}}}
    assert await write(cloud, ED, "PATCH", shown, named, "strategic-merge-patch+json") == 403
    assert await write(cloud, ED, "PATCH", f"{PLACE}/job", {"spec": {"replicas": 2}}, MERGE) == 200
    assert await write(cloud, ED, "PATCH", f"{PLACE}/job", {"spec": {"role": None}}, MERGE) == 200


async def test_whoever_may_use_the_role_passes_it(cloud: Workloads) -> None:
    await cloud.user("ed", "editor")
    rule = {"verbs": ["use"], "apiGroups": ["aerekos.cloud"], "resources": ["iamroles"], "resourceNames": ["jobs"]}
    await cloud.house.registry.create(CLUSTER_ROLE, "", {"metadata": {"name": "passes"}, "rules": [rule]}, HOW)
    group = "rbac.authorization.k8s.io"
    bound = {"roleRef": {"kind": "ClusterRole", "name": "passes", "apiGroup": group}, "subjects": [
        {"kind": "User", "name": "ed", "apiGroup": group}]}  # fmt: skip
    await cloud.house.registry.create(CLUSTER_ROLE_BINDING, "", {"metadata": {"name": "ed"}, **bound}, HOW)
    await cloud.role("other", TASKS)
    assert await write(cloud, ED, "POST", PLACE, manifest(role="other")) == 403
    assert await write(cloud, ED, "POST", PLACE, manifest(role="jobs")) == 201


async def test_a_policy_that_passes_it_does_as_well_and_a_deny_wins(cloud: Workloads) -> None:
    passes = allow(
        "iam:PassRole", ROLE_ARN, Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    )
    await cloud.user("ed", "editor", p=document(passes))
    assert await write(cloud, ED, "POST", PLACE, manifest(role="jobs")) == 201
    deny = {"spec": {"inline": {"p": document(passes, {**allow("iam:PassRole"), "Effect": "Deny"})}}}
    await cloud.house.registry.merge(IAM_USER, IAM_USER.key("ed", "default"), deny, HOW)
    assert await write(cloud, ED, "PATCH", f"{PLACE}/job", {"spec": {"args": ["x"]}}, MERGE) == 403


async def test_what_cannot_have_a_role_is_refused(cloud: Workloads) -> None:
    await cloud.user("root", "admin")
    root = Principal("root", frozenset({"aerekos:admin", AUTHENTICATED}))
    for wrong in (
        {"command": [], "managed": "key_manager", "role": "jobs"},
        {"role": "jobs", "files": [{"path": "/run/aerekos/role-token", "content": "x"}]},
        {"role": "jobs", "env": [{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://x"}]},
        {"role": "no role/"},
    ):
        assert await write(cloud, root, "POST", PLACE, manifest(**wrong)) in (409, 422), wrong
    assert await write(cloud, root, "POST", PLACE, manifest(role="jobs")) == 201
