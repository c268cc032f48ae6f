"""What limits a session of STS: its policies, its tags, and how long it lasts.

Source: AWS STS API reference (AssumeRole, GetFederationToken, GetSessionToken); AWS IAM user guide, "IAM and STS
quotas".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from api.auth.sts.refusals import VALIDATION, refused
from api.auth.sts.wanted import Limits
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.iam_names import AWS_MANAGED
from services.sdk.aws.policy import PolicyError, check_identity
from services.sdk.aws.tags import tag_fault

LEAST_SECONDS, HOUR = 900, 3600
LONGEST_POLICIES = 2048
PACKED_BYTES = 2048
_SIGNS = frozenset("\t\n\r") | frozenset(map(chr, range(0x20, 0x100)))
FindDocument = Callable[[str], str]
"""The document of a managed policy of the account; empty when there is none."""


class SessionTags(NamedTuple):
    """All tags of a session, and the keys of those that go on to the sessions made with it."""

    tags: dict[str, str]
    transitive: tuple[str, ...] = ()


def check_policies(limits: Limits, account: str, find: FindDocument) -> None:
    """Raises BadRequest for policies that are none, that are not there, or that are too long together."""
    if limits.policy:
        if not _SIGNS.issuperset(limits.policy):
            raise refused("MalformedPolicyDocument", "The policy has characters beyond U+00FF.", "policy")
        try:
            check_identity(limits.policy)
        except PolicyError as wrong:
            raise refused("MalformedPolicyDocument", wrong.message, "policy") from wrong
    if len(limits.policy) + sum(map(len, limits.policy_arns)) > LONGEST_POLICIES:
        said = f"The session policies have more than {LONGEST_POLICIES} characters together."
        raise refused(VALIDATION, said, "policy")
    for arn in limits.policy_arns:
        _check_managed(arn, account, find)


def _check_managed(arn: str, account: str, find: FindDocument) -> None:
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "policy":
        raise refused(VALIDATION, f"ARN {arn[:200]} is not valid.", "policyArns")
    if not arn.startswith(AWS_MANAGED) and parsed.account != account:
        raise refused(VALIDATION, f"The policy {arn} is not of the account {account}.", "policyArns")
    if not find(arn):
        raise refused("MalformedPolicyDocument", f"The policy {arn} does not exist.", "policyArns")


_CLASH = (
    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the "
    "calling session."
)


def checked_tags(
    given: Mapping[str, str], transitive: Iterable[str] = (), inherited: Mapping[str, str] | None = None
) -> SessionTags:
    """The tags of a session: its own, and those it has from the session it is made with. Raises BadRequest."""
    kept, passed_on = dict(inherited or {}), tuple(dict.fromkeys(transitive))
    if fault := tag_fault({**kept, **given}):
        raise refused(VALIDATION, fault, "tags")
    lowered = {name.lower() for name in given}
    if len(lowered) != len(given):
        said = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise refused("InvalidParameterValue", said, "tags")
    if not {each.lower() for each in passed_on} <= lowered:
        said = "The specified transitive tag key must be included in the requested tags."
        raise refused("InvalidParameterValue", said, "transitiveTagKeys")
    if lowered & {name.lower() for name in kept}:
        raise refused("InvalidParameterValue", _CLASH, "tags")
    return SessionTags({**kept, **given}, (*kept, *passed_on))


def packed_percent(limits: Limits, tags: Mapping[str, str]) -> int:
    """How much of what a session may carry its policies and tags take, in per cent. Raises BadRequest beyond 100."""
    if not (limits.policy or limits.policy_arns or tags):
        return 0
    parts = [limits.policy, *limits.policy_arns, *(f"{name}\x00{text}" for name, text in sorted(tags.items()))]
    percent = -(-100 * len(zlib.compress("\x01".join(parts).encode(), 9)) // PACKED_BYTES)
    if percent > 100:
        said = f"Packed size of session tags and policies consumes {percent}% of allotted space."
        raise refused("PackedPolicyTooLarge", said)
    return percent


def seconds_of(asked: int, usual: int, most: int, beyond: str) -> int:
    """How long it lasts. `beyond`: what is said to whoever asks for more than `most`. Raises BadRequest."""
    if not asked:
        return min(usual, most)
    if asked < LEAST_SECONDS:
        raise refused(VALIDATION, f"DurationSeconds must be at least {LEAST_SECONDS}.", "durationSeconds")
    if asked > most:
        raise refused(VALIDATION, beyond, "durationSeconds")
    return asked
