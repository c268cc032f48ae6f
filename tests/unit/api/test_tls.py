"""The cloud's own certificates: made once, kept while good, made anew when not, and checked by real TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.tls import CertificateAuthority

NOW = datetime.now(UTC)
HOSTS = ("localhost", "127.0.0.1", "::1")


def shake_hands(
    server: tuple[Path, Path], ca: Path, trusted: Path, client: tuple[Path, Path] | None
) -> dict[str, str]:
    """What the server learns of its client. Raises ssl.SSLError when either side refuses."""
    asked, answers = ssl.create_default_context(cafile=str(trusted)), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answers.load_cert_chain(*map(str, server))
    answers.load_verify_locations(str(ca))
    answers.verify_mode = ssl.CERT_OPTIONAL
    if client:
        asked.load_cert_chain(*map(str, client))
    ours, theirs = socket.socketpair()
    seen: dict[str, str] = {}

    def serve() -> None:
        try:
            with answers.wrap_socket(ours, server_side=True) as tls:
                subject = (tls.getpeercert() or {}).get("subject", ())
                seen.update({name: value for field in subject for name, value in field})
                tls.send(b"!")
        except OSError:
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with asked.wrap_socket(theirs, server_hostname="localhost") as tls:
            tls.recv(1)
    finally:
        theirs.close()
        thread.join(5)
    return seen


def test_server_and_client_certificates_hold_in_a_real_handshake(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    server, admin = authority.server(HOSTS), authority.client("admin", "ann", ["system:masters"])
    seen = shake_hands(server, authority.ca_file, authority.ca_file, admin)
    assert seen == {"commonName": "ann", "organizationName": "system:masters"}
    assert shake_hands(server, authority.ca_file, authority.ca_file, None) == {}


def test_certificates_of_another_ca_are_refused_by_either_side(tmp_path: Path) -> None:
    ours, theirs = CertificateAuthority(tmp_path / "a", now=NOW), CertificateAuthority(tmp_path / "b", now=NOW)
    server, stranger = ours.server(HOSTS), theirs.client("admin", "ann", ["system:masters"])
    with pytest.raises(OSError):
        assert shake_hands(server, ours.ca_file, ours.ca_file, stranger) == "refused"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, ours.ca_file, theirs.ca_file, None)


def test_a_client_certificate_is_no_server(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.client("admin", "ann", []), authority.ca_file, authority.ca_file, None)


def contents(authority: CertificateAuthority) -> bytes:
    certificate, key = authority.server(HOSTS)
    return certificate.read_bytes() + key.read_bytes()


def test_good_certificates_are_kept(tmp_path: Path) -> None:
    ca = CertificateAuthority(tmp_path, now=NOW).ca_file.read_bytes()
    made = contents(CertificateAuthority(tmp_path, now=NOW))
    assert contents(CertificateAuthority(tmp_path, now=NOW + timedelta(days=300))) == made
    assert CertificateAuthority(tmp_path, now=NOW).ca_file.read_bytes() == ca


def test_certificates_are_made_anew_before_they_expire(tmp_path: Path) -> None:
    made = contents(CertificateAuthority(tmp_path, now=NOW))
    assert contents(CertificateAuthority(tmp_path, now=NOW + timedelta(days=310))) != made


def test_another_name_means_another_certificate(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    first = authority.server(HOSTS)[0].read_bytes()
    key = authority.server(HOSTS)[1].read_bytes()
    other = authority.server((*HOSTS, "cloud.example"))
    assert other[0].read_bytes() != first
    assert other[1].read_bytes() == key, "no moment in which a power cut leaves a key that does not fit"
    assert other[1].stat().st_mode & 0o777 == 0o600
    shake_hands(other, authority.ca_file, authority.ca_file, None)
    assert authority.server(HOSTS)[1].read_bytes() == key


def test_words_around_the_ca_are_shown_to_nobody(tmp_path: Path) -> None:
    made = CertificateAuthority(tmp_path, now=NOW)
    alone = made.pem
    made.ca_file.write_bytes(b"Bag Attributes\n" + made.ca_file.read_bytes())
    assert CertificateAuthority(tmp_path, now=NOW).pem == alone and alone.startswith(b"-----BEGIN")


def test_a_key_that_does_not_fit_is_replaced_with_its_certificate(tmp_path: Path) -> None:
    """What a power cut between the two files would leave."""
    authority = CertificateAuthority(tmp_path, now=NOW)
    _, key = authority.server(HOSTS)
    _, other = authority.client("other", "ann", [])
    key.write_bytes(other.read_bytes())
    shake_hands(authority.server(HOSTS), authority.ca_file, authority.ca_file, None)


def test_a_new_ca_signs_everything_anew(tmp_path: Path) -> None:
    """Who moves the CA away must not be left with a server nobody trusts."""
    made = contents(CertificateAuthority(tmp_path, now=NOW))
    for file in ("ca.crt", "ca.key"):
        (tmp_path / file).unlink()
    authority = CertificateAuthority(tmp_path, now=NOW)
    assert contents(authority) != made
    shake_hands(authority.server(HOSTS), authority.ca_file, authority.ca_file, None)


def test_a_lost_key_is_replaced_together_with_its_certificate(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    authority.server(HOSTS)[1].unlink()
    shake_hands(authority.server(HOSTS), authority.ca_file, authority.ca_file, None)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_broken_ca_is_named_and_left_alone(tmp_path: Path, name: str) -> None:
    CertificateAuthority(tmp_path, now=NOW)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(OSError, match="holds no") as broken:
        CertificateAuthority(tmp_path, now=NOW)
    assert broken.value.filename == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b""


def test_a_broken_certificate_is_made_anew(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    authority.server(HOSTS)[0].write_bytes(b"-----BEGIN")
    shake_hands(authority.server(HOSTS), authority.ca_file, authority.ca_file, None)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, now=NOW)
    authority.server(HOSTS)
    authority.client("admin", "ann", [])
    assert {file.name: file.stat().st_mode & 0o077 for file in tmp_path.glob("*.key")} == {
        "ca.key": 0,
        "server.key": 0,
        "admin.key": 0,
    }
