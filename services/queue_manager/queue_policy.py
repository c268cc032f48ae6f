"""The policy of a queue: what may be one, compiled for the evaluator, and the statements AddPermission writes.

Source: Amazon SQS API reference, AddPermission, RemovePermission; "Amazon SQS policy language".
"""

from __future__ import annotations

from functools import lru_cache

from services.queue_manager.message_attributes import text_fault
from services.sdk.aws.policy import NamedPolicy, PolicyError, check_resource, parse_policy

LONGEST = 8192


def policy_fault(text: str) -> str | None:
    """Why that is no policy of a queue, or None."""
    if len(text) > LONGEST:
        return f"the policy of a queue has at most {LONGEST} characters, not {len(text)}"
    if fault := text_fault(text):
        return fault
    try:
        check_resource(text, more_in_sids=" _-")  # as labels have, and the policies that AWS itself makes
    except PolicyError as error:
        return str(error)
    return None


@lru_cache(maxsize=1024)
def compiled(text: str) -> NamedPolicy:
    """Raises PolicyError."""
    return NamedPolicy("queue", parse_policy(text))
