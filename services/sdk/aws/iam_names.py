"""Names of IAM: ARNs, unique ids, and what a thing of IAM is called as a resource.

IAM's names are told apart without regard to case and may have signs that names of resources may not: those become
a readable beginning and the hash of the whole.
"""

from __future__ import annotations

import base64
import hashlib

from crds.names import label_fault

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_BEGINNING = 40
AWS_MANAGED = "arn:aws:iam::aws:policy/"


def resource_name(name: str) -> str:
    """What a thing of that name in IAM is called as a resource."""
    lowered = name.lower()
    if label_fault(lowered) is None:
        return lowered
    plain = "".join(each if each in _PLAIN else "-" for each in lowered).strip("-")[:_BEGINNING]
    digest = hashlib.sha256(lowered.encode()).hexdigest()[:10]
    return f"{plain}-{digest}".strip("-")


def iam_arn(account: str, noun: str, path: str, name: str) -> str:
    """`arn:aws:iam::111122223333:user/team/ann`."""
    return f"arn:aws:iam::{account}:{noun}{path}{name}"


def unique_id(prefix: str, uid: str) -> str:
    """21 characters that no other thing has, not even the next one of that name: `AIDA...`."""
    digest = hashlib.sha256(f"{prefix}\x00{uid}".encode()).digest()
    return f"{prefix}{base64.b32encode(digest).decode()[: 21 - len(prefix)]}"


def name_in(arn: str, account: str, noun: str) -> str | None:
    """The name that an ARN of this account ends with; None for all other ARNs."""
    begin = f"arn:aws:iam::{account}:{noun}/"
    return arn.removeprefix(begin).rpartition("/")[2] if arn.startswith(begin) else None
