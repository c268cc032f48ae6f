"""The cloud's own certificate authority, made at the first start, and the certificates it signs."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.kit.files import write_private, write_whole
from services.sdk.certificate import GATEWAY

CA_DAYS, LEAF_DAYS, RENEW_DAYS = 3650, 365, 60
INSTANCE_SECONDS = 86400


class CertificateAuthority:
    """Files in one folder: `ca.crt ca.key`, and `<name>.crt <name>.key` for each certificate.

    Raises OSError naming the file of the CA that cannot be used; all others are made anew.
    """

    def __init__(self, folder: Path, *, now: datetime) -> None:
        self._folder, self._now = folder, now
        if not self.ca_file.exists():
            self._make_ca()
        self._ca = _load_certificate(self.ca_file)
        self._key = _load_key(folder / "ca.key")

    @property
    def ca_file(self) -> Path:
        return self._folder / "ca.crt"

    @property
    def pem(self) -> bytes:
        """The certificate alone, as it is shown to everybody: the file may hold words beside it."""
        return self._ca.public_bytes(serialization.Encoding.PEM)

    def server(self, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Certificate and key for a server reachable at those names and addresses."""
        alternatives = x509.SubjectAlternativeName([_general(host) for host in hosts])
        return self._leaf("server", _name("aerekos", []), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, file: str, user: str, groups: Sequence[str]) -> tuple[Path, Path]:
        """Certificate and key that make their holder `user` in `groups`."""
        return self._leaf(file, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def for_instance(self, request: bytes, service: str, namespace: str, now: datetime) -> bytes:
        """The certificate (PEM) an instance of that Service serves with, for the key in `request` (a PEM request).

        What the request says of names is not read: who asks was proven otherwise. Raises ValueError for a request
        that is none, or that its key did not sign.
        """
        asked = x509.load_pem_x509_csr(request)
        public = asked.public_key()
        if not asked.is_signature_valid or not isinstance(public, ec.EllipticCurvePublicKey):
            raise ValueError("the request must be signed by the elliptic curve key it names")
        name = service_host(service, namespace)
        builder = self._builder(_name(name, []), public, self._ca.subject, 1, now=now)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return self._signed(builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def for_gateway(self, now: datetime) -> bytes:
        """Certificate and key (PEM) the gateway shows to instances. In memory only, and nobody at this API."""
        private = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(GATEWAY, []), private.public_key(), self._ca.subject, 1, now=now)
        key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._signed(builder, ExtendedKeyUsageOID.CLIENT_AUTH) + key

    def _signed(self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> bytes:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _leaf(
        self,
        file: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        kept = self._still_good(certificate, key, subject)
        if kept is not None and _names_of(kept[0]) == alternatives:
            return certificate, key
        private = kept[1] if kept else ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, private.public_key(), self._ca.subject, LEAF_DAYS)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if alternatives:
            builder = builder.add_extension(alternatives, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        if kept:  # other names alone: its key stays where it is, and no moment has one that does not fit
            write_whole(certificate, signed.public_bytes(serialization.Encoding.PEM))
        else:
            _write(certificate, key, signed, private)
        return certificate, key

    def _still_good(
        self, certificate: Path, key: Path, subject: x509.Name
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        """What is there, if it is of this CA, lasts for a while, and fits together; whatever names it has."""
        try:
            old, private = _load_certificate(certificate), _load_key(key)
            old.verify_directly_issued_by(self._ca)
        except (OSError, ValueError, InvalidSignature):
            return None  # missing, broken, or of a CA that was here before
        ends_soon = old.not_valid_after_utc - self._now < timedelta(days=RENEW_DAYS)
        if old.subject != subject or ends_soon or self._now < old.not_valid_before_utc:
            return None
        return (old, private) if old.public_key() == private.public_key() else None

    def certify_anew(self) -> None:
        """Another certificate for the same key and name, valid from now on: what it signed still counts. Who keeps
        the certificate of before believes it at the times that one names.
        """
        self._ca = self._own_certificate(self._key)
        write_whole(self.ca_file, self.pem)

    def _make_ca(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        _write(self.ca_file, self._folder / "ca.key", self._own_certificate(private), private)

    def _own_certificate(self, private: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        name = _name("aerekos-ca", ["aerekos"])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = self._builder(name, private.public_key(), name, CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        return builder.sign(private, hashes.SHA256())

    def _builder(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        issuer: x509.Name,
        days: int,
        *,
        now: datetime | None = None,
    ) -> x509.CertificateBuilder:
        now = now or self._now
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
        )


def _names_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def dns_names(certificate: Path) -> tuple[str, ...]:
    """The host names, without addresses and patterns, that a certificate is for. Raises OSError."""
    names = _names_of(_load_certificate(certificate))
    found = names.get_values_for_type(x509.DNSName) if names else []
    return tuple(each for each in found if not each.startswith("*."))


def addresses(certificate: Path) -> tuple[str, ...]:
    """The addresses that a certificate is for. Raises OSError."""
    names = _names_of(_load_certificate(certificate))
    return tuple(str(each) for each in names.get_values_for_type(x509.IPAddress)) if names else ()


def service_host(service: str, namespace: str) -> str:
    """What the certificate of a Service's instances is for, as Kubernetes names services."""
    return f"{service}.{namespace}.svc"


def _name(common: str, organizations: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise _unusable(file, "certificate") from error


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise _unusable(file, "private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unusable(file, "elliptic curve key")
    return key


def _unusable(file: Path, what: str) -> OSError:
    how = (
        "put a backup in its place, or move ca.crt and ca.key away: new ones are made, which clients must trust anew"
    )
    return OSError(errno.EINVAL, f"holds no {what}; {how}", str(file))


def _write(certificate: Path, key: Path, signed: x509.Certificate, private: ec.EllipticCurvePrivateKey) -> None:
    # The key first: a certificate without its key would be kept and never work.
    write_private(
        key,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    write_whole(certificate, signed.public_bytes(serialization.Encoding.PEM))
