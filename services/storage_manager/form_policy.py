"""The policy of a browser's upload: until when it holds, and what the form may say.

Source: S3 API reference, "Creating a POST policy". Every field must be covered by a condition.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.storage_manager.errors import S3Error

_UNCOVERED = frozenset({"x-amz-signature", "signature", "awsaccesskeyid", "policy", "file"})
# A checksum asks for nothing but that the file is what it was.
_HARMLESS = ("x-ignore-", "x-amz-checksum-")
_MOMENT = re.compile(r"\.[0-9]{1,9}Z$")
_RANGE = "content-length-range"


class FormPolicy(NamedTuple):
    """`conditions`: operator, field in lower case, value. `least` and `most`: bytes of the file."""

    expiration: datetime
    conditions: tuple[tuple[str, str, str], ...]
    least: int
    most: int | None

    def require(self, fields: Mapping[str, str], bucket: str, now: datetime) -> None:
        """Raises S3Error AccessDenied for a form that it does not allow."""
        if self.expiration <= now:
            raise _refused("Policy expired.")
        said = {**fields, "bucket": bucket}
        for operator, name, value in self.conditions:
            found = said.get(name, "")
            if (found != value) if operator == "eq" else not found.startswith(value):
                raise _refused(f'Policy Condition failed: ["{operator}", "${name}", "{value}"]')
        covered = {name for _, name, _ in self.conditions} | _UNCOVERED
        for name in said:
            if name not in covered and not name.startswith(_HARMLESS):
                raise _refused(f"Extra input fields: {name}")

    def require_size(self, size: int, *, ended: bool) -> None:
        """Raises S3Error EntityTooLarge, EntityTooSmall."""
        if self.most is not None and size > self.most:
            raise S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        if ended and size < self.least:
            raise S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")


def read_policy(text: str) -> FormPolicy:
    """Raises S3Error InvalidPolicyDocument."""
    try:
        document = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    if surplus := sorted(set(document) - {"expiration", "conditions"}):
        raise _invalid(f"Unexpected: '{surplus[0][:80]}'.")
    conditions: list[tuple[str, str, str]] = []
    least, most = 0, None
    for each in _listed(document):
        if isinstance(each, list) and each and str(each[0]).lower() == _RANGE:
            least, most = _range_of(each)
        else:
            conditions += _conditions_of(each)
    return FormPolicy(_expiration(document), tuple(conditions), least, most)


def _expiration(document: Mapping[str, Any]) -> datetime:
    text = document.get("expiration")
    if not isinstance(text, str):
        raise _invalid("Policy missing expiration.")
    try:
        return datetime.strptime(_MOMENT.sub("Z", text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{text[:80]}'") from None


def _listed(document: Mapping[str, Any]) -> list[Any]:
    found = document.get("conditions")
    if not isinstance(found, list) or not found:
        raise _invalid("Policy missing conditions.")
    return found


def _conditions_of(each: Any) -> list[tuple[str, str, str]]:
    if isinstance(each, dict) and each and all(isinstance(value, str) for value in each.values()):
        return [("eq", name.lower(), value) for name, value in each.items()]
    if not isinstance(each, list) or len(each) != 3 or not all(isinstance(part, str) for part in each):
        raise _invalid("Invalid condition.")
    operator, name, value = each
    if operator.lower() not in ("eq", "starts-with") or not name.startswith("$"):
        raise _invalid(f"Invalid condition: unknown operation '{operator[:80]}'.")
    return [(operator.lower(), name[1:].lower(), value)]


def _range_of(each: list[Any]) -> tuple[int, int]:
    numbers = [int(part) if isinstance(part, str) and part.isdecimal() else part for part in each[1:]]
    if len(numbers) != 2 or not all(type(part) is int and 0 <= part < 1 << 63 for part in numbers):
        raise _invalid(f"{_RANGE} has two numbers.")
    return numbers[0], numbers[1]


def _refused(why: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {why}")


def _invalid(why: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {why}")
