"""Object lock: the default retention of a bucket, and what retention and legal holds forbid, until when.

COMPLIANCE binds everybody. GOVERNANCE yields to those who may `s3:BypassGovernanceRetention` and say so. A legal hold
binds until it is taken away. Source: S3 user guide, "Locking objects with Object Lock".
"""

from __future__ import annotations

from datetime import datetime, timedelta

from services.storage_manager.configuration.documents import Document, moment_of
from services.storage_manager.errors import S3Error

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
MODES = frozenset({GOVERNANCE, COMPLIANCE})
MOST_DAYS, DAYS_OF_YEAR = 36_500, 365
PROTECTED = "Access Denied because object protected by object lock."


def check_lock(document: Document) -> Document:
    """A bucket's configuration. Raises S3Error MalformedXML, InvalidRetentionPeriod."""
    if document.get("ObjectLockEnabled") != "Enabled":
        raise S3Error("MalformedXML", "ObjectLockEnabled is Enabled")
    if "Rule" not in document:
        return document
    default = document["Rule"].get("DefaultRetention", {})
    if default.get("Mode") not in MODES or ("Days" in default) == ("Years" in default):
        raise S3Error("MalformedXML", "a DefaultRetention has a Mode, and either Days or Years")
    days = default["Days"] if "Days" in default else default["Years"] * DAYS_OF_YEAR
    if days < 1:
        raise S3Error("InvalidRetentionPeriod", "Default retention period must be a positive integer value.")
    if days > MOST_DAYS:
        raise S3Error("InvalidRetentionPeriod", f"Default retention period is at most {MOST_DAYS} days.")
    return document


def default_retention(document: Document | None, now: datetime) -> Document | None:
    """The retention of an object that is written now and does not say any."""
    default = ((document or {}).get("Rule") or {}).get("DefaultRetention")
    if default is None:
        return None
    days = default["Days"] if "Days" in default else default["Years"] * DAYS_OF_YEAR
    return retention_of(default["Mode"], now + timedelta(days=days))


def retention_of(mode: str, until: datetime) -> Document:
    """As it is kept."""
    return {"Mode": mode, "RetainUntilDate": until.strftime("%Y-%m-%dT%H:%M:%SZ")}


def check_retention(document: Document, now: datetime) -> Document:
    """Of one object; an empty one takes it away. Raises S3Error MalformedXML, InvalidArgument."""
    if not document:
        return document
    if document.get("Mode") not in MODES or "RetainUntilDate" not in document:
        raise S3Error("MalformedXML", "a Retention has a Mode and a RetainUntilDate")
    if moment_of(document["RetainUntilDate"]) <= now:
        raise S3Error("InvalidArgument", "The retain until date must be in the future!")
    return document


def check_legal_hold(document: Document) -> Document:
    """Raises S3Error MalformedXML."""
    if document.get("Status") not in ("ON", "OFF"):
        raise S3Error("MalformedXML", "the Status of a LegalHold is ON or OFF")
    return document


def require_retention_change(old: Document | None, new: Document, now: datetime, *, bypass: bool) -> None:
    """Raises S3Error AccessDenied for what would bind less than it does now."""
    if not old or moment_of(old["RetainUntilDate"]) <= now:
        return
    longer = new and moment_of(new["RetainUntilDate"]) >= moment_of(old["RetainUntilDate"])
    if longer and new["Mode"] == old["Mode"]:
        return
    if old["Mode"] == COMPLIANCE or not bypass:
        raise S3Error("AccessDenied", PROTECTED)


def require_deletable(retention: Document | None, *, on_hold: bool, now: datetime, bypass: bool) -> None:
    """One version. Raises S3Error AccessDenied."""
    if on_hold:
        raise S3Error("AccessDenied", PROTECTED)
    if not retention or moment_of(retention["RetainUntilDate"]) <= now:
        return
    if retention["Mode"] == COMPLIANCE or not bypass:
        raise S3Error("AccessDenied", PROTECTED)
