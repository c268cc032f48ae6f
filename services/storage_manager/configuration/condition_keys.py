"""What an S3 request says to the conditions of policies. Keys that have no meaning here are never present.

Source: AWS Service Authorization Reference, "Condition keys for Amazon S3"; IAM "Global condition context keys".
"""

from __future__ import annotations

from collections.abc import Mapping

from services.sdk.aws.policy.context import Given
from services.storage_manager.configuration.tagging import header_tags
from services.storage_manager.errors import S3Error

_OF_HEADERS = {
    name: f"s3:{name}"
    for name in (
        "x-amz-acl",
        "x-amz-copy-source",
        "x-amz-content-sha256",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
        "x-amz-metadata-directive",
        "x-amz-object-ownership",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
        "if-match",
        "if-none-match",
    )
} | {
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "referer": "aws:Referer",
    "user-agent": "aws:UserAgent",
    "x-aerekos-source-ip": "aws:SourceIp",
}
_OF_LISTS = {
    "s3:prefix": "prefix",
    "s3:delimiter": "delimiter",
    "s3:max-keys": "max-keys",
    "s3:VersionId": "versionId",
}


def facts_of(headers: Mapping[str, str], query: Mapping[str, str], owner: str) -> dict[str, Given]:
    """`owner`: the account of the bucket."""
    facts: dict[str, Given] = {"aws:ResourceAccount": owner, "s3:ResourceAccount": owner}
    facts |= {key: headers[name] for name, key in _OF_HEADERS.items() if name in headers}
    facts |= {key: query[name] for key, name in _OF_LISTS.items() if name in query}
    facts |= _signature_facts(headers, query)
    if "x-amz-copy-source" in headers:
        facts["s3:x-amz-copy-source"] = headers["x-amz-copy-source"].lstrip("/")
    if "x-amz-tagging" in headers:
        facts |= _tag_facts(headers["x-amz-tagging"])
    return facts


def existing_tag_facts(tags: Mapping[str, str]) -> dict[str, Given]:
    """Of the object as it is."""
    return {f"s3:ExistingObjectTag/{name}": value for name, value in tags.items()}


def request_tag_facts(tags: Mapping[str, str]) -> dict[str, Given]:
    """Of the tags a request brings."""
    facts: dict[str, Given] = {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
    return facts | {"s3:RequestObjectTagKeys": list(tags)}


def _tag_facts(text: str) -> dict[str, Given]:
    """What is no list of tags is refused by the operation; here it has no tags."""
    try:
        return request_tag_facts(header_tags(text))
    except S3Error:
        return {}


def _signature_facts(headers: Mapping[str, str], query: Mapping[str, str]) -> dict[str, Given]:
    if headers.get("authorization", "").startswith("AWS4-"):
        return {"s3:authType": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256"}
    if "X-Amz-Signature" in query:
        return {"s3:authType": "REST-QUERY-STRING", "s3:signatureversion": "AWS4-HMAC-SHA256"}
    return {}
