"""Statements of a resource policy that are written and taken away by their labels (AddPermission, RemovePermission).

Pure: a policy is the JSON of one, its statements a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

Json = dict[str, Any]
ACCOUNT_DIGITS, LONGEST_LABEL = 12, 80
_LABEL_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class LabelTaken(Exception):
    """A statement of that label is there."""


class NoSuchLabel(Exception):
    """No statement of that label is there."""


def is_label(text: str) -> bool:
    """Whether a statement can be called that."""
    return 1 <= len(text) <= LONGEST_LABEL and _LABEL_SIGNS.issuperset(text)


def is_account(text: str) -> bool:
    return len(text) == ACCOUNT_DIGITS and text.isascii() and text.isdecimal()


def read_policy(text: str) -> Json:
    """The JSON of a policy that was checked before, its statements as a list."""
    policy: Json = orjson.loads(text)
    statements = policy.get("Statement") or []
    return {**policy, "Statement": statements if isinstance(statements, list) else [statements]}


def with_statement(policy: Json, statement: Json) -> Json:
    """Raises LabelTaken."""
    if any(each.get("Sid") == statement["Sid"] for each in policy["Statement"]):
        raise LabelTaken
    return {**policy, "Statement": [*policy["Statement"], statement]}


def without_statement(policy: Json, label: str) -> Json:
    """Raises NoSuchLabel."""
    kept = [each for each in policy["Statement"] if each.get("Sid") != label]
    if len(kept) == len(policy["Statement"]):
        raise NoSuchLabel
    return {**policy, "Statement": kept}


def allowing(label: str, accounts: Sequence[str], actions: Sequence[str], resource: str) -> Json:
    """The statement that lets these accounts do these actions, which have their service in front (`SQS:SendMessage`).
    One is written as itself, several as a list.
    """
    principals = [f"arn:aws:iam::{each}:root" for each in accounts]
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
        "Action": actions[0] if len(actions) == 1 else list(actions),
        "Resource": resource,
    }
