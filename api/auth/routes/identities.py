"""/auth, for machines: joining, identities of services and agents, keys to verify and to sign with."""

import base64
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.join_tokens import JoinTokens
from api.auth.key_rotation import KeyRotation
from api.auth.principal import MASTERS, SERVICE_PREFIX, Principal
from api.auth.tokens import API_AUDIENCE, TokenKeys
from controller.kit.clock import Clock
from crds.errors import BadRequest, Forbidden
from crds.model import Model
from crds.names import DnsLabel
from services.sdk.aws.sigv4 import derive_key

_SIGNING_KEY_SECONDS = 1  # a key that was switched off must not open anything two seconds later
PROOF = "x-aerekos-proof"
Nonce = Annotated[str, Query(pattern="^([0-9a-f]{64})?$")]


class ClientCredentials(Model):
    client_id: str
    client_secret: str
    audience: str = API_AUDIENCE


class Join(Model):
    """`token` is `<name>.<secret>.<sha256 of the CA>`; `name` is what the worker will be called."""

    token: str
    name: DnsLabel


class Rotation(Model):
    """`what`: which key; `token` signs tokens. `revoke`: what older ones signed or derived is worth nothing from now
    on. `dropOld`: make none, forget the older ones.
    """

    what: Literal["token", "master", "root", "store"] = "token"
    revoke: bool = False
    drop_old: bool = False


class SigningKeyWanted(Model):
    access_key_id: str
    date: Annotated[str, Field(pattern=r"^[0-9]{8}$")]
    region: str
    service: str


def identity_routes(
    accounts: Accounts,
    authenticator: Authenticator,
    keys: TokenKeys,
    join_tokens: JoinTokens,
    ca: bytes,
    clock: Clock,
    signing_names: Mapping[str, Sequence[str]],
    turning: Mapping[str, KeyRotation] | None = None,
) -> APIRouter:
    """The router, with everything it needs bound in. `ca`: the certificate of the cloud's authority, PEM;
    `signing_names`: those of AWS that each managed service answers to; `turning`: keys besides those of tokens."""
    router = APIRouter(prefix="/auth")

    @router.post("/token")
    async def token(body: ClientCredentials) -> dict[str, object]:
        issued = accounts.identity_token(body.client_id, body.client_secret, body.audience)
        renewed = accounts.clients.renewed(body.client_id, body.client_secret)
        more = {"clientSecret": renewed} if renewed else {}
        return {"accessToken": issued, "tokenType": "Bearer", "expiresIn": 600, **more}

    @router.post("/join")
    async def join(body: Join, request: Request) -> dict[str, object]:
        await join_tokens.use(body.token, body.name, request.client.host if request.client else "")
        client = f"worker:{body.name}"
        # Always a new one: whoever has the name of a silent worker and a token does not learn what that one holds.
        secret = await accounts.clients.replaced(client, by=f"system:worker:{body.name}")
        return {"worker": body.name, "clientId": client, "clientSecret": secret, "ca": ca.decode()}

    @router.get("/ca.pem")
    async def ca_pem(token: str = "", nonce: Nonce = "") -> Response:
        """The CA; with a token's name and a nonce, the answer proves itself to holders of that token."""
        proof = {PROOF: join_tokens.prove_ca(token, bytes.fromhex(nonce), _digest(ca))} if token else None
        return Response(ca, media_type="application/x-pem-file", headers=proof)

    @router.post("/keys/rotate")
    async def rotate(body: Rotation, request: Request) -> dict[str, object]:
        if {"aerekos:admin", MASTERS}.isdisjoint(authenticator.authenticate(request.scope).groups):
            raise Forbidden("only admins may rotate the keys of the cloud")
        if body.what != "token":
            return await _turned(body, turning or {})
        if body.drop_old:
            raise BadRequest("keys that signed tokens go by themselves with their last token, or at once: --revoke")
        kid = keys.rotate()
        if body.revoke:
            keys.revoke_old()
        return {"kid": kid, "keys": len(keys.jwks()["keys"])}

    @router.get("/jwks")
    async def jwks() -> dict[str, object]:
        return keys.jwks()

    @router.post("/signing-keys")
    async def signing_keys(body: SigningKeyWanted, request: Request) -> dict[str, object]:
        _check_wanted(body, authenticator.authenticate(request.scope), signing_names, clock.now())
        _, pair = accounts.owner_of(body.access_key_id)
        key = derive_key(pair.secret, body.date, body.region, body.service)
        return {"signingKey": base64.b64encode(key).decode(), "expiresIn": _SIGNING_KEY_SECONDS}

    return router


def _check_wanted(
    wanted: SigningKeyWanted, caller: Principal, signing_names: Mapping[str, Sequence[str]], now: datetime
) -> None:
    """Only for the chunks of a request the service holds: signed with that very key, for that service, just now.

    Raises Forbidden.
    """
    service = caller.actors[0].removeprefix(SERVICE_PREFIX) if len(caller.actors) == 1 else ""
    if not service or caller.proof is None or caller.proof.binding.get("akid") != wanted.access_key_id:
        raise Forbidden("a signing key is for the service that holds the identity of a request signed with it")
    if wanted.service not in signing_names.get(service, ()):
        raise Forbidden(f"{service} does not answer requests signed for {wanted.service!r}")
    days = {(now + timedelta(days=each)).strftime("%Y%m%d") for each in (-1, 0, 1)}
    if wanted.date not in days:
        raise Forbidden("a signing key is for requests of today")


async def _turned(body: Rotation, turning: Mapping[str, KeyRotation]) -> dict[str, object]:
    """Raises BadRequest, Conflict."""
    key = turning.get(body.what)
    if key is None:
        raise BadRequest(f"this conductor keeps no {body.what} key")
    if body.drop_old and body.revoke:
        raise BadRequest("revoke makes another key and forgets the older ones; dropOld only forgets: say one of them")
    done = await (key.drop_old() if body.drop_old else key.rotate(revoke=body.revoke))
    return done.wire(body.what)


def _digest(ca: bytes) -> bytes:
    """SHA-256 of the certificate's DER form, as join tokens pin it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.decode())).digest()
