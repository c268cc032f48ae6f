"""What the conductor tells a service of its caller's policies: those that count now, of this account alone."""

from __future__ import annotations

from typing import Any

import pytest
from unit.api.components import HOW, House

from api.auth.iam_policies import IamPolicies
from api.auth.principal import MASTERS, Principal
from crds.kind import Kind
from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_USER
from crds.kinds.namespace import NAMESPACE
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import resource_name

pytestmark = pytest.mark.anyio
ACCOUNT = account_of("team-a")
OWN = f"arn:aws:iam::{ACCOUNT}:policy/p/Own_1"
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ANN = Principal("ann", frozenset(), "team-a")


async def make(house: House, kind: Kind[Any], name: str, where: str = "team-a", **spec: Any) -> None:
    if house.store.get(NAMESPACE.key(where)) is None:
        await house.registry.create(NAMESPACE, "", {"metadata": {"name": where}}, HOW)
    await house.registry.create(kind, where, {"metadata": {"name": name}, "spec": spec}, HOW)


def versions(*documents: str) -> list[dict[str, Any]]:
    made = "2026-01-01T00:00:00Z"
    return [{"number": n, "document": each, "createdAt": made} for n, each in enumerate(documents, 1)]


async def test_a_user_has_their_own_policies_and_those_of_their_groups(house: House) -> None:
    await house.add_user("ann", namespace="team-a")
    name, both = resource_name("Own_1"), versions("first", "second")
    await make(house, IAM_POLICY, name, policyName="Own_1", path="/p/", versions=both, defaultVersion=2)
    await make(house, IAM_GROUP, "devs", groupName="devs", inline={"g": "of the group"})
    await make(
        house, IAM_USER, "ann", userName="Ann", path="/x/", inline={"u": "own"}, attached=[OWN, READ, f"{OWN}-gone"],
        groups=["devs", "no-such-group"], boundary=OWN, tags={"a": "b"},
    )  # fmt: skip
    told = IamPolicies(house.store).of(ANN)
    assert told["user"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/x/Ann"
    assert (told["user"]["account"], told["user"]["tags"]) == (ACCOUNT, {"a": "b"})
    named = {each["name"]: each["document"] for each in told["identity"]}
    assert list(named) == ["u", OWN, READ, f"{OWN}-gone", "g"]
    assert (named["u"], named[OWN], named[f"{OWN}-gone"], named["g"]) == ("own", "second", "", "of the group")
    assert '"Statement"' in named[READ]
    assert told["boundary"] == {"name": OWN, "document": "second"}


async def test_the_same_name_in_another_account_says_nothing(house: House) -> None:
    await house.add_user("ann", namespace="team-a")
    await make(house, IAM_USER, "ann", "team-b", userName="ann", inline={"u": "of another"})
    told = IamPolicies(house.store).of(ANN)
    assert (told["identity"], told["boundary"]) == ([], None)
    assert told["user"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"


NOBODY = [
    Principal("system:service:x", frozenset()),
    Principal("ann", frozenset({MASTERS})),
    Principal("eve", frozenset()),
]


@pytest.mark.parametrize("who", NOBODY)
async def test_whoever_is_no_user_has_no_policies(house: House, who: Principal) -> None:
    await house.add_user("ann", namespace="team-a")
    assert IamPolicies(house.store).of(who)["user"] is None


async def test_what_changes_counts_at_once(house: House) -> None:
    await house.add_user("ann", namespace="team-a")
    policies = IamPolicies(house.store)
    assert policies.of(ANN)["identity"] == []
    await make(house, IAM_USER, "ann", userName="ann", inline={"u": "own"})
    assert policies.of(ANN)["identity"] == [{"name": "u", "document": "own"}]
    await house.registry.merge(IAM_USER, IAM_USER.key("ann", "team-a"), {"spec": {"inline": {"u": None}}}, HOW)
    assert policies.of(ANN)["identity"] == []
