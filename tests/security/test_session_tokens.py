"""A temporary key counts with its own session token alone, until it ends; all else is refused in AWS's words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from security.test_sigv4_gateway import HOST, Asked, Door, as_asked
from unit.api.components import HOW, make_house

from api.auth.on_behalf import signer
from api.auth.principal import Principal
from api.auth.sts.role_sessions import RoleSession
from api.auth.sts.wanted import RoleSessionWanted
from crds.kinds.iam import IAM_ROLE
from crds.managed import ManagedService

pytestmark = pytest.mark.anyio
ROLE = "arn:aws:iam::000000000000:role/ops"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::000000000000:user/ann"}}
    ],
}
IAM = ManagedService("iam_manager", "Identities", "", "x:y", speaks=("sts",), protocol="query")
SERVICE = Principal("system:service:key-manager", frozenset())
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Entry(Door):
    """A gateway before which somebody has temporary credentials."""

    async def session(self, name: str = "monday") -> RoleSession:
        sts = self.house.security
        ann = sts.callers.caller(signer(self.house.accounts, self.house.accounts.access_key("ann").id).who)
        return await sts.roles.assume(ann, RoleSessionWanted(role_arn=ROLE, role_session_name=name))

    def signed_with(self, keys: Credentials, service: str = "kms", **more: str) -> Asked:
        request = AWSRequest("POST", f"https://{HOST}/", data=b"{}", headers=more)
        (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "us-east-1").add_auth(request)
        return as_asked(request, b"{}")

    def presigned_with(self, keys: Credentials) -> Asked:
        request = AWSRequest("GET", f"https://{HOST}/b/k")
        S3SigV4QueryAuth(keys, "s3", "us-east-1", expires=7200).add_auth(request)
        return as_asked(request, b"")


def credentials(made: RoleSession, token: str | None = "") -> Credentials:
    """`token`: another one than its own, or None for none."""
    key = made.issued.key
    return Credentials(key.id, key.secret, key.token if token == "" else token)


@pytest.fixture
async def entry(tmp_path: Path) -> AsyncIterator[Entry]:
    house = await make_house(tmp_path)
    await house.add_user("ann", "editor", namespace="default")
    body = {"metadata": {"name": "ops"}, "spec": {"roleName": "ops", "trust": json.dumps(TRUST)}}
    await house.registry.create(IAM_ROLE, "default", body, HOW)
    await house.add_service("key-manager", "127.0.0.1:9")
    await house.add_service("storage-manager", "127.0.0.1:8")
    yield Entry(house)
    await house.store.close()


async def test_a_session_arrives_as_itself_and_its_token_goes_no_further(entry: Entry) -> None:
    made = await entry.session()
    for asked in (entry.signed_with(credentials(made)), entry.signed_with(credentials(made), "s3")):
        assert (await entry.ask(asked))[0] == 200
        service, headers, _ = entry.reached.seen[-1]
        claims = entry.house.tokens.claims(headers[b"x-aerekos-identity"].decode(), service)
        assert (claims["sub"], claims["akid"]) == ("system:assumed-role:default:ops/monday", made.issued.key.id)
        assert claims["groups"] == ["system:authenticated"] and b"x-amz-security-token" not in headers
    assert (await entry.ask(entry.presigned_with(credentials(made))))[0] == 200


# What KMS says, and what S3 does.
UNKNOWN = (b"UnrecognizedClientException", b"InvalidAccessKeyId")
BAD = (b"UnrecognizedClientException", b"InvalidToken")


def flipped(token: str) -> str:
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


async def test_a_temporary_key_without_its_own_token_is_refused(entry: Entry) -> None:
    made, other = await entry.session(), await entry.session()
    cases: list[tuple[Callable[[], Credentials], tuple[bytes, bytes]]] = [
        (lambda: credentials(made, None), UNKNOWN),
        (lambda: credentials(made, other.issued.key.token), BAD),
        (lambda: credentials(made, flipped(made.issued.key.token)), BAD),
        (lambda: credentials(made, "x"), BAD),
        (lambda: Credentials(entry.key.access_key, entry.key.secret_key, made.issued.key.token), BAD),
        (lambda: Credentials("ASIAAAAAAAAAAAAAAAAA", made.issued.key.secret, made.issued.key.token), UNKNOWN),
    ]
    for keys, (kms, s3) in cases:
        for asked, word in ((entry.signed_with(keys()), kms), (entry.signed_with(keys(), "s3"), s3)):
            code, _, body = await entry.ask(asked)
            assert code in (400, 403) and word in body, (keys(), body)
        code, _, body = await entry.ask(entry.presigned_with(keys()))
        assert code in (400, 403) and s3 in body, body
    assert entry.reached.seen == []


async def test_the_right_token_with_another_s_secret_is_no_signature(entry: Entry) -> None:
    made, other = await entry.session(), await entry.session()
    keys = Credentials(made.issued.key.id, other.issued.key.secret, made.issued.key.token)
    code, _, body = await entry.ask(entry.signed_with(keys))
    assert code == 400 and b"InvalidSignatureException" in body and entry.reached.seen == []


async def test_what_has_ended_is_said_to_have(entry: Entry) -> None:
    made = await entry.session()
    late, url = entry.signed_with(credentials(made)), entry.presigned_with(credentials(made))
    entry.house.clock.forward(3590)
    assert (await entry.ask(url))[0] == 200, "a presigned request lives no longer than what signed it"
    entry.house.clock.forward(9.5)
    code, _, body = await entry.ask(url)
    assert code == 400 and b"<Code>ExpiredToken</Code>" in body
    code, _, body = await entry.ask(late)
    assert code == 400 and b"InvalidSignatureException" in body, "its time is judged first"


def unsigned_token(asked: Asked, token: str) -> Asked:
    return asked._replace(headers=[*asked.headers, (b"x-amz-security-token", token.encode())])


async def test_a_token_that_nobody_signed_does_not_count(entry: Entry) -> None:
    made = await entry.session()
    bare = entry.signed_with(credentials(made, None))
    code, _, body = await entry.ask(unsigned_token(bare, made.issued.key.token))
    assert code == 400 and b"not signed" in body
    twice = unsigned_token(entry.signed_with(credentials(made)), made.issued.key.token)
    assert (await entry.ask(twice))[0] == 400
    in_query = entry.signed_with(credentials(made))
    in_query = in_query._replace(target=f"/?X-Amz-Security-Token={made.issued.key.token}")
    assert (await entry.ask(in_query))[0] == 400
    url = entry.presigned_with(credentials(made, None))
    code, _, _ = await entry.ask(url._replace(target=f"{url.target}&X-Amz-Security-Token=x"))
    assert code == 400 and entry.reached.seen == []


async def test_forms_hear_of_it_in_the_query_protocol_s_words(entry: Entry) -> None:
    made = await entry.session()
    for keys, word in (
        (credentials(made, "x"), b"InvalidClientTokenId"),
        (credentials(made, None), b"InvalidClientTokenId"),
    ):
        entry.house.gateway._services["iam-manager"] = IAM
        entry.house.gateway._speaks["sts"] = "iam-manager"
        code, _, body = await entry.ask(entry.signed_with(keys, "sts", **FORM))
        assert code == 403 and word in body


async def test_temporary_credentials_make_no_lasting_ones(entry: Entry) -> None:
    """A session would outlive its end."""
    made = await entry.session()
    who = signer(entry.house.accounts, made.issued.key.id).who
    identity = entry.house.gateway._identities.token(who, "key-manager").decode()
    service = entry.house.bearer(SERVICE)
    async with entry.house.client({**service, "x-aerekos-on-behalf-of": identity}) as client:
        for method, path in (
            ("POST", "/auth/access-keys"),
            ("GET", "/auth/access-keys"),
            ("POST", "/auth/sts/assume-role"),
        ):
            answer = await client.request(method, path, json={"roleArn": ROLE, "roleSessionName": "me"})
            assert answer.status_code == 403, (method, path, answer.text)


async def test_an_identity_ends_with_the_session_it_was_made_of(entry: Entry) -> None:
    made = await entry.session()
    entry.house.clock.forward(3590)
    who = signer(entry.house.accounts, made.issued.key.id).who
    claims = entry.house.tokens.claims(
        entry.house.gateway._identities.token(who, "key-manager").decode(), "key-manager"
    )
    assert claims["exp"] <= made.issued.spec.expires_at.timestamp()
