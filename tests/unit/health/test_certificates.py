"""Certificates by the clock: in time, before it, after it, and not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.tls import CA_DAYS, LEAF_DAYS, Authority
from controller.health.machine import certificate_findings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def codes(folder: Path, now: datetime) -> list[str]:
    return [str(each.code) for each in certificate_findings(folder, now)]


def test_each_by_its_dates(tmp_path: Path) -> None:
    assert codes(tmp_path, NOW) == [], "what is not there yet is made at the start"
    Authority(tmp_path, now=NOW).server(["localhost"])
    assert codes(tmp_path, NOW) == []
    assert codes(tmp_path, NOW - timedelta(days=1)) == ["CertificateNotYetValid"] * 2
    assert codes(tmp_path, NOW + timedelta(days=LEAF_DAYS - 10)) == ["CertificateExpiring"]
    assert codes(tmp_path, NOW + timedelta(days=LEAF_DAYS + 1)) == ["CertificateExpired"]
    assert codes(tmp_path, NOW + timedelta(days=CA_DAYS + 1)) == ["CertificateExpired"] * 2


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("rust")
    (finding,) = certificate_findings(tmp_path, NOW)
    assert str(tmp_path / "ca.crt") in finding.message and finding.severity == "critical"
