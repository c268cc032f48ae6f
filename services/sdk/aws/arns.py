"""Amazon Resource Names: `arn:aws:kms:eu-central-1:000000000000:key/1234`. Light: manifests may import it.

Source: AWS General Reference, "Amazon Resource Names".
"""

from __future__ import annotations

from typing import NamedTuple

LONGEST = 2048
_DIGITS = frozenset("0123456789")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Arn(NamedTuple):
    """The parts of a name. region and account are empty for resources that have none (`arn:aws:s3:::bucket`)."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def kind(self) -> str:
        """`key` of `key/1234`; empty where the resource is a name alone."""
        return self.resource.partition("/")[0] if "/" in self.resource else ""

    @property
    def name(self) -> str:
        """`1234` of `key/1234`, `a/b` of `alias/a/b`."""
        return self.resource.partition("/")[2] if "/" in self.resource else self.resource


def parse_arn(text: str) -> Arn | None:
    """None for everything that is no ARN."""
    parts = text.split(":", 5) if len(text) <= LONGEST else []
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        return None
    _, partition, service, region, account, resource = parts
    if not all(_WORD.issuperset(each) for each in (partition, service, region)):
        return None
    if account and (len(account) != 12 or not _DIGITS.issuperset(account)):
        return None
    return Arn(service, region, account, resource, partition)
