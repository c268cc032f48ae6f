"""Roles by a web identity: a service account of this cloud, and an issuer that the role's account knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt
from unit.api.components import ADMIN, HOW, House, make_house
from unit.api.test_sts import Cloud, allow, document, trusts

from api.auth.on_behalf import signer
from api.auth.sts.wanted import WebIdentityWanted
from api.auth.sts.web_identity import WebIdentitySession
from crds.errors import ApiError, NotFound
from crds.kinds.oidc_provider import OIDC_PROVIDER
from crds.kinds.service_account import SERVICE_ACCOUNT
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import resource_name

pytestmark = pytest.mark.anyio
ACCOUNT = account_of("default")
ISSUER, URL = "https://id.example.org/realm", "id.example.org/realm"
WEB = "sts:AssumeRoleWithWebIdentity"
OURS = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/aerekos"}
THEIRS = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{URL}"}
ROBOT = "system:serviceaccount:default:robot"
Json = dict[str, Any]


class Issuer:
    """Signs ID tokens, and shows its key as issuers do."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        coding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self._pem = key.private_bytes(*coding).decode()
        public = jwk.construct(self._pem, "RS256").public_key().to_dict()
        self._jwks = {
            "keys": [{**{k: v.decode() if isinstance(v, bytes) else v for k, v in public.items()}, "kid": "1"}]
        }
        self.asked: list[str] = []

    async def fetch(self, url: str) -> Any:
        self.asked.append(url)
        if url.endswith("/openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        return self._jwks

    def token(self, now: float, **claims: Any) -> str:
        given = {"iss": ISSUER, "sub": "ann", "aud": "app", "iat": int(now), "exp": int(now) + 600, **claims}
        told = {name: value for name, value in given.items() if value is not None}
        return str(jwt.encode(told, self._pem, "RS256", headers={"kid": "1"}))


class Web(Cloud):
    """A cloud whose account knows an issuer, and has a service account `robot`."""

    def __init__(self, house: House, issuer: Issuer) -> None:
        super().__init__(house)
        self.issuer = issuer

    async def begin(self) -> None:
        spec = {"url": URL, "clientIds": ["app"]}
        meta = {"name": resource_name(URL)}
        await self.house.registry.create(OIDC_PROVIDER, "default", {"metadata": meta, "spec": spec}, HOW)
        await self.account("robot")

    async def account(self, name: str, namespace: str = "default") -> None:
        await self.namespace(namespace)
        await self.house.registry.create(SERVICE_ACCOUNT, namespace, {"metadata": {"name": name}}, HOW)

    async def token_of(self, name: str, audience: str = "sts.amazonaws.com", namespace: str = "default") -> str:
        """As kubectl create token --audience gets it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience]}}
        async with self.house.client(self.house.bearer(ADMIN)) as client:
            answer = await client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["status"]["token"])

    def of_issuer(self, **claims: Any) -> str:
        return self.issuer.token(self.house.clock.now().timestamp(), **claims)

    async def by_token(self, arn: str, token: str, **wanted: Any) -> WebIdentitySession:
        asked = WebIdentityWanted(role_arn=arn, role_session_name="job", web_identity_token=token, **wanted)
        return await self.sts.web.assume(asked)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    issuer = Issuer()
    house = await make_house(tmp_path, fetch=issuer.fetch)
    house.registry.catalog.add(OIDC_PROVIDER)
    made = Web(house, issuer)
    await made.begin()
    yield made
    await house.close()


def reason(error: pytest.ExceptionInfo[ApiError]) -> str:
    return error.value.causes[0].reason if error.value.causes else error.value.reason


async def test_a_service_account_becomes_what_trusts_it_and_ends_with_it(web: Web) -> None:
    mine = trusts(OURS, WEB, StringEquals={"aerekos:sub": ROBOT, "aerekos:aud": "sts.amazonaws.com"})
    arn = await web.role("jobs", mine, inline={"p": document(allow("s3:*"))})
    found = await web.by_token(arn, await web.token_of("robot"), policy=document(allow("s3:GetObject")))
    assert (found.identity.subject, found.identity.provider) == (ROBOT, "aerekos")
    who = web.by_session(found.made)
    assert (web.may(who, "s3:GetObject"), web.may(who, "s3:PutObject")) == (True, False)
    assert web.told(who)["principal"]["facts"]["aws:FederatedProvider"] == OURS["Federated"]
    await web.house.registry.delete(SERVICE_ACCOUNT, SERVICE_ACCOUNT.key("robot", "default"), HOW)
    with pytest.raises(NotFound):
        signer(web.house.accounts, found.made.issued.key.id)


async def test_only_the_account_that_is_named_and_only_of_the_role_s_namespace(web: Web) -> None:
    arn = await web.role("jobs", trusts(OURS, WEB, StringEquals={"aerekos:sub": ROBOT}))
    anybody = await web.role("anybody", trusts(OURS, WEB))
    await web.account("other")
    await web.account("robot", "team-b")
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, await web.token_of("other"))
    assert error.value.code == 403
    assert await web.by_token(anybody, await web.token_of("other"))
    for role in (arn, anybody):
        with pytest.raises(ApiError) as error:
            await web.by_token(role, await web.token_of("robot", namespace="team-b"))
        assert error.value.code == 403


async def test_a_token_for_this_api_opens_no_role_and_one_for_roles_no_api(web: Web) -> None:
    arn = await web.role("jobs", trusts(OURS, WEB))
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, await web.token_of("robot", "api"))
    assert reason(error) == "InvalidIdentityToken"
    token = await web.token_of("robot")
    async with web.house.client({"authorization": f"Bearer {token}"}) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


async def test_an_issuer_s_user_becomes_what_trusts_them(web: Web) -> None:
    arn = await web.role("people", trusts(THEIRS, WEB, StringEquals={f"{URL}:sub": "ann", f"{URL}:aud": "app"}))
    found = await web.by_token(arn, web.of_issuer())
    assert (found.identity.subject, found.identity.audience, found.identity.provider) == ("ann", "app", URL)
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, web.of_issuer(sub="eve"))
    assert error.value.code == 403
    assert web.issuer.asked == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]


WRONG: list[tuple[Json, str]] = [
    ({"aud": "another"}, "InvalidIdentityToken"),
    ({"aud": ["app", "another"]}, "InvalidIdentityToken"),
    ({"aud": None}, "InvalidIdentityToken"),
    ({"iss": "https://elsewhere.example.org"}, "InvalidIdentityToken"),
    ({"exp": 1}, "ExpiredTokenException"),
    ({"exp": None}, "InvalidIdentityToken"),
    ({"exp": True}, "InvalidIdentityToken"),
    ({"nbf": 4_102_444_800}, "InvalidIdentityToken"),
    ({"sub": None}, "IDPRejectedClaim"),
    ({"sub": "a\nb"}, "IDPRejectedClaim"),
    ({"sub": "x" * 256}, "IDPRejectedClaim"),
    ({"https://aws.amazon.com/tags": {"principal_tags": {"a": ["1"]}}}, "IDPRejectedClaim"),
]


@pytest.mark.parametrize(("claims", "code"), WRONG)
async def test_what_proves_nobody_is_refused(web: Web, claims: Json, code: str) -> None:
    arn = await web.role("people", trusts(THEIRS, WEB))
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, web.of_issuer(**claims))
    assert reason(error) == code


async def test_forgeries_are_refused(web: Web) -> None:
    arn = await web.role("people", trusts([THEIRS["Federated"]], WEB), trusts(THEIRS, WEB), trusts(OURS, WEB))
    good = web.of_issuer()
    head, body, signature = good.split(".")
    forged = Issuer().token(web.house.clock.now().timestamp())
    secret = jwt.encode({"iss": ISSUER, "sub": "ann", "aud": "app", "exp": 4_102_444_800}, "x", "HS256")
    ours = jwt.encode(
        {"iss": "aerekos", "sub": ROBOT, "aud": "sts.amazonaws.com", "exp": 4_102_444_800}, "x", "HS256"
    )
    for wrong in (
        forged,
        secret,
        ours,
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        "x.y.z",
        "nonsense",
    ):
        with pytest.raises(ApiError) as error:
            await web.by_token(arn, wrong)
        assert reason(error) == "InvalidIdentityToken", wrong
    assert await web.by_token(arn, good)


async def test_nobody_takes_the_place_of_the_cloud_s_own_issuer(web: Web) -> None:
    """An account may know any issuer, also one at https://aerekos: its ARN would be that of ours."""
    spec, meta = {"url": "aerekos", "clientIds": ["app"]}, {"name": "aerekos"}
    await web.house.registry.create(OIDC_PROVIDER, "default", {"metadata": meta, "spec": spec}, HOW)
    arn = await web.role("jobs", trusts(OURS, WEB))
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, web.of_issuer(iss="https://aerekos", sub=ROBOT))
    assert reason(error) == "InvalidIdentityToken" and web.issuer.asked == []


async def test_a_role_of_another_account_does_not_believe_this_account_s_issuer(web: Web) -> None:
    arn = await web.role("people", trusts(THEIRS, WEB), namespace="team-b")
    with pytest.raises(ApiError) as error:
        await web.by_token(arn, web.of_issuer())
    assert reason(error) == "InvalidIdentityToken" and json.dumps(web.issuer.asked) == "[]"
