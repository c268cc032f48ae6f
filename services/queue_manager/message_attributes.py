"""Attributes of messages: what may be one, how much of a message's size they are, and their MD5.

Source: Amazon SQS Developer Guide, "Amazon SQS message metadata"; "Calculating the MD5 message digest for message
attributes".
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

MOST, LONGEST_NAME = 10, 256
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_TYPES = ("String", "Number", "Binary")
_NOT_TEXT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ID_SIGNS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)
_LONGEST_ID = 128
_AS_TEXT, _AS_BYTES = b"\x01", b"\x02"
_LARGEST = Decimal("1e128")


def text_fault(text: str) -> str | None:
    """Why that cannot be in a message, or None."""
    found = _NOT_TEXT.search(text)
    return f"it has the character #x{ord(found.group()):X}" if found else None


def fifo_id_fault(name: str, text: str) -> str | None:
    """Why that cannot be the group or the deduplication id of a message, or None. name: of the parameter."""
    if len(text) <= _LONGEST_ID and _ID_SIGNS.issuperset(text):
        return None
    return f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length"


def attributes_fault(attributes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why these cannot be the attributes of a message, or None."""
    if len(attributes) > MOST:
        return f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{MOST}]."
    return next((fault for name, each in attributes.items() if (fault := attribute_fault(name, each))), None)


def attribute_fault(name: str, attribute: Mapping[str, Any]) -> str | None:
    """Why that cannot be one of them, or None."""
    lower = name.lower()
    if not _NAME.fullmatch(name) or name[0] == "." or name[-1] == "." or ".." in name:
        return f"The message attribute name '{name[:LONGEST_NAME]}' is invalid."
    if lower.startswith(("aws.", "amazon.")):
        return f"The message attribute name '{name}' is invalid: names that begin with AWS. or Amazon. are reserved."
    kind = attribute.get("DataType", "")
    if kind.partition(".")[0] not in _TYPES or len(kind) > LONGEST_NAME:
        return (
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
            "prefixes is Binary, Number, and String."
        )
    return _value_fault(name, kind.partition(".")[0], attribute)


def _value_fault(name: str, kind: str, attribute: Mapping[str, Any]) -> str | None:
    if attribute.get("StringListValues") or attribute.get("BinaryListValues"):
        return f"The message attribute '{name}' has a list: lists are not implemented by SQS."
    wanted = "BinaryValue" if kind == "Binary" else "StringValue"
    value = attribute.get(wanted)
    if not value:
        return (
            f"The message attribute '{name}' must contain a non-empty {wanted} for message attribute type '{kind}'."
        )
    if kind == "Number" and not _is_number(value):
        return f"Can't cast the value of message attribute '{name}' to a number."
    if kind != "Binary" and (fault := text_fault(value)):
        return f"The message attribute '{name}' is invalid: {fault}."
    return None


def _is_number(text: str) -> bool:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return False
    return found.is_finite() and abs(found) < _LARGEST


def attributes_size(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of names, types and values."""
    return sum(
        len(name.encode()) + len(each["DataType"].encode()) + len(_value_of(each)[1])
        for name, each in attributes.items()
    )


def md5_of_text(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """As SDKs reckon it, and compare it."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        each = attributes[name]
        mark, value = _value_of(each)
        for part in (name.encode(), each["DataType"].encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update(mark + struct.pack(">I", len(value)) + value)
    return digest.hexdigest()


def selected(attributes: Mapping[str, Any], wanted: list[str]) -> dict[str, Any]:
    """Those that were asked for: by name, by the beginning (`bar.*`), or all (`All`, `.*`)."""
    if "All" in wanted or ".*" in wanted:
        return dict(attributes)
    beginnings = tuple(each.removesuffix("*") for each in wanted if each.endswith(".*"))
    return {
        name: each
        for name, each in attributes.items()
        if name in wanted or (beginnings and name.startswith(beginnings))
    }


def _value_of(attribute: Mapping[str, Any]) -> tuple[bytes, bytes]:
    if attribute["DataType"].startswith("Binary"):
        return _AS_BYTES, bytes(attribute["BinaryValue"])
    return _AS_TEXT, attribute["StringValue"].encode()
