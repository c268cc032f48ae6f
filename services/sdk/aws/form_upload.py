"""`multipart/form-data` of a browser's upload to S3: its fields, then the file, as they arrive.

Source: RFC 7578, RFC 2046; S3 API reference, "POST Object", "Authenticating requests in browser-based uploads".
The fields come before the file and are small; of what comes after the file nothing counts, as at AWS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from email.message import Message
from typing import NamedTuple

from services.sdk.asgi import Receive
from services.sdk.aws.authorization_header import parse_credential
from services.sdk.aws.sigv4 import derive_key

MOST_BYTES, MOST_FIELDS = 64 * 1024, 100
_STEP = 256
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_END = b"\r\n\r\n"


class FormError(ValueError):
    """A form that cannot be read."""


class FormFields(NamedTuple):
    """`fields` by lower-case name; `order`: as they were sent. `filename`: the browser's name of the file.

    `read`: everything that was taken off the stream so far; `rest`: what of it is the file's content already.
    """

    fields: dict[str, str]
    filename: str
    delimiter: bytes
    read: bytes
    rest: bytes
    ended: bool


def boundary_of(content_type: str) -> str | None:
    """None for what is no form."""
    message = Message()
    message["content-type"] = content_type
    if message.get_content_type() != "multipart/form-data":
        return None
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not _BOUNDARY.fullmatch(boundary):
        return None
    return boundary


async def read_fields(receive: Receive, boundary: str) -> FormFields:
    """Take the fields off the stream, up to the file. Raises FormError."""
    held, more, looked_at = bytearray(), True, 0
    while True:
        # Not at every byte: whoever sends them one by one would have all of them read again each time.
        is_due = not more or len(held) >= looked_at + max(_STEP, looked_at // 4)
        looked_at = len(held) if is_due else looked_at
        found = _parsed(bytes(held), boundary, ended=not more) if is_due else None
        if found is not None:
            return found._replace(ended=not more)
        if not more:
            raise FormError("The body of your POST request is not well-formed multipart/form-data.")
        if len(held) > MOST_BYTES:
            raise FormError("Your POST request fields preceding the upload file were too large.")
        message = await receive()
        if message["type"] == "http.disconnect":
            raise FormError("the client went away")
        held += message.get("body", b"")
        more = bool(message.get("more_body"))


def _parsed(data: bytes, boundary: str, *, ended: bool) -> FormFields | None:
    """None while the file has not begun."""
    opening, delimiter = b"--" + boundary.encode(), b"\r\n--" + boundary.encode()
    at = data.find(opening)
    if at < 0:
        return None
    at += len(opening)
    fields: dict[str, str] = {}
    while True:
        if data[at : at + 2] == b"--":
            raise FormError("POST requires exactly one file upload per request.")
        end = data.find(_END, at)
        if data[at : at + 2] != b"\r\n" or end < 0:
            if ended or (len(data) >= at + 2 and data[at : at + 2] != b"\r\n"):
                raise FormError("The body of your POST request is not well-formed multipart/form-data.")
            return None
        name, filename = _named(data[at + 2 : end])
        start = end + len(_END)
        if name == "file":
            return FormFields(fields, filename, delimiter, data, data[start:], ended)
        stop = data.find(delimiter, start)
        if stop < 0:
            return None
        if name in fields or len(fields) >= MOST_FIELDS:
            raise FormError(f"the field {name[:80]} is there twice, or there are more than {MOST_FIELDS}")
        fields[name] = _text(data[start:stop])
        at = stop + len(delimiter)


def _named(head: bytes) -> tuple[str, str]:
    message = Message()
    for line in _text(head).split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            message["content-disposition"] = value.strip()
    field, file = message.get_param("name", header="content-disposition"), message.get_filename("")
    if not isinstance(field, str) or not field:
        raise FormError("a part of the form has no name")
    return field.lower(), file


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FormError("the form is not UTF-8") from None


async def file_blocks(form: FormFields, receive: Receive) -> AsyncIterator[bytes]:
    """The file's content. Raises FormError where it does not end."""
    held, more = bytearray(form.rest), not form.ended
    while True:
        end = held.find(form.delimiter)
        if end >= 0:
            yield bytes(held[:end])
            break
        if not more:
            raise FormError("The body of your POST request is not well-formed multipart/form-data.")
        safe = len(held) - len(form.delimiter)
        if safe > 0:
            yield bytes(held[:safe])
            del held[:safe]
        message = await receive()
        if message["type"] == "http.disconnect":
            raise FormError("the client went away")
        held += message.get("body", b"")
        more = bool(message.get("more_body"))
    while more:  # what comes after the file does not count
        message = await receive()
        more = message["type"] != "http.disconnect" and bool(message.get("more_body"))


def access_key_of(fields: Mapping[str, str]) -> str | None:
    """Whose key a form says it is signed with; empty for a half signature, None for a form without a policy."""
    if "policy" not in fields:
        return None
    if "x-amz-signature" in fields:
        credential = parse_credential(fields.get("x-amz-credential", ""))
        fits = fields.get("x-amz-algorithm") == "AWS4-HMAC-SHA256" and credential is not None
        return credential.access_key if fits and credential is not None and credential.service == "s3" else ""
    return fields.get("awsaccesskeyid", "") if "signature" in fields else ""


def is_signed_by(fields: Mapping[str, str], secret: str) -> bool:
    """Whether the policy of a form was signed with that secret; by version 4, or, as old libraries do, version 2."""
    policy = fields.get("policy", "")
    if (said := fields.get("x-amz-signature")) is not None:
        credential = parse_credential(fields.get("x-amz-credential", ""))
        if credential is None:
            return False
        key = derive_key(secret, credential.date, credential.region, credential.service)
        right = hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(right.encode(), said.encode())
    digest = hmac.new(secret.encode(), policy.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(base64.b64encode(digest), fields.get("signature", "").encode())
