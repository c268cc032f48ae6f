"""What a lifecycle configuration means for one object, one version, one upload: whether its time has come, and when.

Days count from when something began to be as it is, and end with the day: the midnight (UTC) after. Of several rules
the earliest counts. Source: S3 user guide, "Lifecycle configuration elements", "Conflicting lifecycle actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from services.storage_manager.configuration.documents import Document, midnight_after, moment_of
from services.storage_manager.configuration.lifecycle import filter_parts


class Subject(NamedTuple):
    """What rules look at. `since`: when it was written, became noncurrent, or was begun."""

    key: str
    since: datetime
    size: int = 0
    tags: Mapping[str, str] = {}


class Expiry(NamedTuple):
    """When, and by which rule."""

    at: datetime
    rule: str


def current_expiry(document: Document, subject: Subject) -> Expiry | None:
    """Of a current version: it is deleted, or gets a delete marker."""
    found = []
    for rule in _rules_for(document, subject, "Expiration"):
        said = rule["Expiration"]
        if "Days" in said:
            found.append(Expiry(_after_days(subject.since, said["Days"]), rule["ID"]))
        if "Date" in said:
            found.append(Expiry(moment_of(said["Date"]), rule["ID"]))
    return min(found, default=None)


def noncurrent_expiry(document: Document, subject: Subject, newer: int) -> Expiry | None:
    """Of a noncurrent version, of which `newer` newer ones are noncurrent, too."""
    found = []
    for rule in _rules_for(document, subject, "NoncurrentVersionExpiration"):
        said = rule["NoncurrentVersionExpiration"]
        if newer >= said.get("NewerNoncurrentVersions", 0):
            found.append(Expiry(_after_days(subject.since, said["NoncurrentDays"]), rule["ID"]))
    return min(found, default=None)


def removes_lone_markers(document: Document, subject: Subject, now: datetime) -> bool:
    """Whether a delete marker goes that is all that is left of a key."""
    for rule in _rules_for(document, subject, "Expiration"):
        said = rule["Expiration"]
        if said.get("ExpiredObjectDeleteMarker"):
            return True
        if "Days" in said and _after_days(subject.since, said["Days"]) <= now:
            return True
    return False


def upload_expiry(document: Document, subject: Subject) -> Expiry | None:
    """Of a multipart upload that was not completed."""
    rules = _rules_for(document, subject, "AbortIncompleteMultipartUpload")
    days = ((rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], rule["ID"]) for rule in rules)
    return min((Expiry(_after_days(subject.since, count), id) for count, id in days), default=None)


def expiration_header(expiry: Expiry) -> str:
    """`x-amz-expiration`; the id is URL-encoded in it."""
    date = expiry.at.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f'expiry-date="{date}", rule-id="{quote(expiry.rule, safe="")}"'


def _rules_for(document: Document, subject: Subject, action: str) -> Iterator[Document]:
    for rule in document["Rules"]:
        if rule["Status"] == "Enabled" and action in rule and _fits(filter_parts(rule), subject):
            yield rule


def _fits(parts: Document, subject: Subject) -> bool:
    if not subject.key.startswith(parts["Prefix"]):
        return False
    if subject.size <= parts.get("ObjectSizeGreaterThan", -1):
        return False
    if "ObjectSizeLessThan" in parts and subject.size >= parts["ObjectSizeLessThan"]:
        return False
    return all(subject.tags.get(each["Key"]) == each["Value"] for each in parts["Tags"])


def _after_days(since: datetime, days: int) -> datetime:
    """A count of days beyond what a calendar has never comes."""
    try:
        return midnight_after(since + timedelta(days=days))
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC)
