"""Lifecycle configurations: what a rule may say. What follows from one is `lifecycle_rules`.

Transitions are refused: there is one storage class. Source: S3 API reference, PutBucketLifecycleConfiguration.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from services.storage_manager.configuration.documents import Document, moment_of
from services.storage_manager.configuration.tagging import read_tags
from services.storage_manager.errors import S3Error

MOST_RULES, LONGEST_ID, MOST_NEWER = 1000, 255, 100
_ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_TRANSITIONS = ("Transition", "Transitions", "NoncurrentVersionTransition", "NoncurrentVersionTransitions")


def check_lifecycle(document: Document) -> Document:
    """Rules without an ID get one. Raises S3Error MalformedXML, InvalidArgument, InvalidRequest, NotImplemented."""
    rules = document.get("Rules", [])
    if not 1 <= len(rules) <= MOST_RULES:
        raise S3Error("MalformedXML", f"a LifecycleConfiguration has 1 to {MOST_RULES} rules")
    checked = [_checked(rule) for rule in rules]
    ids = [rule["ID"] for rule in checked]
    if len(set(ids)) != len(ids):
        raise S3Error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return {"Rules": checked}


def shown_lifecycle(document: Document) -> Document:
    """As it is answered: dates are moments again."""
    return {"Rules": [_with_date(rule) for rule in document["Rules"]]}


def filter_parts(rule: Document) -> Document:
    """The filter of a rule, flat: Prefix, Tags, ObjectSizeGreaterThan, ObjectSizeLessThan."""
    said = rule.get("Filter", {})
    both = said.get("And", {})
    tags = [said["Tag"]] if "Tag" in said else both.get("Tags", [])
    sizes = {
        name: each[name]
        for each in (said, both)
        for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan")
        if name in each
    }
    return {"Prefix": rule.get("Prefix", said.get("Prefix", both.get("Prefix", ""))), "Tags": tags, **sizes}


def _checked(rule: Document) -> Document:
    if rule["Status"] not in ("Enabled", "Disabled"):
        raise S3Error("MalformedXML", "Status is Enabled or Disabled")
    if len(rule.get("ID", "")) > LONGEST_ID:
        raise S3Error("InvalidArgument", f"ID length should not exceed allowed limit of {LONGEST_ID}")
    if not rule.get("ID", "").isprintable():
        raise S3Error("InvalidArgument", "ID: printable characters, on one line")
    for name in _TRANSITIONS:
        if rule.get(name):
            raise S3Error("NotImplemented", f"{name}: there is one storage class here, STANDARD")
    _check_filter(rule)
    if not any(name in rule for name in _ACTIONS):
        raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
    _check_actions(rule)
    return {**rule, "ID": rule.get("ID") or secrets.token_urlsafe(24)}


def _check_filter(rule: Document) -> None:
    if ("Filter" in rule) == ("Prefix" in rule):
        raise S3Error("MalformedXML", "a rule has either a Filter or a Prefix")
    said = rule.get("Filter", {})
    if len(said) > 1:
        raise S3Error("MalformedXML", "a Filter has one of its members; And has several")
    if "And" in said and len(said["And"]) + len(said["And"].get("Tags", ())) < 2:
        raise S3Error("MalformedXML", "And has at least two members")
    parts = filter_parts(rule)
    read_tags({"TagSet": parts["Tags"]})
    least, most = parts.get("ObjectSizeGreaterThan", 0), parts.get("ObjectSizeLessThan")
    if least < 0 or (most is not None and most <= least):
        raise S3Error(
            "InvalidRequest", "ObjectSizeLessThan is greater than ObjectSizeGreaterThan, and neither is negative"
        )


def _check_actions(rule: Document) -> None:
    parts = filter_parts(rule)
    by_more = bool(parts["Tags"]) or len(parts) > 2
    if "Expiration" in rule:
        _check_expiration(rule["Expiration"], by_more)
    if "NoncurrentVersionExpiration" in rule:
        _check_noncurrent(rule["NoncurrentVersionExpiration"])
    if "AbortIncompleteMultipartUpload" in rule:
        if by_more:
            raise S3Error("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags or sizes.")
        days = rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
        _require_positive([days], "DaysAfterInitiation", "AbortIncompleteMultipartUpload")


def _check_expiration(expiration: Document, by_more: bool) -> None:
    if len(expiration) != 1:
        raise S3Error("MalformedXML", "an Expiration has one of Days, Date and ExpiredObjectDeleteMarker")
    if "Days" in expiration:
        _require_positive([expiration["Days"]], "Days", "Expiration")
    if "Date" in expiration:
        moment = moment_of(expiration["Date"])
        if (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
            raise S3Error("InvalidArgument", "'Date' must be at midnight GMT")
    if "ExpiredObjectDeleteMarker" in expiration and by_more:
        raise S3Error("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags or sizes.")


def _check_noncurrent(expiration: Document) -> None:
    if "NoncurrentDays" not in expiration:
        raise S3Error("MalformedXML", "a NoncurrentVersionExpiration has NoncurrentDays")
    _require_positive([expiration["NoncurrentDays"]], "NoncurrentDays", "NoncurrentVersionExpiration")
    newer = expiration.get("NewerNoncurrentVersions", 1)
    if not 1 <= newer <= MOST_NEWER:
        raise S3Error("InvalidArgument", f"'NewerNoncurrentVersions' is 1 to {MOST_NEWER}")


def _require_positive(values: Iterable[int | None], name: str, action: str) -> None:
    if not all(each is not None and each > 0 for each in values):
        raise S3Error("InvalidArgument", f"'{name}' for {action} action must be a positive integer")


def _with_date(rule: Document) -> Document:
    date = rule.get("Expiration", {}).get("Date")
    return rule if date is None else {**rule, "Expiration": {"Date": moment_of(date)}}
