"""What ConfigMaps, Secrets and Leases may hold, as Kubernetes has it (`pkg/apis/core/validation`, `coordination`).

Rules and no part of the models: what an earlier version kept is still read, and only what a write changes is judged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from crds.errors import BadRequest, Cause
from crds.names import config_key_fault
from crds.rules import Write

MOST_BYTES = 2**20
_DATA = ("data", "binaryData")


def keeps_data(write: Write) -> Iterator[Cause]:
    """Keys can be names of files, no key stands in both maps, and all values together are at most 1 MiB.

    Raises BadRequest for binary data that is no base64.
    """
    new = write.new or {}
    if write.new is None or all(new.get(name) == (write.old or {}).get(name) for name in _DATA):
        return
    for name in _DATA:
        for key in new.get(name) or ():
            if fault := config_key_fault(key):
                yield Cause(f"{name}[{key}]", f"Invalid value: {key[:100]!r}: {fault}")
            elif name == "binaryData" and key in (new.get("data") or ()):
                yield Cause(f"data[{key}]", f"Invalid value: {key!r}: duplicate of key present in binaryData")
    if (size := _size(new)) > MOST_BYTES:
        yield Cause("data", f"Too long: {size}: may not be more than {MOST_BYTES} bytes", "FieldValueTooLong")


def keeps_secret_type(write: Write) -> Iterator[Cause]:
    """Whoever uses a Secret chose it by its type."""
    if write.old is None or write.new is None or write.new.get("type") == write.old.get("type"):
        return
    yield Cause("type", f"Invalid value: {write.new.get('type')!r}: field is immutable")


def keeps_lease_numbers(write: Write) -> Iterator[Cause]:
    """A lease that lasts no time would be held by everybody."""
    new, old = _spec(write.new), _spec(write.old)
    for name, least, words in (("leaseDurationSeconds", 1, "greater than 0"),
                               ("leaseTransitions", 0, "greater than or equal to 0")):  # fmt: skip
        value = new.get(name)
        if value is not None and value < least and value != old.get(name):
            yield Cause(f"spec.{name}", f"Invalid value: {value}: must be {words}")


def _spec(body: dict[str, Any] | None) -> dict[str, Any]:
    return (body or {}).get("spec") or {}


def _size(body: dict[str, Any]) -> int:
    is_binary = body["kind"] == "Secret"  # whose `data` is base64
    texts = [] if is_binary else list((body.get("data") or {}).values())
    binary = body.get("data" if is_binary else "binaryData") or {}
    return sum(len(text.encode()) for text in texts) + sum(_decoded_size(*each) for each in binary.items())


def _decoded_size(key: str, value: str) -> int:
    try:
        return len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{key} is not base64 ({error})") from error
