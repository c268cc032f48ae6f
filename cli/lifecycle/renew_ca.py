"""`aerekos ca renew`: another certificate for the CA's key, where the one there is not valid now, or ends soon.

It cannot happen by itself: which of two clocks was wrong, the one at the founding or the one now, only people know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from controller.health.finding import Code, Finding
from controller.health.machine import certificate_findings
from controller.kit.authorities import fingerprint, first_certificate, spelled
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.settings import Settings

_CA = ("ca",)
_UNTIL_RENEWED = frozenset({Code.CERTIFICATE_NOT_YET_VALID, Code.CERTIFICATE_EXPIRED})


def require_valid_ca(settings: Settings) -> None:
    """Raises UserError for a CA nobody could believe now: all would start, and nobody could reach it."""
    for each in certificate_findings(settings.tls, datetime.now(UTC), _CA):
        if each.code in _UNTIL_RENEWED:
            raise UserError(each.message, hint=each.fix)


def what_is_wrong(settings: Settings) -> Sequence[Finding]:
    """Empty for a CA that needs no other certificate. Raises UserError for one that is missing or unreadable."""
    if not (settings.tls / "ca.crt").exists():
        raise UserError(f"there is no CA in {settings.tls}", hint="aerekos up makes it")
    found = list(certificate_findings(settings.tls, datetime.now(UTC), _CA))
    for each in found:
        if each.code == Code.CERTIFICATE_UNUSABLE:
            raise UserError(each.message, hint=each.fix)
    return found


def renew(settings: Settings) -> str:
    """The fingerprint of the CA's certificate from now on. Raises UserError while a conductor runs: it would go on
    showing what was signed for the one before.
    """
    from api.tls import CertificateAuthority

    if running_conductor.running(settings) is not None:
        raise UserError("the cloud is running", hint="aerekos down; aerekos ca renew; aerekos up")
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with running_conductor.the_only_one(settings):
        authority = CertificateAuthority(settings.tls, now=datetime.now(UTC))
        authority.certify_anew()
        return spelled(fingerprint(first_certificate(authority.ca_file.read_text())))
