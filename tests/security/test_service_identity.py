"""A bug in one service is a bug in that one: its credential names nobody else, and what it does for its callers it
does with their own identity, as they are now, and no more than its manifest says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from unit.api.components import HOW, House, make_house

from api.auth.authorizer import Action, Authorizer
from api.auth.on_behalf import Identities, signer
from api.auth.principal import AUTHENTICATED, MASTERS, SERVICES, Principal
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.access_key import ACCESS_KEY
from crds.kinds.iam import IAM_KINDS
from crds.kinds.temporary_credential import TEMPORARY_CREDENTIAL
from crds.kinds.user import USER
from crds.managed import Grant, ManagedService
from services.key_manager.manifest import MANIFEST as KMS
from services.sdk.discovery import managed_service, managed_services
from services.storage_manager.manifest import MANIFEST as STORAGE

pytestmark = pytest.mark.anyio
MINE = "system:service:key-manager"
SERVICE = Principal(MINE, frozenset({SERVICES, AUTHENTICATED}))
OTHER = Principal("system:service:storage-manager", frozenset({SERVICES, AUTHENTICATED}))
MAPS = "/api/v1/namespaces/default/configmaps"
SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ACTING = ManagedService(
    "key_manager", "Keys", "", "x:y", speaks=("kms",), grants=(Grant("configmaps", ("get", "list"), ""),),
    acts=(Grant("configmaps", ("get", "create"), ""), Grant("keys", ("use",))),
)  # fmt: skip


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for name, role in (("ann", "editor"), ("vic", "viewer"), ("root", "admin")):
        await made.add_user(name, role)
    await made.add_service("key-manager")
    made.authorizer._acts[MINE] = Authorizer(Catalog(CORE_KINDS), (ACTING,))._acts[MINE]
    yield made
    await made.close()


def token_of(house: House, name: str, audience: str = "key-manager") -> str:
    """What the gateway gives a service beside a request that `name` signed."""
    who = signer(house.accounts, house.accounts.access_key(name).id).who
    return Identities(house.tokens, house.clock).token(who, audience).decode()


def client_for(house: House, token: str, actor: Principal = SERVICE, **headers: str) -> httpx.AsyncClient:
    return house.client({**house.bearer(actor), "x-aerekos-on-behalf-of": token, **headers})


async def test_the_caller_s_own_token_makes_the_request_theirs(house: House) -> None:
    body = {"metadata": {"name": "settings"}, "data": {}}
    async with client_for(house, token_of(house, "ann")) as client:
        assert (await client.get("/auth/whoami")).json()["name"] == "ann"
        assert (await client.post(MAPS, json=body)).status_code == 201
    (record,) = house.store.list("", "configmaps").records
    assert record.written_by == f"ann (by {MINE})"


async def test_a_service_does_no_more_for_a_caller_than_its_manifest_says(house: House) -> None:
    """ann may delete config maps and read secrets; root may do everything. Through this service they may not."""
    await house.registry.create(*_config_map("settings"))
    for name in ("ann", "root"):
        async with client_for(house, token_of(house, name)) as client:
            assert (await client.delete(f"{MAPS}/settings")).status_code == 403
            assert (await client.get("/api/v1/namespaces/default/secrets")).status_code == 403
            assert (await client.get("/apis/aerekos.cloud/v1/users")).status_code == 403
            assert (await client.get(f"{MAPS}/settings")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/auth/access-key", None),
        ("POST", "/auth/access-keys", {}),
        ("GET", "/auth/access-keys?user=ann", None),
        ("GET", "/auth/sessions?user=ann", None),
        ("POST", "/auth/password", {"username": "ann", "password": "a-password-of-the-service"}),
        ("POST", "/auth/logout-all", {"username": "ann"}),
        ("POST", "/auth/totp/remove", {"username": "ann"}),
        ("POST", "/auth/keys/rotate", {"revoke": True}),
        ("GET", "/v2/token", None),
        ("GET", "/audit", None),
        ("GET", "/logs/default/key-manager", None),
    ],
)
async def test_what_asks_for_no_right_is_not_done_for_others(house: House, method: str, path: str, body: Any) -> None:
    """These believe the name or the groups of who asks: through a service, everything would be open there."""
    session = {"sid": house.pretended_session("root")}
    signed_in = house.tokens.issue(Principal("root", frozenset()), seconds=300, audience="key-manager", **session)
    for token in (token_of(house, "root"), signed_in):
        async with client_for(house, token) as client:
            answer = await client.request(method, path, json=body)
        assert answer.status_code == 403, answer.text


async def test_a_caller_may_no_more_through_a_service_than_alone(house: House) -> None:
    async with client_for(house, token_of(house, "vic")) as client:
        assert (await client.post(MAPS, json={"metadata": {"name": "x"}})).status_code == 403


async def test_what_counts_is_who_they_are_now(house: House) -> None:
    token = token_of(house, "ann")
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"roles": ["viewer"]}}, HOW)
    async with client_for(house, token) as client:
        assert (await client.post(MAPS, json={"metadata": {"name": "x"}})).status_code == 403
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"disabled": True}}, HOW)
    async with client_for(house, token) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


async def test_a_user_made_anew_is_another(house: House) -> None:
    token = token_of(house, "vic")
    await house.registry.delete(USER, USER.key("vic"), HOW)
    await house.add_user("vic", "admin")
    async with client_for(house, token) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


async def test_a_token_for_another_service_is_worth_nothing(house: House) -> None:
    async with client_for(house, token_of(house, "ann", "storage-manager")) as client:
        assert (await client.get("/auth/whoami")).status_code == 401
    async with client_for(house, token_of(house, "ann"), OTHER) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


async def test_it_lives_five_minutes(house: House) -> None:
    token = token_of(house, "ann")
    house.clock.forward(299)
    async with client_for(house, token) as client:
        assert (await client.get("/auth/whoami")).status_code == 200
    house.clock.forward(2)
    async with client_for(house, token) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


async def test_a_token_that_lives_longer_is_none(house: House) -> None:
    """Such as one that /auth/token gives for any audience."""
    lasting = house.tokens.issue(SERVICE, seconds=600, audience="key-manager")
    async with client_for(house, lasting) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"impersonate-user": "ann"},
        {"impersonate-user": "ann", "impersonate-group": "system:masters"},
        {"impersonate-user": "root", "impersonate-group": "aerekos:admin"},
        {"impersonate-user": "system:serviceaccount:default:x"},
        {"impersonate-user": "system:conductor"},
    ],
)
async def test_services_impersonate_nobody_and_the_try_is_noted(house: House, headers: dict[str, str]) -> None:
    async with house.client({**house.bearer(SERVICE), **headers}) as client:
        assert (await client.get("/auth/whoami")).status_code == 403
        assert (await client.get("/api/v1/namespaces/default/secrets")).status_code == 403
    house.audit.tick()
    _, lines = house.audit.since(0)
    assert any(MINE.encode() in line and b'"code":403' in line for line in lines)


async def test_nor_does_the_token_mix_with_impersonation(house: House) -> None:
    for more in ({"impersonate-user": "root"}, {"impersonate-group": "system:masters"}):
        async with client_for(house, token_of(house, "ann"), **more) as client:
            assert (await client.get("/auth/whoami")).status_code == 400


@pytest.mark.parametrize("name", ["ann", "root"])
async def test_people_and_admins_cannot_use_somebody_s_identity(house: House, name: str) -> None:
    user = house.accounts.user(name)
    assert user is not None
    async with house.client({**house.bearer(Principal(name, frozenset())),
                             "x-aerekos-on-behalf-of": token_of(house, "ann")}) as client:  # fmt: skip
        assert (await client.get("/auth/whoami")).status_code == 403


async def test_rights_are_asked_in_the_caller_s_name_only(house: House) -> None:
    wanted = {"verb": "create", "group": "", "resource": "configmaps", "namespace": "default"}
    body = {"spec": {"resourceAttributes": wanted}}

    async def allowed(name: str) -> bool:
        async with client_for(house, token_of(house, name)) as client:
            return bool((await client.post(SELF_REVIEWS, json=body)).json()["status"]["allowed"])

    assert await allowed("ann") and not await allowed("vic")
    async with house.client(house.bearer(SERVICE)) as client:  # and nobody's else without their token
        about = {"spec": {"user": "ann", **body["spec"]}}
        assert (await client.post(SELF_REVIEWS.replace("selfs", "s"), json=about)).status_code == 403


# Signing keys.


def wanted_key(house: House, name: str, **more: str) -> dict[str, str]:
    today = house.clock.now().strftime("%Y%m%d")
    own = {"accessKeyId": house.accounts.access_key(name).id, "date": today, "region": "us-east-1", "service": "kms"}
    return {**own, **more}


async def ask_key(house: House, token: str, wanted: dict[str, str], actor: Principal = SERVICE) -> int:
    async with client_for(house, token, actor) as client:
        return (await client.post("/auth/signing-keys", json=wanted)).status_code


async def test_a_signing_key_is_for_the_request_at_hand(house: House) -> None:
    token, now = token_of(house, "ann"), house.clock.now()
    assert await ask_key(house, token, wanted_key(house, "ann")) == 200
    assert await ask_key(house, token, wanted_key(house, "root")) == 403
    assert await ask_key(house, token, wanted_key(house, "ann", service="s3")) == 403
    for days, code in ((-1, 200), (1, 200), (-2, 403), (2, 403), (-365, 403)):
        date = (now + timedelta(days=days)).strftime("%Y%m%d")
        assert await ask_key(house, token, wanted_key(house, "ann", date=date)) == code, days


async def test_no_signing_key_without_a_signed_request(house: House) -> None:
    bearer = house.tokens.issue(
        Principal("ann", frozenset()), seconds=300, audience="key-manager", sid=house.pretended_session("ann")
    )
    assert await ask_key(house, bearer, wanted_key(house, "ann")) == 403
    async with house.client(house.bearer(SERVICE)) as client:
        assert (await client.post("/auth/signing-keys", json=wanted_key(house, "ann"))).status_code == 403


# Chains: a service that asks another on behalf of its caller.


async def test_each_service_of_a_chain_narrows_and_none_prolongs(house: House) -> None:
    first = token_of(house, "ann", "storage-manager")
    house.clock.forward(200)
    asked = {
        b"authorization": house.bearer(OTHER)["authorization"].encode(),
        b"x-aerekos-on-behalf-of": first.encode(),
    }
    who = house.authenticator.authenticate({"path": "/services/key-manager/", "headers": list(asked.items())})
    assert (who.name, who.actors) == ("ann", (OTHER.name,))
    second = Identities(house.tokens, house.clock).token(who, "key-manager").decode()
    claims = house.tokens.claims(second, "key-manager")
    assert claims["act"] == {"sub": OTHER.name} and claims["akid"]
    assert claims["exp"] <= house.tokens.claims(first, "storage-manager")["exp"]
    house.authorizer._acts[OTHER.name] = Authorizer(Catalog(CORE_KINDS), (STORAGE,))._acts[OTHER.name]
    async with client_for(house, second) as client:
        assert (await client.get("/auth/whoami")).json()["name"] == "ann"
        assert (await client.get(f"{MAPS}/x")).status_code == 403  # storage-manager does nothing with config maps
    assert await ask_key(house, second, wanted_key(house, "ann")) == 403  # ann signed for s3, not for kms


async def test_services_reach_only_those_they_need(house: House) -> None:
    async with house.client(house.bearer(OTHER)) as client:
        assert (await client.get("/services/key-manager/")).status_code == 403


@pytest.mark.parametrize("name", ["api", "registry", "refresh"])
async def test_no_service_is_told_a_token_that_opens_a_door_of_our_own(house: House, name: str) -> None:
    """Whoever visits a Service of such a name, made before it was kept, would leave their API token there."""
    async with house.client(house.bearer(Principal("root", frozenset()))) as client:
        answer = await client.get(f"/services/{name}/")
    assert answer.status_code == 403 and "stands for the cloud itself" in answer.json()["message"]


# What the manifests we ship say.


@pytest.mark.parametrize("manifest", managed_services(), ids=lambda each: each.name)
def test_a_service_acts_on_what_is_its_own_and_what_its_callers_may_use(manifest: ManagedService) -> None:
    its_kinds = [*manifest.kinds]
    if manifest.stands_in_for and (other := managed_service(manifest.stands_in_for)) is not None:
        its_kinds += other.kinds  # a copy serves what that one does
    own = {kind.plural for kind in its_kinds if not kind.internal}
    if "iam" in manifest.speaks:  # identities are the conductor's, and this is how callers write them
        own |= {kind.plural for kind in (USER, ACCESS_KEY, TEMPORARY_CREDENTIAL, *IAM_KINDS)}
    for grant in manifest.acts:
        assert grant.kind in own or grant.verbs == ("use",), grant
        assert "*" not in (*grant.verbs, grant.kind)


def test_no_service_may_use_what_its_manifest_does_not_name() -> None:
    catalog = Catalog(CORE_KINDS)
    for kind in (*KMS.kinds, *STORAGE.kinds):
        catalog.add(kind)
    authorizer = Authorizer(catalog, (KMS, STORAGE))
    group = "aerekos.cloud"
    assert authorizer.allows(OTHER, Action("use", group, "keys", "default", "k"))
    assert not authorizer.allows(SERVICE, Action("use", group, "buckets", "default", "b"))
    assert not authorizer.allows(OTHER, Action("get", group, "keymaterials", "default", "m"))
    acted = Principal("root", frozenset({MASTERS}), acting=MINE, actors=(MINE,))
    assert not authorizer.allows(acted, Action("get", group, "keymaterials", "default", "m"))
    for verb in ("create", "update", "patch", "delete"):
        assert not authorizer.allows(acted, Action(verb, group, "users", "", "eve"))
    unknown = Principal("root", frozenset({MASTERS}), acting="system:service:gone", actors=("system:service:gone",))
    assert not authorizer.allows(unknown, Action("get", group, "keys", "default", "k"))


def _config_map(name: str) -> tuple[Any, str, dict[str, Any], Any]:
    from crds.kinds.config_map import CONFIG_MAP

    return CONFIG_MAP, "default", {"metadata": {"name": name}, "data": {}}, HOW
