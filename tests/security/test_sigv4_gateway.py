"""The door verifies AWS signatures itself: what was tampered with never reaches a service, and the service learns who
signed from an identity token, not from a secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from jose import jwt
from unit.api.components import HOW, House, make_house

from api.auth.authentication import WHO
from api.auth.principal import Principal
from api.gateway.bucket_hosts import bucket_of
from api.gateway.own_hosts import OwnHosts
from crds.errors import ApiError, NotFound
from crds.kinds.user import USER
from crds.managed import ManagedService
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.sigv4 import RawRequest
from services.sdk.aws.verifier import BODY_LIMIT, Owner, SignatureVerifier, read_head
from services.sdk.resources import SystemClock

pytestmark = pytest.mark.anyio
HOST = "cloud.test"
STORAGE = ManagedService("storage_manager", "Storage", "", "x:y", speaks=("s3",), protocol="s3")


class Asked(NamedTuple):
    """One raw request."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        return {"type": "http", "method": self.method, "path": path, "raw_path": path.encode(),
                "query_string": query.encode(), "headers": self.headers, "client": ("127.0.0.1", 1)}  # fmt: skip


class Reached:
    """Stands for the proxy: notes what would have gone to the instance."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[bytes, bytes], bytes]] = []
        self.targets: list[bytes] = []

    async def forward(
        self, scope: Any, receive: Any, send: Any, *, service: str, target: bytes, headers: Any, **_: Any
    ) -> int:
        self.targets.append(target)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.seen.append((service, dict(headers), body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return 200

    async def close(self) -> None: ...


class Door:
    """A house whose gateway forwards to `reached`."""

    def __init__(self, house: House) -> None:
        self.house, self.reached = house, Reached()
        house.gateway.proxy = self.reached  # type: ignore[assignment]
        house.gateway._services["storage-manager"] = STORAGE
        house.gateway._speaks["s3"] = "storage-manager"
        pair = house.accounts.access_key("ann")
        self.key = Credentials(pair.id, pair.secret)

    async def ask(self, asked: Asked) -> tuple[int, bytes, bytes]:
        """Code, content type and body of the answer; `taken` tells how much of the body was read."""
        told: list[Any] = []
        self.taken = 0

        async def receive() -> Any:
            self.taken += len(asked.body)
            return {"type": "http.request", "body": asked.body, "more_body": False}

        async def send(message: Any) -> None:
            told.append(message)

        scope = asked.scope()
        await self.house.door(scope, receive, send)
        self.who: Principal | None = scope.get(WHO)
        headers = dict(told[0]["headers"])
        return told[0]["status"], headers.get(b"content-type", b""), b"".join(each["body"] for each in told[1:])

    def signed(self, service: str = "kms", body: bytes = b"{}", path: str = "/", **more: Any) -> Asked:
        host = more.pop("host", HOST)
        request = AWSRequest(more.pop("method", "POST"), f"https://{host}{path}", data=body, headers=more)
        kind = S3SigV4Auth if service == "s3" else SigV4Auth
        kind(self.key, service, "us-east-1").add_auth(request)
        return as_asked(request, body, host)

    def presigned(self, path: str, expires: int = 60, method: str = "GET", host: str = HOST) -> Asked:
        request = AWSRequest(method, f"https://{host}{path}")
        S3SigV4QueryAuth(self.key, "s3", "us-east-1", expires=expires).add_auth(request)
        return as_asked(request, b"", host)


def as_asked(request: AWSRequest, body: bytes, host: str = HOST) -> Asked:
    headers = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]
    target = request.url.removeprefix(f"https://{host}")
    return Asked(request.method, target, [*headers, (b"host", host.encode())], body)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    house = await make_house(tmp_path)
    await house.add_user("ann", "editor", namespace="default")
    await house.add_service("key-manager", "127.0.0.1:9")
    yield Door(house)
    await house.store.close()


async def test_what_ann_signed_arrives_with_her_own_identity(door: Door) -> None:
    assert (await door.ask(door.signed(body=b'{"a": 1}')))[0] == 200
    service, headers, body = door.reached.seen[0]
    assert (service, body) == ("key-manager", b'{"a": 1}')
    claims = door.house.tokens.claims(headers[b"x-aerekos-identity"].decode(), "key-manager")
    assert (claims["sub"], claims["aud"], claims["akid"]) == ("ann", "key-manager", door.key.access_key)
    assert claims["exp"] - claims["iat"] <= 300 and claims["jti"]
    assert door.who is not None and door.who.name == "ann"  # and the audit log knows it


async def test_nobody_but_the_audience_reads_that_identity(door: Door) -> None:
    await door.ask(door.signed())
    token = door.reached.seen[0][1][b"x-aerekos-identity"].decode()
    for other in ("api", "storage-manager", "refresh"):
        with pytest.raises(ApiError):
            door.house.tokens.claims(token, other)
    async with door.house.client({"authorization": f"Bearer {token}"}) as client:
        assert (await client.get("/auth/whoami")).status_code == 401


def header(name: bytes, value: bytes) -> Callable[[Asked], Asked]:
    def change(asked: Asked) -> Asked:
        kept = [each for each in asked.headers if each[0] != name]
        return asked._replace(headers=[*kept, (name, value)])

    return change


def more(name: bytes, value: bytes) -> Callable[[Asked], Asked]:
    return lambda asked: asked._replace(headers=[*asked.headers, (name, value)])


def authorization(old: bytes, new: bytes) -> Callable[[Asked], Asked]:
    def change(asked: Asked) -> Asked:
        told = dict(asked.headers)[b"authorization"]
        assert old in told
        return header(b"authorization", told.replace(old, new))(asked)

    return change


TAMPERED: dict[str, Callable[[Asked], Asked]] = {
    "body": lambda asked: asked._replace(body=asked.body + b" "),
    "method": lambda asked: asked._replace(method="PUT"),
    "path": lambda asked: asked._replace(target="/x"),
    "query": lambda asked: asked._replace(target="/?a=b"),
    "host": header(b"host", b"other"),
    "date": header(b"x-amz-date", b"20260101T000000Z"),
    "target": header(b"x-amz-target", b"TrentService.ScheduleKeyDeletion"),
    "unsigned amz header": more(b"x-amz-security-token", b"x"),
    "second host": more(b"host", b"other"),
    "second date": more(b"x-amz-date", b"20260101T000000Z"),
    "second authorization": more(b"authorization", b"Bearer x"),
    "second target": more(b"x-amz-target", b"TrentService.ScheduleKeyDeletion"),
    "region": authorization(b"us-east-1", b"us-west-1"),
    "signature": authorization(b"Signature=", b"Signature=0"),
    "no host signed": authorization(b"SignedHeaders=host;", b"SignedHeaders="),
    "a header named twice": authorization(b"SignedHeaders=host;", b"SignedHeaders=host;host;"),
    "a header by two ways": lambda asked: asked._replace(target="/?X-Amz-Credential=a&X-Amz-Signature=b"),
    "a member twice": lambda asked: asked._replace(target="/?a=1&a=2"),
    "another algorithm": authorization(b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA1"),
    "no signature": authorization(b"Signature=", b"Nothing="),
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_nothing_that_was_tampered_with_reaches_the_service(door: Door, how: str) -> None:
    good = door.signed(**{"x-amz-target": "TrentService.Encrypt"})
    assert (await door.ask(good))[0] == 200
    code, content_type, body = await door.ask(TAMPERED[how](good))
    assert code in (400, 403) and content_type == b"application/x-amz-json-1.1", body
    assert len(door.reached.seen) == 1


async def test_a_key_of_nobody_and_a_guessed_secret(door: Door) -> None:
    for key, word in (("AKIANOBODY", b"UnrecognizedClientException"), (door.key.access_key, b"InvalidSignature")):
        door.key = Credentials(key, "guess")
        code, _, body = await door.ask(door.signed())
        assert code == 400 and word in body
    assert door.reached.seen == []


async def test_a_disabled_user_s_signature_ends_at_once(door: Door) -> None:
    assert (await door.ask(door.signed()))[0] == 200
    await door.house.registry.merge(USER, USER.key("ann"), {"spec": {"disabled": True}}, HOW)
    assert (await door.ask(door.signed()))[0] == 400
    assert len(door.reached.seen) == 1


async def test_a_signature_for_one_service_opens_no_other(door: Door) -> None:
    request = door.signed("s3", b"", "/bucket/key", method="GET")
    code, _, _ = await door.ask(authorization(b"/s3/", b"/kms/")(request))
    assert code == 400 and door.reached.seen == []


async def test_s3_hears_of_it_in_xml_before_a_byte_of_the_body_is_read(door: Door) -> None:
    request = door.signed("s3", b"x" * 1000, "/bucket/key", method="PUT")
    tampered = header(b"x-amz-content-sha256", hashlib.sha256(b"other").hexdigest().encode())(request)
    code, content_type, body = await door.ask(tampered)
    assert (code, content_type) == (403, b"application/xml")
    assert b"<Code>SignatureDoesNotMatch</Code>" in body and b"<RequestId>" in body
    assert door.taken == 0 and door.reached.seen == []
    assert (await door.ask(request))[0] == 200 and door.reached.seen[0][2] == b"x" * 1000


@pytest.mark.parametrize("payload", ["garbage", "STREAMING-", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "0" * 63])
async def test_a_payload_that_is_no_hash_and_no_marker_is_refused(door: Door, payload: str) -> None:
    request = AWSRequest("PUT", f"https://{HOST}/bucket/key", data=b"x")
    signing = S3SigV4Auth(door.key, "s3", "us-east-1")
    signing.payload = lambda _: payload  # type: ignore[method-assign]
    signing.add_auth(request)
    code, _, body = await door.ask(header(b"x-amz-content-sha256", payload.encode())(as_asked(request, b"x")))
    assert code in (400, 403) and door.reached.seen == [], body


@pytest.mark.parametrize(
    "payload", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD"]
)
async def test_chunked_and_unsigned_payloads_pass_by_their_markers(door: Door, payload: str) -> None:
    request = AWSRequest("PUT", f"https://{HOST}/bucket/key", headers={"x-amz-content-sha256": payload})
    signing = S3SigV4Auth(door.key, "s3", "us-east-1")
    signing.payload = lambda _: payload  # type: ignore[method-assign]
    signing.add_auth(request)
    asked = header(b"x-amz-content-sha256", payload.encode())(as_asked(request, b"5\r\nhello"))
    assert (await door.ask(asked))[0] == 200
    assert door.reached.seen[0][2] == b"5\r\nhello"


async def test_presigned_links_open_and_cannot_be_changed(door: Door) -> None:
    link = door.presigned("/bucket/key?versionId=1")
    assert (await door.ask(link))[0] == 200
    for target in (
        link.target.replace("/key", "/other"),
        link.target.replace("versionId=1", "versionId=2"),
        link.target + "&a=b",
        link.target + "&X-Amz-Expires=60",
        link.target + "&X-Amz-Date=20260101T000000Z",
        link.target + "&versionId=1",
        link.target.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        link.target.replace("X-Amz-Expires=60", f"X-Amz-Expires={'9' * 5000}"),
        link.target.replace("X-Amz-Expires=60", "X-Amz-Expires=0"),
        link.target.replace("X-Amz-Expires=60", "X-Amz-Expires=-1"),
        link.target.replace("X-Amz-Expires=60", f"X-Amz-Expires={quote('٦٠')}"),
        link.target.replace("X-Amz-Expires=60", "X-Amz-Expires=604801"),
    ):
        code, content_type, _ = await door.ask(link._replace(target=target))
        assert code in (400, 403) and content_type == b"application/xml"
    assert len(door.reached.seen) == 1


async def test_a_link_that_has_expired_and_one_of_tomorrow(door: Door) -> None:
    link = door.presigned("/bucket/key", expires=60)
    door.house.clock.forward(61)
    code, _, body = await door.ask(link)
    assert code == 403 and b"<Code>AccessDenied</Code>" in body
    door.house.clock.forward(-61 - 20 * 60)
    assert (await door.ask(link))[0] == 403


async def test_a_presigned_hash_of_the_body_is_handed_on(door: Door) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    request = AWSRequest("PUT", f"https://{HOST}/bucket/key?X-Amz-Content-Sha256={digest}")
    signing = S3SigV4QueryAuth(door.key, "s3", "us-east-1", expires=60)
    signing.payload = lambda _: digest  # type: ignore[method-assign]
    signing.add_auth(request)
    assert (await door.ask(as_asked(request, b"other")))[0] == 200
    assert door.reached.seen[0][1][b"x-amz-content-sha256"] == digest.encode()  # by which the service refuses it


async def test_a_clock_that_is_off(door: Door) -> None:
    request = door.signed()
    door.house.clock.forward(16 * 60)
    code, _, body = await door.ask(request)
    assert code == 400 and b"InvalidSignatureException" in body and door.taken == 0
    assert door.reached.seen == []


async def test_a_body_beyond_the_buffer_is_refused(door: Door) -> None:
    code, _, body = await door.ask(door.signed(body=b"x" * (BODY_LIMIT + 1)))
    assert code == 413 and b"RequestEntityTooLarge" in body and door.reached.seen == []


async def test_what_only_the_door_may_say_is_taken_off(door: Door) -> None:
    forged = {"x-aerekos-namespace": "other", "x-aerekos-identity": "x", "x-aerekos-on-behalf-of": "y"}
    forged |= {"x-aerekos-source-arn": "arn:aws:s3:::theirs", "x-aerekos-region": "eu-central-1"}
    assert (await door.ask(door.signed(**forged)))[0] == 200
    sent = door.reached.seen[0][1]
    assert {name.encode() for name in forged} & set(sent) == {b"x-aerekos-identity"}
    assert sent[b"x-aerekos-identity"] != b"x"


async def test_forms_hear_of_it_in_the_query_protocol_s_xml(door: Door) -> None:
    request = door.signed("sts", b"Action=GetCallerIdentity", **{"content-type": "application/x-www-form-urlencoded"})
    code, content_type, body = await door.ask(request)
    assert (code, content_type) == (400, b"text/xml") and b"<ErrorResponse>" in body and b"<Code>" in body


def test_signing_twice_at_once_is_one_check_each() -> None:
    """The verifier holds nothing between requests but derived keys."""
    clock, key = SystemClock(), Credentials("AKIA1", "secret")
    verifier = SignatureVerifier(lambda _: Owner("ann", "secret"), clock)

    async def one(body: bytes, sent: bytes) -> str:
        request = AWSRequest("POST", f"https://{HOST}/", data=body)
        SigV4Auth(key, "kms", "us-east-1").add_auth(request)

        async def receive() -> Any:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": sent, "more_body": False}

        try:
            return (await verifier.verified(as_asked(request, sent).scope(), receive, ("kms",)))[0].who
        except SignatureError as fault:
            return fault.fault

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(one(b"a", b"a" if n % 2 else b"b") for n in range(50)))

    assert asyncio.run(all_of_them()) == ["mismatch", "ann"] * 25


@given(
    st.text(max_size=200),
    st.lists(st.tuples(st.sampled_from(["authorization", "x-amz-date", "host"]), st.text(max_size=80)), max_size=4),
)
def test_any_noise_is_a_fault_and_no_crash(query: str, headers: list[tuple[str, str]]) -> None:
    request = RawRequest("GET", "/", query, headers)
    try:
        read_head(request, ("kms",))
    except (SignatureError, AwsError):
        return


def test_presigned_by_other_protocols_signs_the_empty_body() -> None:
    """SigV4QueryAuth without S3's marker: the hash of nothing."""
    request = AWSRequest("GET", f"https://{HOST}/?Action=X")
    SigV4QueryAuth(Credentials("AKIA1", "secret"), "kms", "us-east-1", expires=60).add_auth(request)
    verifier = SignatureVerifier(lambda _: Owner("ann", "secret"), SystemClock())

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    found, _ = asyncio.run(verifier.verified(as_asked(request, b"").scope(), receive, ("kms",)))
    assert found.who == "ann" and found.signature.presigned


OWN = ("localhost", "cloud.lan", "s3.cloud.lan", "vm")


@pytest.mark.parametrize(
    ("host", "path", "arrives"),
    [
        ("first.cloud.lan:7443", "/a%20b?x=1", b"/first/a%20b?x=1"),
        ("first.cloud.lan", "/?list-type=2", b"/first?list-type=2"),
        ("my.old.bucket.cloud.lan:7443", "/k", b"/my.old.bucket/k"),
        ("cloud.lan:7443", "/first/k", b"/first/k"),
        ("s3.cloud.lan", "/first/k", b"/first/k"),
        ("first.s3.cloud.lan", "/k", b"/first/k"),
        ("first.localhost:7443", "/k", b"/first/k"),
        ("elsewhere.lan", "/first/k", b"/first/k"),
        ("notcloud.lan", "/first/k", b"/first/k"),
        ("127.0.0.1:7443", "/first/k", b"/first/k"),
        ("[::1]:7443", "/first/k", b"/first/k"),
    ],
)
async def test_a_bucket_as_host_name_is_the_bucket_of_the_path(
    door: Door, host: str, path: str, arrives: bytes
) -> None:
    await door.house.add_service("storage-manager", "127.0.0.1:8")
    door.house.gateway._own_names = lambda: OWN
    for asked in (door.signed("s3", b"", path, method="GET", host=host), door.presigned(path, host=host)):
        assert (await door.ask(asked))[0] == 200
        target = door.reached.targets[-1]
        assert target.partition(b"&X-Amz-")[0].partition(b"?X-Amz-")[0] == arrives


async def test_nobody_sends_a_signed_request_to_another_bucket(door: Door) -> None:
    """Whoever passes it on changes the host, or the bucket from the host to the path or back."""
    await door.house.add_service("storage-manager", "127.0.0.1:8")
    door.house.gateway._own_names = lambda: OWN
    for asked in (
        header(b"host", b"second.cloud.lan")(door.signed("s3", b"", "/k", method="GET", host="first.cloud.lan")),
        header(b"host", b"cloud.lan")(door.signed("s3", b"", "/second/k", method="GET", host="first.cloud.lan")),
        header(b"host", b"second.cloud.lan")(door.signed("s3", b"", "/first/k", method="GET", host="cloud.lan")),
        header(b"host", b"second.cloud.lan")(door.presigned("/k", host="first.cloud.lan")),
    ):
        code, _, told = await door.ask(asked)
        assert code == 403 and b"SignatureDoesNotMatch" in told
    assert door.reached.seen == []


@pytest.mark.parametrize("bucket", ["a", "..", "x/y", "x%2fy", "-x", "a" * 64, "a?b", "x_y"])
async def test_what_can_be_no_bucket_is_none_as_a_host_name_either(door: Door, bucket: str) -> None:
    await door.house.add_service("storage-manager", "127.0.0.1:8")
    with pytest.raises(AwsError) as refused:
        bucket_of(f"{bucket}.cloud.lan", OWN)
    assert refused.value.code == "InvalidBucketName"
    assert bucket_of("First.Cloud.LAN.:7443", OWN) == "first", "hosts are compared as DNS does"


async def test_kms_has_no_buckets(door: Door) -> None:
    door.house.gateway._own_names = lambda: OWN
    assert (await door.ask(door.signed(host="first.cloud.lan")))[0] == 200
    assert door.reached.targets == [b"/"]


@pytest.mark.parametrize(
    ("told", "heard"),
    [(told, told) for told in ("cloud.lan", "localhost:8443", "10.0.0.7:7443", "[::1]:7443", "vm.:1")]
    + [
        ("evil.example:7443", "cloud.lan:7443"),
        ("evil.example", "cloud.lan"),
        ("notcloud.lan", "cloud.lan"),
        ("first.cloud.lan:7443", "cloud.lan:7443"),
        ("first.s3.cloud.lan", "s3.cloud.lan"),
        ("first.localhost:7443", "localhost:7443"),
        ("1.10.0.0.7:7443", "10.0.0.7:7443"),
    ],
)
async def test_a_service_hears_of_no_host_but_our_own(door: Door, told: str, heard: str) -> None:
    """It makes addresses of it that others go to: of a queue, or of the certificate that proves a message."""
    await door.house.add_service("storage-manager", "127.0.0.1:8")
    gateway, own = door.house.gateway, (*OWN, "10.0.0.7", "::1")
    gateway._own_names, gateway._hosts = (lambda: OWN), OwnHosts(lambda: own)
    asked = [door.signed("s3", b"", "/k", method="GET", host=told), door.presigned("/k", host=told)]
    token = door.house.bearer(Principal("ann", frozenset({"aerekos:editor"})))["authorization"].encode()
    asked.append(Asked("GET", "/services/key-manager/x", [(b"authorization", token), (b"host", told.encode())]))
    for each in asked:
        assert (await door.ask(each))[0] == 200
        assert door.reached.seen[-1][1][b"host"] == heard.encode()


@pytest.mark.parametrize(
    "odd", ["", "cloud.lan:7443x", "cloud.lan:123456", "u:p@cloud.lan", "cloud.lan/a", "[cloud.lan"]
)
def test_what_is_no_host_is_none_of_ours(odd: str) -> None:
    assert OwnHosts(lambda: OWN).instead({"headers": [(b"host", odd.encode())]}) == ((b"host", b"cloud.lan"),)
    assert OwnHosts(lambda: OWN).instead({"headers": [(b"host", b"Cloud.LAN.:1")]}) == ()


def test_names_that_are_new_count_at_once() -> None:
    own: list[tuple[str, ...]] = [("cloud.lan",)]
    hosts = OwnHosts(lambda: own[-1])
    scope = {"headers": [(b"host", b"new.lan:1")]}
    assert hosts.instead(scope) == ((b"host", b"cloud.lan:1"),)
    own.append(("cloud.lan", "new.lan"))
    assert hosts.instead(scope) == ()
    assert OwnHosts(tuple).instead(scope) == ((b"host", b"localhost:1"),)


@given(st.text(max_size=80), st.lists(st.sampled_from((*OWN, "10.0.0.7", "::1")), unique=True))
def test_whatever_the_host_says_a_service_hears_one_of_ours(host: str, own: list[str]) -> None:
    told = host.encode("utf-8", "ignore")
    for _, heard in OwnHosts(lambda: own).instead({"headers": [(b"host", told)]}) or ((b"host", told.lower()),):
        name = re.fullmatch(r"\[?(.*?)\]?\.?(:[0-9]{1,5})?", heard.decode("latin-1"))
        assert name is not None and name[1] in (own or ["localhost"])


@given(st.text(max_size=80), st.lists(st.sampled_from(OWN), unique=True))
def test_whatever_the_host_says_the_bucket_is_one_part_of_a_path(host: str, own: list[str]) -> None:
    try:
        bucket = bucket_of(host, own)
    except AwsError:
        return
    assert bucket == "" or (host.lower().startswith(bucket) and not set(bucket) & set("/?#%\\ "))


async def test_a_website_is_asked_by_nobody_at_an_origin_of_its_own(door: Door) -> None:
    """Whatever a browser or somebody else brings along; the dashboard's host is never one of a website's."""
    door.house.gateway._own_names = lambda: OWN
    told = [(b"cookie", b"__Host-aerekos-refresh=x"), (b"x-aerekos-website", b"no"), (b"x-aerekos-identity", b"x")]
    told.append((b"authorization", b"Bearer of.this.cloud"))
    asked = Asked("GET", "/a%20b/?x=1", [(b"host", b"photos.s3-website.cloud.lan:7443"), *told])
    assert (await door.ask(asked))[0] == 200
    service, sent, _ = door.reached.seen[0]
    assert (service, door.reached.targets) == ("storage-manager", [b"/photos/a%20b/?x=1"])
    assert sent[b"x-aerekos-website"] == b"1" and not {b"cookie", b"authorization"} & set(sent)
    assert jwt.get_unverified_claims(sent[b"x-aerekos-identity"].decode())["sub"] == "system:anonymous"
    for host in (b"photos.cloud.lan", b"s3-website.cloud.lan", b"photos.s3-website.elsewhere.lan"):
        await door.ask(Asked("GET", "/photos/k", [(b"host", host), (b"x-aerekos-website", b"1")]))
        assert all(b"x-aerekos-website" not in sent for _, sent, _ in door.reached.seen[1:]), host


BUCKETS = ("photos.s3-website.cloud.lan", "PHOTOS.s3-website.cloud.lan.:7443", "photos.cloud.lan", "-.cloud.lan")


@pytest.mark.parametrize("host", BUCKETS)
async def test_a_page_in_a_bucket_opens_no_connection_to_the_cloud(door: Door, host: str) -> None:
    """A browser shows its user's certificate there too: `exec` would be its user's. Whatever the query says."""
    door.house.gateway._own_names = lambda: ("cloud.lan",)
    for query in ("", "?X-Amz-Signature=x"):
        asked = Asked("GET", f"/api/v1/namespaces/default/pods/x/exec{query}", [(b"host", host.encode())])
        with pytest.raises(NotFound):
            door.house.gateway.require_own_host(asked.scope())


@pytest.mark.parametrize("host", ["cloud.lan", "cloud.lan:7443", "127.0.0.1:7443", "elsewhere.lan"])
async def test_at_its_own_hosts_the_cloud_is_asked(door: Door, host: str) -> None:
    door.house.gateway._own_names = lambda: ("cloud.lan",)
    door.house.gateway.require_own_host(Asked("GET", "/", [(b"host", host.encode())]).scope())
