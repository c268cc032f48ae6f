"""Public access: what is public, and the four switches that keep it from happening or from counting.

Source: S3 user guide, "Blocking public access to your Amazon S3 storage", "The meaning of 'public'".
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import NamedTuple

from services.sdk.aws.policy.document import read_document, statements_of, texts_of
from services.storage_manager.configuration.acl import is_public_acl
from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error

# A fixed value of one of these says who may, however many "*" name.
_FIXED = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_EQUAL = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"})
_FEW_ADDRESSES = {4: 8, 6: 32}


class PublicAccessBlock(NamedTuple):
    """The switches. `block_...`: it may not be written; the others: it is written, and does not count."""

    block_acls: bool = False
    ignore_acls: bool = False
    block_policy: bool = False
    restrict_buckets: bool = False


ALL = PublicAccessBlock(True, True, True, True)
_NAMES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def check_block(document: Document) -> Document:
    """A switch that is not said is off."""
    return {name: document.get(name, False) for name in _NAMES}


def block_of(document: Document | None) -> PublicAccessBlock:
    """The switches of a kept document; none is on without one."""
    return PublicAccessBlock(*(document[name] for name in _NAMES)) if document else PublicAccessBlock()


def block_document(block: PublicAccessBlock) -> Document:
    """As S3 writes it."""
    return dict(zip(_NAMES, block, strict=True))


def require_acl_not_public(block: PublicAccessBlock, acl: Document) -> None:
    """Raises S3Error AccessDenied."""
    if block.block_acls and is_public_acl(acl):
        raise S3Error(
            "AccessDenied", "public ACLs are blocked by the BlockPublicAcls setting of the public access block"
        )


def require_policy_not_public(block: PublicAccessBlock, policy: str) -> None:
    """Raises S3Error AccessDenied."""
    if block.block_policy and is_public_policy(policy):
        why = "public policies are blocked by the BlockPublicPolicy setting of the public access block"
        raise S3Error("AccessDenied", why)


def is_public_policy(text: str) -> bool:
    """Whether a statement allows something to everybody, whoever and wherever they are."""
    return any(
        each.get("Effect") == "Allow" and _names_everybody(each) and not _is_fixed(each.get("Condition", {}))
        for each in statements_of(read_document(text))
    )


def _names_everybody(statement: Document) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    named = texts_of(principal.get("AWS", []), "Principal.AWS") if isinstance(principal, dict) else (principal,)
    return "*" in named


def _is_fixed(conditions: Document) -> bool:
    return any(
        _fixes(operator, key.lower(), values if isinstance(values, list) else [values])
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _fixes(operator: str, key: str, values: Iterable[str]) -> bool:
    plain = operator.removeprefix("ForAnyValue:")
    if key == "aws:sourceip":
        return plain == "IpAddress" and all(map(_is_narrow, values))
    return plain in _EQUAL and key in _FIXED and not any(set("*?$") & set(str(each)) for each in values)


def _is_narrow(text: str) -> bool:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _FEW_ADDRESSES[network.version]
