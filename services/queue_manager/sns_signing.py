"""What proves that SNS sent a message to an address, and that a subscription is confirmed by whoever got its token.

The key is made when it is first needed, and lies in the service's data folder. Source: Amazon SNS Developer Guide,
"Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from services.sdk.resources import write_private

FILE = "sns-signing.pem"
TOKEN_SECONDS = 2 * 86_400
_BITS, _DAYS = 2048, 3650
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_UID, _TIME, _MARK = 32, 8, 64


class SigningKey(NamedTuple):
    """The private key, its certificate as PEM, the SHA-256 of that in hexadecimal, and what tokens are made with."""

    private: rsa.RSAPrivateKey
    certificate: bytes
    fingerprint: str
    tokens: bytes


Key = Callable[[], Awaitable[SigningKey]]
"""Read, or made, when it is first needed."""


def open_signing_key(folder: Path, now: datetime) -> SigningKey:
    """The key that lies there, made where there is none. Blocks; durable when it returns."""
    path = folder / FILE
    if not path.exists():
        write_private(path, _new_key(now))
    content = path.read_bytes()
    private = serialization.load_pem_private_key(content, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    certificate = x509.load_pem_x509_certificate(content)
    plain, mark = certificate.public_bytes(serialization.Encoding.PEM), certificate.fingerprint(hashes.SHA256()).hex()
    return SigningKey(private, plain, mark, hashlib.sha256(b"sns-tokens\x00" + content).digest())


def signed(key: SigningKey, told: Mapping[str, str], version: str) -> str:
    """The `Signature` of a message: by SHA1 for the version `1`, by SHA256 for `2`."""
    members = _NOTIFICATION if told["Type"] == "Notification" else _CONFIRMATION
    content = "".join(f"{name}\n{told[name]}\n" for name in members if name in told).encode()
    digest = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303 - what version 1 is
    return base64.b64encode(key.private.sign(content, padding.PKCS1v15(), digest)).decode()


def new_token(key: SigningKey, uid: str, now: datetime) -> str:
    """What confirms the subscription of that uid, for two days."""
    plain, until = uid.replace("-", ""), int(now.timestamp()) + TOKEN_SECONDS
    return f"{plain}{until:0{_TIME}x}{_mark(key, plain, until)}"


def unsubscribe_token(key: SigningKey, uid: str) -> str:
    """What ends the subscription of that uid, for as long as there is one."""
    plain = uid.replace("-", "")
    return f"{plain}{_digest(key, f'unsubscribe/{plain}')}"


def unsubscribed_uid(key: SigningKey, token: str) -> str | None:
    """The subscription that token ends, as its uid without hyphens. None for a token that is none."""
    plain, mark = token[:_UID], token[_UID:]
    if not token.isascii() or not hmac.compare_digest(mark, _digest(key, f"unsubscribe/{plain}")):
        return None
    return plain


def uid_of(key: SigningKey, token: str, now: datetime) -> str | None:
    """The subscription that token confirms, as its uid without hyphens. None for a token that is none, or too old."""
    plain, time, mark = token[:_UID], token[_UID : _UID + _TIME], token[_UID + _TIME :]
    if len(token) != _UID + _TIME + _MARK or not token.isascii() or not set(time) <= set("0123456789abcdef"):
        return None
    until = int(time, 16)
    if until < now.timestamp() or not hmac.compare_digest(mark, _mark(key, plain, until)):
        return None
    return plain


def _mark(key: SigningKey, plain: str, until: int) -> str:
    return _digest(key, f"{plain}/{until}")


def _digest(key: SigningKey, text: str) -> str:
    return hmac.new(key.tokens, text.encode(), hashlib.sha256).hexdigest()


def _new_key(now: datetime) -> bytes:
    private = rsa.generate_private_key(65537, _BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns")])
    begin = now.astimezone(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=_DAYS))
        .sign(private, hashes.SHA256())
    )
    coding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return private.private_bytes(*coding) + certificate.public_bytes(serialization.Encoding.PEM)
