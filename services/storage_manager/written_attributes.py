"""Attributes that a request gives to the object it writes: tags, retention, legal hold. They may be changed later.

`attributes` of a version: `tags` (a dict), `retention` and `legal-hold` (documents as S3 writes them), `acl` and
`owner`, `customer-key` (of SSE-C, see `object_encryption`), `parts` (of a multipart upload).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.sdk.aws.accounts import account_of
from services.sdk.aws.protocols.timestamps import ISO, moment_reader
from services.storage_manager.configuration.new_acls import new_object_acl
from services.storage_manager.configuration.object_lock import (
    MODES,
    default_retention,
    retention_of,
)
from services.storage_manager.configuration.owners import owner_of
from services.storage_manager.configuration.rules import rules_of
from services.storage_manager.configuration.tagging import header_tags
from services.storage_manager.context import S3Context
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import ANONYMOUS, BucketRef

LOCK = "object-lock"
TAGS, RETENTION, LEGAL_HOLD, PARTS, ACL = "tags", "retention", "legal-hold", "parts", "acl"
_MODE, _UNTIL, _HOLD = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"


def attributes_of(context: S3Context, ref: BucketRef, headers: Mapping[str, str]) -> dict[str, Any]:
    """Raises S3Error InvalidArgument, InvalidTag, InvalidRequest where the bucket has no object lock."""
    found: dict[str, Any] = _acl(context, ref, headers)
    if "x-amz-tagging" in headers and (tags := header_tags(headers["x-amz-tagging"])):
        found[TAGS] = tags
    return found | _locks(context, ref, headers)


def _acl(context: S3Context, ref: BucketRef, headers: Mapping[str, str]) -> dict[str, Any]:
    """Whose it is, and who else may. Who does not sign gives it to the bucket's owner."""
    writer, owner = ref.caller, owner_of(ref.namespace)
    own = owner if writer is None or writer.name == ANONYMOUS else owner_of(writer.namespace)
    rules = rules_of(account_of(ref.namespace), context.metadata.configurations(ref.id))
    acl = new_object_acl(headers, rules, own, owner)
    return {} if acl is None else {ACL: acl}


def _locks(context: S3Context, ref: BucketRef, headers: Mapping[str, str]) -> dict[str, Any]:
    configured, now = context.configuration(ref, LOCK), datetime.fromtimestamp(context.clock(), UTC)
    asked = any(name in headers for name in (_MODE, _UNTIL, _HOLD))
    if configured is None:
        if asked:
            raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")
        return {}
    retention = _retention(headers, now) or default_retention(configured, now)
    hold = headers.get(_HOLD)
    if hold not in (None, "ON", "OFF"):
        raise S3Error("InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'")
    found: dict[str, Any] = {RETENTION: retention} if retention else {}
    return found | ({LEGAL_HOLD: {"Status": hold}} if hold else {})


def _retention(headers: Mapping[str, str], now: datetime) -> dict[str, Any] | None:
    mode, until = headers.get(_MODE), headers.get(_UNTIL)
    if mode is None and until is None:
        return None
    if mode is None or until is None:
        raise S3Error("InvalidArgument", f"{_UNTIL} and {_MODE} must both be supplied")
    if mode not in MODES:
        raise S3Error("InvalidArgument", "Unknown wormMode directive.")
    try:
        moment = moment_reader(ISO)(until)
    except ValueError:
        raise S3Error("InvalidArgument", "The retain until date must be provided in ISO 8601 format") from None
    if moment <= now:
        raise S3Error("InvalidArgument", "The retain until date must be in the future!")
    return retention_of(mode, moment)


def lock_headers(attributes: Mapping[str, Any]) -> dict[str, str]:
    """What an answer says of an object's locks and tags."""
    found: dict[str, str] = {}
    if retention := attributes.get(RETENTION):
        found |= {_MODE: retention["Mode"], _UNTIL: retention["RetainUntilDate"]}
    if hold := attributes.get(LEGAL_HOLD):
        found[_HOLD] = hold["Status"]
    if tags := attributes.get(TAGS):
        found["x-amz-tagging-count"] = str(len(tags))
    return found
