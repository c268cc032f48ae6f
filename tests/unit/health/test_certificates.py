"""Certificates by the clock: in time, before it, after it, and not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from api.tls import CA_DAYS, LEAF_DAYS, CertificateAuthority
from cli.lifecycle import renew_ca
from controller.health.machine import certificate_findings
from controller.main.errors import UserError
from controller.main.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def codes(folder: Path, now: datetime) -> list[str]:
    return [str(each.code) for each in certificate_findings(folder, now)]


def test_each_by_its_dates(tmp_path: Path) -> None:
    assert codes(tmp_path, NOW) == [], "what is not there yet is made at the start"
    CertificateAuthority(tmp_path, now=NOW).server(["localhost"])
    assert codes(tmp_path, NOW) == []
    assert codes(tmp_path, NOW - timedelta(days=1)) == ["CertificateNotYetValid"] * 2
    assert codes(tmp_path, NOW + timedelta(days=LEAF_DAYS - 10)) == ["CertificateExpiring"]
    assert codes(tmp_path, NOW + timedelta(days=LEAF_DAYS + 1)) == ["CertificateExpired"]
    assert codes(tmp_path, NOW + timedelta(days=CA_DAYS + 1)) == ["CertificateExpired"] * 2


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("rust")
    (finding,) = certificate_findings(tmp_path, NOW)
    assert str(tmp_path / "ca.crt") in finding.message and finding.severity == "critical"


def test_a_clock_that_was_ahead_at_the_founding(tmp_path: Path) -> None:
    ahead = CertificateAuthority(tmp_path, now=NOW + timedelta(days=3))
    ahead.server(["localhost"])
    before = x509.load_pem_x509_certificate(ahead.pem)
    assert codes(tmp_path, NOW) == ["CertificateNotYetValid"] * 2
    assert all("aerekos" in each.fix for each in certificate_findings(tmp_path, NOW))
    anew = CertificateAuthority(tmp_path, now=NOW)
    anew.server(["localhost"])
    assert codes(tmp_path, NOW) == ["CertificateNotYetValid"], "a start makes all but the CA's own"
    anew.certify_anew()
    assert codes(tmp_path, NOW) == []
    after = x509.load_pem_x509_certificate(anew.pem)
    assert (after.subject, after.public_key()) == (before.subject, before.public_key())
    for name in ("server",):
        leaf = x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes())
        leaf.verify_directly_issued_by(after)
        leaf.verify_directly_issued_by(before)


def test_a_start_refuses_a_ca_nobody_could_believe(tmp_path: Path) -> None:
    settings, now = Settings(home=tmp_path), datetime.now(UTC)
    renew_ca.require_valid_ca(settings)
    with pytest.raises(UserError, match="there is no CA"):
        renew_ca.what_is_wrong(settings)
    CertificateAuthority(settings.tls, now=now + timedelta(days=3))
    with pytest.raises(UserError, match="valid only from") as refused:
        renew_ca.require_valid_ca(settings)
    assert "aerekos ca renew" in str(refused.value.hint)
    before = (settings.tls / "ca.key").read_bytes()
    assert len(renew_ca.what_is_wrong(settings)) == 1
    assert renew_ca.renew(settings).count(":") == 31
    renew_ca.require_valid_ca(settings)
    assert not renew_ca.what_is_wrong(settings) and (settings.tls / "ca.key").read_bytes() == before
