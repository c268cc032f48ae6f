"""The certificate of a CA, as somebody shows it, and the fingerprint by which people and machines know it again."""

from __future__ import annotations

import hashlib
import ssl

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_HEX = frozenset("0123456789abcdef")
_DIGITS = 64


def only_certificate(pem: str) -> str:
    """That certificate written anew (PEM), and nothing that stood beside it.

    Who is trusted by the fingerprint must be trusted in this form: a text may hold the right certificate and, after
    it, another one, which a TLS context would trust as well. Raises ValueError when it is not exactly one.
    """
    text = pem.strip()
    if text.count(_BEGIN) != 1 or not text.startswith(_BEGIN):
        raise ValueError("this is not one certificate in PEM form")
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(text + "\n"))


def first_certificate(text: str) -> str:
    """The first certificate (PEM) of a file that is trusted as it is, without what tools write around it. Raises
    ValueError when there is none.
    """
    _, begin, rest = text.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not end:
        raise ValueError("there is no certificate in PEM form")
    return only_certificate(f"{begin}{body}{end}")


def fingerprint(pem: str) -> str:
    """SHA-256 of the certificate's DER form, lower case hex: what a worker pins. Raises ValueError."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(only_certificate(pem))).hexdigest()


def spelled(fingerprint: str) -> str:
    """`AB:CD:...`, as browsers and openssl show it, for people to compare."""
    digits = fingerprint.upper()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def read_fingerprint(text: str) -> str:
    """The lower case hex digits of a fingerprint somebody typed or copied. Raises ValueError for less than all of it:
    a certificate with the same beginning is quickly made.
    """
    digits = text.strip().lower().removeprefix("sha256").replace(":", "").replace(" ", "").removeprefix("=")
    if len(digits) != _DIGITS or not _HEX.issuperset(digits):
        raise ValueError(f"a fingerprint has {_DIGITS} hexadecimal digits, with or without colons")
    return digits
