"""Request bodies in Kubernetes protocol buffers: what kubectl from 1.32 on sends from its typed commands.

The envelope is `k8s\\0` and a `runtime.Unknown`; field numbers are those of the `generated.proto` files of
apimachinery, core/v1, rbac/v1, authorization/v1, authentication/v1, policy/v1 and coordination/v1. Answers are
always JSON, which every client takes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crds.errors import BadRequest, UnsupportedMedia
from crds.model import rfc3339, rfc3339_micro

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Field:
    """One field of a message: its JSON name and how its value is read."""

    name: str
    read: Callable[[Any], Any]
    many: bool = False
    mapped: bool = False


Message = dict[int, Field]


def read_protobuf(body: bytes) -> dict[str, Any]:
    """The object in the envelope, as JSON values. Raises BadRequest, UnsupportedMedia (a kind we cannot read)."""
    if not body.startswith(MAGIC):
        raise BadRequest("the request body does not begin like a Kubernetes protobuf")
    try:
        envelope = _decoded(_UNKNOWN, body[len(MAGIC) :])
        known = envelope.get("typeMeta", {})
        message = _KINDS.get(known.get("kind", ""))
        if message is None:
            raise UnsupportedMedia(f"{known.get('kind')!r} cannot be read from protobuf; send application/json")
        return {**known, **_decoded(message, envelope.get("raw", b""))}
    except (IndexError, ValueError, OverflowError, OSError) as error:
        raise BadRequest(f"the request body is no well-formed protobuf: {error}") from error


def _decoded(message: Message, content: bytes) -> dict[str, Any]:
    """Empty values are left out: Go writes them for fields that were never set."""
    found: dict[str, Any] = {}
    for number, raw in _fields(content):
        field = message.get(number)
        if field is None:
            continue
        if isinstance(raw, int) != (field.read in (_int, _bool)):
            raise ValueError(f"{field.name} has the wrong wire type")
        if field.mapped:
            entry = _decoded(_ENTRY, raw)
            found.setdefault(field.name, {})[entry.get("key", "")] = field.read(entry.get("value", b""))
        elif field.many:
            found.setdefault(field.name, []).append(field.read(raw))
        elif (value := field.read(raw)) not in ("", {}, None):
            found[field.name] = value
    return found


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if wire == _BYTES:
            size, position = _varint(content, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is not used here")
        if position + size > len(content):
            raise ValueError("it ends in the middle of a field")
        yield number, content[position : position + size]
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while content[position] & 0x80:
        value |= (content[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if shift > 63:
            raise ValueError("a number is too long")
    return value | content[position] << shift, position + 1


def _text(raw: bytes) -> str:
    return raw.decode()


def _raw(raw: bytes) -> bytes:
    return raw


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _seconds(raw: bytes) -> datetime | None:
    time = _decoded({1: Field("seconds", _int), 2: Field("nanos", _int)}, raw)
    if not time:
        return None
    return datetime.fromtimestamp(time.get("seconds", 0) + time.get("nanos", 0) / 1e9, UTC)


def _time(raw: bytes) -> str | None:
    return rfc3339(moment) if (moment := _seconds(raw)) else None


def _micro_time(raw: bytes) -> str | None:
    return rfc3339_micro(moment) if (moment := _seconds(raw)) else None


def _int(raw: int) -> int:
    return raw - 2**64 if raw >= 2**63 else raw


def _bool(raw: int) -> bool:
    return bool(raw)


def _inner(message: Message) -> Callable[[bytes], dict[str, Any]]:
    return lambda raw: _decoded(message, raw)


def _message(**fields: tuple[int, Callable[[Any], Any]]) -> Message:
    return {number: Field(name, read) for name, (number, read) in fields.items()}


def _lists(**fields: tuple[int, Callable[[Any], Any]]) -> Message:
    return {number: Field(name, read, many=True) for name, (number, read) in fields.items()}


def _maps(**fields: tuple[int, Callable[[Any], Any]]) -> Message:
    return {number: Field(name, read, mapped=True) for name, (number, read) in fields.items()}


_ENTRY = _message(key=(1, _text), value=(2, _raw))
_UNKNOWN = _message(typeMeta=(1, _inner(_message(apiVersion=(1, _text), kind=(2, _text)))), raw=(2, _raw))
_OWNER = _message(
    kind=(1, _text),
    name=(3, _text),
    uid=(4, _text),
    apiVersion=(5, _text),
    controller=(6, _bool),
    blockOwnerDeletion=(7, _bool),
)
_META = (
    _message(
        name=(1, _text),
        generateName=(2, _text),
        namespace=(3, _text),
        uid=(5, _text),
        resourceVersion=(6, _text),
        generation=(7, _int),
        creationTimestamp=(8, _time),
        deletionTimestamp=(9, _time),
        deletionGracePeriodSeconds=(10, _int),
    )
    | _maps(labels=(11, _text), annotations=(12, _text))
    | _lists(ownerReferences=(13, _inner(_OWNER)), finalizers=(14, _text))
)
_WITH_META = _message(metadata=(1, _inner(_META)))
_REFERENCE = _message(
    kind=(1, _text),
    namespace=(2, _text),
    name=(3, _text),
    uid=(4, _text),
    apiVersion=(5, _text),
    resourceVersion=(6, _text),
    fieldPath=(7, _text),
)
_RULE = _lists(
    verbs=(1, _text),
    apiGroups=(2, _text),
    resources=(3, _text),
    resourceNames=(4, _text),
    nonResourceURLs=(5, _text),
)
_SUBJECT = _message(kind=(1, _text), apiGroup=(2, _text), name=(3, _text), namespace=(4, _text))
_ROLE_REF = _message(apiGroup=(1, _text), kind=(2, _text), name=(3, _text))
_BINDING = _WITH_META | _lists(subjects=(2, _inner(_SUBJECT))) | _message(roleRef=(3, _inner(_ROLE_REF)))
_RESOURCE_ATTRIBUTES = _message(
    namespace=(1, _text),
    verb=(2, _text),
    group=(3, _text),
    version=(4, _text),
    resource=(5, _text),
    subresource=(6, _text),
    name=(7, _text),
)
_ACCESS = _message(
    resourceAttributes=(1, _inner(_RESOURCE_ATTRIBUTES)),
    nonResourceAttributes=(2, _inner(_message(path=(1, _text), verb=(2, _text)))),
)
_ASKED_OF = _ACCESS | _message(user=(3, _text)) | _lists(groups=(4, _text))
_BOUND_OBJECT = _message(kind=(1, _text), apiVersion=(2, _text), name=(3, _text), uid=(4, _text))
_TOKEN_WANTED = _lists(audiences=(1, _text)) | _message(
    boundObjectRef=(3, _inner(_BOUND_OBJECT)), expirationSeconds=(4, _int)
)
_DELETE_OPTIONS = _message(
    gracePeriodSeconds=(1, _int),
    preconditions=(2, _inner(_message(uid=(1, _text), resourceVersion=(2, _text)))),
    propagationPolicy=(4, _text),
) | _lists(dryRun=(5, _text))
_LEASE = _message(
    holderIdentity=(1, _text),
    leaseDurationSeconds=(2, _int),
    acquireTime=(3, _micro_time),
    renewTime=(4, _micro_time),
    leaseTransitions=(5, _int),
)
_NAMESPACE = _message(spec=(2, _inner(_lists(finalizers=(1, _text)))), status=(3, _inner(_message(phase=(1, _text)))))
_KINDS: dict[str, Message] = {
    "Namespace": _WITH_META | _NAMESPACE,
    "Secret": _WITH_META
    | _maps(data=(2, _base64), stringData=(4, _text))
    | _message(type=(3, _text), immutable=(5, _bool)),
    "ConfigMap": _WITH_META | _maps(data=(2, _text), binaryData=(3, _base64)) | _message(immutable=(4, _bool)),
    "ServiceAccount": _WITH_META
    | _lists(secrets=(2, _inner(_REFERENCE)), imagePullSecrets=(3, _inner(_message(name=(1, _text)))))
    | _message(automountServiceAccountToken=(4, _bool)),
    "Lease": _WITH_META | _message(spec=(2, _inner(_LEASE))),
    "Role": _WITH_META | _lists(rules=(2, _inner(_RULE))),
    "ClusterRole": _WITH_META | _lists(rules=(2, _inner(_RULE))),
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "SelfSubjectAccessReview": _WITH_META | _message(spec=(2, _inner(_ACCESS))),
    "SubjectAccessReview": _WITH_META | _message(spec=(2, _inner(_ASKED_OF))),
    "SelfSubjectRulesReview": _WITH_META | _message(spec=(2, _inner(_message(namespace=(1, _text))))),
    "LocalSubjectAccessReview": _WITH_META | _message(spec=(2, _inner(_ASKED_OF))),
    "SelfSubjectReview": _WITH_META,
    "TokenReview": _WITH_META | _message(spec=(2, _inner(_message(token=(1, _text)) | _lists(audiences=(2, _text))))),
    "TokenRequest": _WITH_META | _message(spec=(2, _inner(_TOKEN_WANTED))),
    "Eviction": _WITH_META | _message(deleteOptions=(2, _inner(_DELETE_OPTIONS))),
    "DeleteOptions": _DELETE_OPTIONS,
}
