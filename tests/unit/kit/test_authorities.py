"""Fingerprints: one certificate, all of it, however it is written."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tls import CertificateAuthority
from controller.kit.authorities import fingerprint, first_certificate, only_certificate, read_fingerprint, spelled


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Several, for the length of a certificate decides how its last line ends."""
    folder = tmp_path_factory.mktemp("cas")
    return [CertificateAuthority(folder / str(each), now=datetime.now(UTC)).ca_file.read_text() for each in range(6)]


def test_the_same_as_openssl_and_browsers_show(pems: list[str]) -> None:
    for pem in pems:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        assert fingerprint(pem) == fingerprint(f"\n{pem}\n") == digest
        assert spelled(digest).replace(":", "").lower() == digest and spelled(digest).count(":") == 31


def test_two_in_one_text_are_never_one(pems: list[str]) -> None:
    for first in pems:
        for second in pems:
            with pytest.raises(ValueError, match="not one certificate"):
                only_certificate(first + second)


def test_a_file_of_ones_own_may_hold_words_and_more(pems: list[str]) -> None:
    written = f"Bag Attributes\n    friendlyName: aerekos\n{pems[0]}{pems[1]}"
    assert first_certificate(written) == pems[0]
    with pytest.raises(ValueError, match="not one certificate"):
        only_certificate(written)
    for none in ("", "words", "-----BEGIN CERTIFICATE-----\nAAAA"):
        with pytest.raises(ValueError):
            first_certificate(none)


def test_only_what_the_fingerprint_covers_is_trusted_from_then_on(pems: list[str]) -> None:
    for pem in pems:
        kept = only_certificate(pem)
        trust = ssl.create_default_context(cadata=kept)
        assert [hashlib.sha256(each).hexdigest() for each in trust.get_ca_certs(binary_form=True)] == [
            fingerprint(kept)
        ]


@pytest.mark.parametrize("text", ["", "<html>", "-----BEGIN CERTIFICATE-----\n%%%", "-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        fingerprint(text)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["", "SHA256:", "sha256 ", "SHA256="]))
def test_every_way_to_write_a_fingerprint_is_read(digest: bytes, before: str) -> None:
    for written in (digest.hex(), digest.hex().upper(), spelled(digest.hex()), digest.hex(" ")):
        assert read_fingerprint(f" {before}{written}\n") == digest.hex()


@given(st.text(max_size=80))
def test_what_is_not_a_whole_one_is_refused(text: str) -> None:
    try:
        read = read_fingerprint(text)
    except ValueError as refused:
        assert "64 hexadecimal digits" in str(refused)
    else:
        assert len(bytes.fromhex(read)) == 32
