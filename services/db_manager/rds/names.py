"""What RDS calls things: identifiers, ARNs, resource ids. Light and pure.

Source: Amazon RDS User Guide, "Constraints for DB instances", "Amazon Resource Names (ARNs) in Amazon RDS".
"""

from __future__ import annotations

import base64
import hashlib

from services.sdk.aws.arns import Arn, parse_arn

DEFAULT_REGION = "us-east-1"
"""Of Databases that were made without one, by `kubectl`; these are seen in every region."""
LONGEST = 63
_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


def identifier_fault(identifier: str) -> str:
    """Why nothing can be called that; empty when it can. Capitals count as small letters."""
    name = identifier.lower()
    if not name or len(name) > LONGEST or name[0] not in _LETTERS or not _SIGNS.issuperset(name):
        return _FAULT
    return _FAULT if name.endswith("-") or "--" in name else ""


_FAULT = (
    "Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end "
    "with a hyphen or contain two consecutive hyphens."
)


def rds_arn(region: str, account: str, noun: str, name: str) -> str:
    """`arn:aws:rds:eu-central-1:111122223333:db:orders`. noun: `db`, `pg`, `snapshot`, `og`, `es`."""
    return str(Arn("rds", region, account, f"{noun}:{name}"))


def named_by_arn(text: str) -> tuple[Arn, str, str] | None:
    """The ARN, its noun and the name in it; None for what is no ARN of RDS."""
    arn = parse_arn(text)
    if arn is None or arn.service != "rds":
        return None
    noun, colon, name = arn.resource.partition(":")
    return (arn, noun, name.lower()) if colon and name else None


def name_in(text: str) -> str:
    """The name that an ARN or a name is of."""
    named = named_by_arn(text)
    return named[2] if named is not None else text.lower()


def is_named(arn: str, text: str) -> bool:
    """Whether a text with the name of the resource with that ARN means it: the name does, and no other ARN."""
    if not text.startswith("arn:"):
        return True
    named = named_by_arn(text)
    return named is not None and arn == rds_arn(named[0].region, named[0].account, named[1], named[2])


def resource_id(uid: str) -> str:
    """`db-` and 26 letters that no other instance has, not even the next one of the same name."""
    digest = hashlib.sha256(b"aerekos rds\x00" + uid.encode()).digest()
    return f"db-{base64.b32encode(digest).decode()[:26]}"


def is_resource_id(identifier: str) -> bool:
    """Whether that is a DbiResourceId and no identifier: these may be written in small letters only here."""
    return identifier.startswith("db-") and len(identifier) == 29 and identifier[3:].isupper()
