"""Filters and orders of lists of secrets. Pure.

    name            begins with the text, in these letters
    tag-key, tag-value   likewise, of any tag
    description     has words that begin with those of the text, in any letters
    all             each word is in the name, the description or a tag, in any letters
    primary-region, owning-service   exactly

A text that begins with `!` turns its filter round. Source: AWS Secrets Manager API reference, Filter; User Guide,
"Find secrets in AWS Secrets Manager".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crds.model import rfc3339_micro
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.views import changed_at, created_at

_WORDS = re.compile(r"[^A-Za-z0-9]+")
Test = Callable[[FoundSecret, str], bool]


def matches(found: FoundSecret, filters: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every filter lets it through. Within one, one of the values is enough."""
    return all(_matches_one(found, TESTS[each["Key"]], each.get("Values") or ()) for each in filters)


def order_of(sort_by: str) -> Callable[[FoundSecret], str]:
    """What secrets are ordered by, as text; the name decides between equals."""
    return lambda found: f"{ORDERS[sort_by](found)}\x00{found.label}"


def _matches_one(found: FoundSecret, test: Test, values: Iterable[str]) -> bool:
    wanted = [each for each in values if not each.startswith("!")]
    unwanted = [each[1:] for each in values if each.startswith("!")]
    if any(test(found, each) for each in unwanted):
        return False
    return not wanted or any(test(found, each) for each in wanted)


def _words(text: str) -> list[str]:
    return [each for each in _WORDS.split(text.lower()) if each]


def _describes(found: FoundSecret, text: str) -> bool:
    there = _words(found.spec.description)
    return all(any(word.startswith(each) for word in there) for each in _words(text))


def _anywhere(found: FoundSecret, text: str) -> bool:
    tags = found.spec.tags
    there = "\x00".join([found.label, found.spec.description, *tags, *tags.values()]).lower()
    return all(each in there for each in text.lower().split())


def _in_region(found: FoundSecret, text: str) -> bool:
    return found.arn.split(":", 4)[3] == text


TESTS: Mapping[str, Test] = {
    "name": lambda found, text: found.label.startswith(text),
    "tag-key": lambda found, text: any(each.startswith(text) for each in found.spec.tags),
    "tag-value": lambda found, text: any(each.startswith(text) for each in found.spec.tags.values()),
    "description": _describes,
    "all": _anywhere,
    "primary-region": _in_region,
    "owning-service": lambda found, text: False,
}
ORDERS: Mapping[str, Callable[[FoundSecret], str]] = {
    "created-date": lambda found: _moment(created_at(found)),
    "last-changed-date": lambda found: _moment(changed_at(found)),
    "last-accessed-date": lambda found: _moment(found.secret.status.accessed_on),
    "name": lambda found: found.label,
}


def _moment(moment: Any) -> str:
    return rfc3339_micro(moment) if moment is not None else ""
