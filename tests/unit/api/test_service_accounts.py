"""Service accounts: their tokens, what those open, and when they end."""

from __future__ import annotations

from typing import Any

import pytest
from unit.api.components import ADMIN, House

from api.auth.principal import AUTHENTICATED, Principal
from api.auth.tokens import Tokens

pytestmark = pytest.mark.anyio
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
AUTHORIZATION, AUTHENTICATION = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
ROBOT = "system:serviceaccount:default:robot"


async def make_robot(house: House) -> None:
    """A service account that may read config maps."""
    role = {
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    }
    bound = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }  # fmt: skip
    for path, body in (
        (ACCOUNTS, {"metadata": {"name": "robot"}}),
        (f"{RBAC}/roles", role),
        (f"{RBAC}/rolebindings", bound),
    ):
        assert (await asked(house, "POST", path, body)).status_code == 201


async def asked(house: House, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
    async with house.client(headers or house.bearer(ADMIN)) as client:
        return await client.request(method, path, json=body)


async def token_of(house: House, **spec: Any) -> str:
    answer = await asked(house, "POST", f"{ACCOUNTS}/robot/token", {"spec": spec})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["status"]["token"])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_opens_what_the_account_was_given_and_no_more(house: House) -> None:
    await make_robot(house)
    headers = bearer(await token_of(house))
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 200
    assert (await asked(house, "POST", MAPS, {"metadata": {"name": "x"}}, headers)).status_code == 403
    assert (await asked(house, "GET", "/api/v1/configmaps", headers=headers)).status_code == 403
    me = (await asked(house, "POST", f"{AUTHENTICATION}/selfsubjectreviews", {}, headers)).json()
    told = me["status"]["userInfo"]
    assert told["username"] == ROBOT and told["uid"]
    assert told["groups"] == [AUTHENTICATED, "system:serviceaccounts", "system:serviceaccounts:default"]


async def test_it_says_when_it_ends_and_ends_then(house: House) -> None:
    await make_robot(house)
    answer = (await asked(house, "POST", f"{ACCOUNTS}/robot/token", {"spec": {"expirationSeconds": 600}})).json()
    assert (answer["kind"], answer["spec"]["expirationSeconds"]) == ("TokenRequest", 600)
    assert answer["status"]["expirationTimestamp"] > answer["metadata"]["creationTimestamp"]
    headers = bearer(answer["status"]["token"])
    house.clock.forward(599)
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 200
    house.clock.forward(2)
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 401


async def test_it_dies_with_its_account_even_when_that_is_made_again(house: House) -> None:
    await make_robot(house)
    headers = bearer(await token_of(house))
    await asked(house, "DELETE", f"{ACCOUNTS}/robot")
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 401
    await asked(house, "POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 401
    assert (await asked(house, "GET", MAPS, headers=bearer(await token_of(house)))).status_code == 200


async def test_without_the_account_s_uid_our_signature_proves_nothing(house: House) -> None:
    await make_robot(house)
    tokens: Tokens = house.tokens
    forged = tokens.issue(Principal(ROBOT, frozenset()), seconds=600)
    assert (await asked(house, "GET", MAPS, headers=bearer(forged))).status_code == 401


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"expirationSeconds": 599}, "spec.expirationSeconds"),
        ({"expirationSeconds": 10**9}, "spec.expirationSeconds"),
        ({"expirationSeconds": "600"}, "spec.expirationSeconds"),
        ({"audiences": ["key-manager"]}, "spec.audiences"),
        ({"audiences": ["refresh"]}, "spec.audiences"),
        ({"boundObjectRef": {"kind": "Pod", "name": "x"}}, "spec.boundObjectRef"),
    ],
)
async def test_what_a_token_cannot_be_is_refused(house: House, spec: dict[str, Any], field: str) -> None:
    await make_robot(house)
    answer = await asked(house, "POST", f"{ACCOUNTS}/robot/token", {"spec": spec})
    assert answer.status_code == 422
    assert answer.json()["details"]["causes"][0]["field"] == field


async def test_only_for_accounts_that_exist_and_never_to_be_read(house: House) -> None:
    assert (await asked(house, "POST", f"{ACCOUNTS}/nobody/token", {})).status_code == 404
    await make_robot(house)
    for method in ("GET", "PUT", "DELETE"):
        assert (await asked(house, method, f"{ACCOUNTS}/robot/token")).status_code == 405
    assert (await asked(house, "GET", f"{ACCOUNTS}/robot")).status_code == 200
    rehearsed = (await asked(house, "POST", f"{ACCOUNTS}/robot/token?dryRun=All", {})).json()
    assert rehearsed["status"]["token"] == ""


@pytest.mark.parametrize(("role", "code"), [("admin", 201), ("editor", 403), ("viewer", 403)])
async def test_editors_do_not_become_whoever_an_admin_trusted(house: House, role: str, code: int) -> None:
    await make_robot(house)
    await house.add_user("somebody", role)
    headers = house.bearer(Principal("somebody", frozenset({f"aerekos:{role}"})))
    assert (await asked(house, "POST", f"{ACCOUNTS}/robot/token", {}, headers)).status_code == code


async def test_acting_for_an_account_brings_its_groups(house: House) -> None:
    await make_robot(house)
    headers = house.bearer(ADMIN) | {"impersonate-user": ROBOT}
    told = (await asked(house, "POST", f"{AUTHENTICATION}/selfsubjectreviews", {}, headers)).json()["status"]
    assert "system:serviceaccounts:default" in told["userInfo"]["groups"]
    assert (await asked(house, "GET", MAPS, headers=headers)).status_code == 200


async def test_a_token_review_says_whose_it_is_or_why_not(house: House) -> None:
    await make_robot(house)
    path = f"{AUTHENTICATION}/tokenreviews"
    good = (await asked(house, "POST", path, {"spec": {"token": await token_of(house)}})).json()["status"]
    assert good["authenticated"] is True and good["user"]["username"] == ROBOT
    for spec in ({"token": "nonsense"}, {"token": await token_of(house), "audiences": ["vault"]}):
        bad = (await asked(house, "POST", path, {"spec": spec})).json()["status"]
        assert bad["authenticated"] is False and bad["error"]
    assert (await asked(house, "POST", path, {"spec": {"token": 3}})).status_code == 422


async def test_a_local_review_speaks_of_its_own_namespace(house: House) -> None:
    await make_robot(house)
    path = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"
    wanted = {"verb": "list", "resource": "configmaps", "namespace": "default"}
    asking = {"spec": {"user": ROBOT, "resourceAttributes": wanted}}
    assert (await asked(house, "POST", path, asking)).json()["status"] == {"allowed": True}
    elsewhere = {"spec": {"user": ROBOT, "resourceAttributes": {**wanted, "namespace": "other"}}}
    assert (await asked(house, "POST", path, elsewhere)).status_code == 422
    for wrong in (f"{AUTHORIZATION}/localsubjectaccessreviews", f"{AUTHORIZATION}/namespaces/x/subjectaccessreviews"):
        assert (await asked(house, "POST", wrong, asking)).status_code == 404
