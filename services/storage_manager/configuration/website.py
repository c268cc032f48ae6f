"""Websites in buckets: what a configuration may say, and which object answers a path.

Source: S3 user guide, "Hosting a static website"; S3 API reference, PutBucketWebsite.
"""

from __future__ import annotations

import re

from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error

MOST_RULES, LONGEST_HOST = 50, 260
PROTOCOLS = frozenset({"http", "https"})
# A host, and a port where it has one: it becomes part of a header.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(:[0-9]{1,5})?")


def check_website(document: Document) -> Document:
    """Raises S3Error InvalidArgument, InvalidRequest, MalformedXML."""
    everything = document.get("RedirectAllRequestsTo")
    if everything is not None:
        if len(document) > 1:
            raise S3Error(
                "InvalidArgument", "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
            )
        if not everything["HostName"]:
            raise S3Error(
                "InvalidArgument",
                "A value for RedirectAllRequestsTo Host Name must be provided if RedirectAllRequestsTo is provided",
            )
        _check_host(everything)
        _check_protocol(everything)
        return document
    _check_documents(document)
    rules = document.get("RoutingRules", [])
    if len(rules) > MOST_RULES or document.get("RoutingRules") == []:
        raise S3Error("InvalidRequest", f"The website configuration must have 1 to {MOST_RULES} routing rules.")
    for rule in rules:
        _check_rule(rule)
    return document


def _check_documents(document: Document) -> None:
    index = document.get("IndexDocument")
    if index is None:
        raise S3Error(
            "InvalidArgument", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        )
    if not index["Suffix"] or "/" in index["Suffix"]:
        raise S3Error("InvalidArgument", "The IndexDocument Suffix is not well formed")
    if "ErrorDocument" in document and not document["ErrorDocument"]["Key"]:
        raise S3Error("InvalidArgument", "The ErrorDocument Key is not well formed")


def _check_rule(rule: Document) -> None:
    redirect, condition = rule["Redirect"], rule.get("Condition")
    if "ReplaceKeyWith" in redirect and "ReplaceKeyPrefixWith" in redirect:
        raise S3Error("InvalidRequest", "You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    if condition is not None and not condition:
        raise S3Error(
            "InvalidRequest",
            "Condition cannot be empty. To redirect all requests without a condition, the condition element "
            "shouldn't be present.",
        )
    if not redirect:
        raise S3Error("MalformedXML", "a Redirect says at least one of where and how")
    _check_host(redirect)
    _check_protocol(redirect)
    code, returned = redirect.get("HttpRedirectCode"), (condition or {}).get("HttpErrorCodeReturnedEquals")
    if code is not None and (len(code) != 3 or not code.isdecimal() or code[0] != "3" or code == "300"):
        raise S3Error(
            "InvalidRequest",
            f"The provided HTTP redirect code ({code[:32]}) is not valid. Valid codes are 3XX except 300.",
        )
    if returned is not None and (len(returned) != 3 or not returned.isdecimal() or returned[0] not in "45"):
        raise S3Error(
            "InvalidRequest",
            f"The provided HTTP error code ({returned[:32]}) is not valid. Valid codes are 4XX or 5XX.",
        )


def _check_host(redirect: Document) -> None:
    host = redirect.get("HostName")
    if host is not None and (len(host) > LONGEST_HOST or not _HOST.fullmatch(host)):
        why = "a name of letters, digits, dots and hyphens, without protocol and path, and a port where it has one"
        raise S3Error("InvalidArgument", f"HostName: {host[:100]!r} is no host: {why}")


def _check_protocol(redirect: Document) -> None:
    if redirect.get("Protocol", "http") not in PROTOCOLS:
        raise S3Error(
            "InvalidRequest",
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
            "automatically.",
        )
