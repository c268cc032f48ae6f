"""Bodies in Kubernetes protobuf: read as kubectl 1.32 and newer write them; anything else is a clear refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.kube.protobuf_bodies import MAGIC, read_protobuf
from crds.errors import ApiError, BadRequest, UnsupportedMedia


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def envelope(version: str, kind: str, message: bytes) -> bytes:
    return MAGIC + field(1, field(1, version) + field(2, kind)) + field(2, message) + field(3, "") + field(4, "")


def entry(key: str, value: bytes | str) -> bytes:
    return field(1, key) + field(2, value)


def test_a_secret_keeps_its_bytes_as_base64() -> None:
    meta = field(1, "s1") + field(3, "default") + field(8, b"") + field(11, entry("app", "web"))
    message = field(1, meta) + field(2, entry("p", b"\x00\xff")) + field(3, "Opaque") + field(5, 1)
    assert read_protobuf(envelope("v1", "Secret", message)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s1", "namespace": "default", "labels": {"app": "web"}},
        "data": {"p": "AP8="},
        "type": "Opaque",
        "immutable": True,
    }


def test_an_access_review_says_what_it_asks() -> None:
    wanted = field(1, "default") + field(2, "list") + field(3, "") + field(5, "configmaps")
    message = field(1, b"") + field(2, field(1, wanted))
    spec = read_protobuf(envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", message))["spec"]
    assert spec == {"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "configmaps"}}


def test_times_and_lists_are_read() -> None:
    lease = field(1, "me") + field(2, 15) + field(3, field(1, 1_700_000_000) + field(2, 5_000_000))
    spec = read_protobuf(envelope("coordination.k8s.io/v1", "Lease", field(2, lease)))["spec"]
    assert spec == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2023-11-14T22:13:20.005000Z",
    }
    rule = field(1, "get") + field(1, "list") + field(2, "") + field(3, "pods")
    role = read_protobuf(envelope("rbac.authorization.k8s.io/v1", "Role", field(2, rule)))
    assert role["rules"] == [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]


def test_fields_nobody_here_knows_are_passed_over() -> None:
    unknown = field(90, "x") + field(91, 7) + varint(92 << 3 | 1) + b"\0" * 8 + varint(93 << 3 | 5) + b"\0" * 4
    assert read_protobuf(envelope("v1", "Namespace", unknown + field(1, field(1, "n"))))["metadata"] == {"name": "n"}


def test_a_kind_that_cannot_be_read_is_refused_with_a_way_out() -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        read_protobuf(envelope("v1", "Pod", b""))
    with pytest.raises(BadRequest):
        read_protobuf(b"{}")


@given(st.binary(max_size=60), st.sampled_from(["Secret", "Lease", "Role", "SelfSubjectAccessReview"]))
def test_no_bytes_can_do_worse_than_be_refused(noise: bytes, kind: str) -> None:
    for body in (MAGIC + noise, envelope("v1", kind, noise)):
        try:
            read_protobuf(body)
        except ApiError as error:
            assert error.code in (400, 415)


def test_a_wish_for_a_token_is_read() -> None:
    bound = field(1, "Pod") + field(2, "v1") + field(3, "web-0") + field(4, "u-1")
    spec = field(1, "api") + field(1, "vault") + field(3, bound) + field(4, 600)
    read = read_protobuf(envelope("authentication.k8s.io/v1", "TokenRequest", field(1, b"") + field(2, spec)))
    assert read["spec"] == {
        "audiences": ["api", "vault"],
        "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": "u-1"},
        "expirationSeconds": 600,
    }
