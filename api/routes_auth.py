"""/auth: logging in, getting identities, keys for verifying."""

import base64
import hashlib
import ssl
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from pydantic import Field

from api.auth.accounts import REFRESH_SECONDS, Accounts, LoggedIn
from api.auth.authenticating import WHO, Authenticator
from api.auth.derived import signing_key
from api.auth.principal import MASTERS, Principal
from api.auth.tokens import API_AUDIENCE, TokenKeys
from api.joining.tokens import JoinTokens
from crds.errors import Forbidden, Unauthorized
from crds.kinds.worker import WORKER
from crds.model import Model
from crds.names import DnsLabel

REGION = "us-east-1"
_SIGNING_KEY_SECONDS = 60
REFRESH_COOKIE = "aerekos-refresh"
PROOF = "x-aerekos-proof"


class Login(Model):
    """`cookie`: a browser's refresh token goes into a cookie no script can read, not into the answer."""

    username: Annotated[str, Field(max_length=253)]
    password: Annotated[str, Field(max_length=1024)]
    cookie: bool = False


class Refresh(Model):
    """Without a token, the one in the cookie is used."""

    refresh_token: str | None = None


class NewPassword(Model):
    """`current` is asked of people who change their own."""

    username: str
    password: Annotated[str, Field(min_length=8, max_length=1024)]
    current: Annotated[str, Field(max_length=1024)] = ""


class ClientCredentials(Model):
    client_id: str
    client_secret: str
    audience: str = API_AUDIENCE


class Join(Model):
    """`token` is `<name>.<secret>.<sha256 of the CA>`; `name` is what the worker will be called."""

    token: str
    name: DnsLabel


class SigningKeyWanted(Model):
    access_key_id: str
    date: Annotated[str, Field(pattern=r"^[0-9]{8}$")]
    region: str
    service: str


def auth_routes(
    accounts: Accounts,
    authenticator: Authenticator,
    keys: TokenKeys,
    join_tokens: JoinTokens,
    ca: bytes,
) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth")

    async def who(request: Request) -> Principal:
        return authenticator.who(request.scope)

    Who = Annotated[Principal, Depends(who)]
    Nonce = Annotated[str, Query(pattern="^([0-9a-f]{64})?$")]

    @router.post("/login")
    async def login(body: Login, request: Request, response: Response) -> dict[str, object]:
        pair = await accounts.log_in(body.username, body.password)
        # Noted in the audit log. Not before: people type their password where their name belongs.
        request.scope[WHO] = Principal(body.username, frozenset())
        return _pair(pair, response if body.cookie else None)

    @router.post("/refresh")
    async def refresh(
        body: Refresh, response: Response, kept: Annotated[str | None, Cookie(alias=REFRESH_COOKIE)] = None
    ) -> dict[str, object]:
        if body.refresh_token:
            return _pair(accounts.refresh(body.refresh_token))
        if not kept:
            raise Unauthorized("nobody is logged in here; send a refreshToken")
        return _pair(accounts.refresh(kept), response)

    @router.post("/logout", status_code=204)
    async def logout(response: Response) -> None:
        response.delete_cookie(REFRESH_COOKIE, path="/auth", secure=True, httponly=True, samesite="strict")

    @router.post("/password", status_code=204)
    async def password(body: NewPassword, asker: Who) -> None:
        if body.username == asker.name:
            await accounts.log_in(asker.name, body.current)
        elif not {"aerekos:admin", MASTERS} & asker.groups:
            raise Forbidden(f'User "{asker.name}" may change only their own password')
        await accounts.set_password(body.username, body.password, one_time=False, by=asker.name)

    @router.post("/token")
    async def token(body: ClientCredentials) -> dict[str, object]:
        issued = accounts.identity_token(body.client_id, body.client_secret, body.audience)
        return {"accessToken": issued, "tokenType": "Bearer", "expiresIn": 600}

    @router.post("/join")
    async def join(body: Join) -> dict[str, object]:
        await join_tokens.use(body.token, body.name)
        client = f"worker:{body.name}"
        secret = accounts.client_secret(client, WORKER.key(body.name))
        return {"worker": body.name, "clientId": client, "clientSecret": secret, "ca": ca.decode()}

    @router.get("/ca.pem")
    async def ca_pem(token: str = "", nonce: Nonce = "") -> Response:
        """With a token's name and a nonce, the answer proves itself to holders of that token."""
        proof = {PROOF: join_tokens.vouch(token, bytes.fromhex(nonce), _digest(ca))} if token else None
        return Response(ca, media_type="application/x-pem-file", headers=proof)

    @router.get("/jwks")
    async def jwks() -> dict[str, object]:
        return keys.jwks()

    @router.get("/whoami")
    async def whoami(asker: Who) -> dict[str, object]:
        return {"name": asker.name, "groups": sorted(asker.groups), "namespace": asker.namespace}

    @router.get("/access-key")
    async def access_key(asker: Who) -> dict[str, object]:
        pair = accounts.access_key(asker.name)
        return {
            "accessKeyId": pair.id,
            "secretAccessKey": pair.secret,
            "region": REGION,
            "namespace": asker.namespace,
        }

    @router.post("/signing-keys")
    async def signing_keys(body: SigningKeyWanted, asker: Who) -> dict[str, object]:
        if not asker.service:
            raise Forbidden("only managed services may ask for signing keys")
        user, pair = accounts.owner_of(body.access_key_id)
        key = signing_key(pair.secret, body.date, body.region, body.service)
        return {
            "signingKey": base64.b64encode(key).decode(),
            "user": user.metadata.name,
            "groups": [f"aerekos:{role}" for role in user.spec.roles],
            "namespace": user.spec.namespace,
            "expiresIn": _SIGNING_KEY_SECONDS,
        }

    return router


def _pair(pair: LoggedIn, browser: Response | None = None) -> dict[str, object]:
    """The answer to a login; with `browser`, the refresh token leaves as its cookie instead."""
    told: dict[str, object] = {
        "accessToken": pair.access_token,
        "expiresIn": pair.expires_in,
        "tokenType": "Bearer",
    }
    if browser is None:
        return {**told, "refreshToken": pair.refresh_token}
    browser.set_cookie(
        REFRESH_COOKIE,
        pair.refresh_token,
        max_age=REFRESH_SECONDS,
        path="/auth",
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return told


def _digest(ca: bytes) -> bytes:
    """SHA-256 of the certificate's DER form, as join tokens pin it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.decode())).digest()
