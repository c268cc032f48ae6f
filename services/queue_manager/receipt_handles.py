"""Receipt handles: which message was received, and by which receive. Opaque to clients, short, with a version.

    version 1: byte 1, the queue's, the message's and the receive's number, 8 bytes each; in base64url

The number of a receive is random: a handle cannot be guessed by whoever may delete, but not receive.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from typing import NamedTuple

_FORM = struct.Struct(">BQQQ")
_VERSION = 1


class ReceiptHandle(NamedTuple):
    """What a handle says."""

    queue: int
    message: int
    receipt: int

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_FORM.pack(_VERSION, *self)).decode().rstrip("=")


def new_receipt() -> int:
    """The number of a receive; fits into a signed 64 bit column, and is never 0."""
    return secrets.randbits(62) + 1


def parse_handle(text: str) -> ReceiptHandle | None:
    """None for what is none of ours."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, *numbers = _FORM.unpack(raw)
    except (UnicodeEncodeError, binascii.Error, ValueError, struct.error):
        return None
    return ReceiptHandle(*numbers) if version == _VERSION else None
