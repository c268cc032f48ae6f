"""The resource policy of a secret: what may be one, whether it lets in everybody, and compiled for the evaluator.

Source: AWS Secrets Manager API reference, PutResourcePolicy, ValidateResourcePolicy.
"""

from __future__ import annotations

from functools import lru_cache

from services.sdk.aws.policy import NamedPolicy, PolicyError, check_resource, parse_policy
from services.sdk.aws.policy.statements import Statement

LONGEST = 20_480
_NARROWING = ("aws:principalarn", "aws:principalaccount", "aws:sourceaccount", "aws:sourcearn", "aws:userid")


def policy_fault(text: str) -> str | None:
    """Why that is no policy of a secret, or None."""
    if len(text) > LONGEST:
        return f"a resource policy has at most {LONGEST} characters, not {len(text)}"
    try:
        check_resource(text)
    except PolicyError as error:
        return str(error)
    return None


def is_public(text: str) -> bool:
    """Whether a statement of it allows something to everybody, of whatever account."""
    return any(_is_open(each) for each in parse_policy(text).statements)


@lru_cache(maxsize=1024)
def compiled(text: str) -> NamedPolicy:
    """Raises PolicyError."""
    return NamedPolicy("resource", parse_policy(text))


def _is_open(statement: Statement) -> bool:
    """Only a plain `StringEquals` on who asks closes what is open to everybody: patterns may fit anybody."""
    if statement.effect != "Allow" or statement.principals is None:
        return False
    if not (statement.principals.everybody or statement.not_principals):
        return False
    return not any(
        each.operator.endswith("StringEquals")
        and each.operator != "ForAllValues:StringEquals"
        and each.key in _NARROWING
        for each in statement.conditions
    )
