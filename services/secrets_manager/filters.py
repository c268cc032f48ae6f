"""Filters and orders of lists of secrets. Pure.

    name            begins with the text, in these letters
    tag-key, tag-value   likewise, of any tag
    description     has words that begin with those of the text, in any letters
    all             likewise, in the name, the description and the tags
    primary-region, owning-service   exactly

A word ends where letters and numbers do, and before a capital: `AppBeta` is two, and so are `COMPAN` and `Ythings`. A
text that begins with `!` fits what it would not fit without. Source: AWS Secrets Manager API reference, Filter; User
Guide, "Find secrets in AWS Secrets Manager"; AWS's answers as public tests recorded them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crds.model import rfc3339_micro
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.views import changed_at, created_at

Test = Callable[[FoundSecret, str], bool]


def matches(found: FoundSecret, filters: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every filter lets it through. Within one, one of the values is enough."""
    return all(_matches_one(found, TESTS[each["Key"]], each.get("Values") or ()) for each in filters)


def order_of(sort_by: str) -> Callable[[FoundSecret], str]:
    """What secrets are ordered by, as text; the name decides between equals."""
    return lambda found: f"{ORDERS[sort_by](found)}\x00{found.label}"


def _matches_one(found: FoundSecret, test: Test, values: Iterable[str]) -> bool:
    return any(not test(found, each[1:]) if each.startswith("!") else test(found, each) for each in values)


def words_of(text: str) -> list[str]:
    """In small letters."""
    found: list[str] = []
    word = ""
    for index, sign in enumerate(text):
        if not (sign.isascii() and sign.isalnum()):
            found, word = [*found, word], ""
        elif sign.isupper() and word and (not word[-1].isupper() or text[index + 1 : index + 2].islower()):
            found, word = [*found, word], sign
        else:
            word += sign
    return [each.lower() for each in [*found, word] if each]


def _has_words(there: str, text: str) -> bool:
    wanted, words = words_of(text), words_of(there)
    return bool(wanted) and all(any(word.startswith(each) for word in words) for each in wanted)


def _describes(found: FoundSecret, text: str) -> bool:
    return _has_words(found.spec.description, text)


def _anywhere(found: FoundSecret, text: str) -> bool:
    tags = found.tags
    return _has_words("\x00".join([found.label, found.spec.description, *tags, *tags.values()]), text)


def _in_region(found: FoundSecret, text: str) -> bool:
    return found.arn.split(":", 4)[3] == text


def _creation(found: FoundSecret) -> str:
    """To the microsecond, where the first version says it."""
    first = found.versions[0].created_at if found.versions else None
    return _moment(created_at(found))[:19] + (_moment(first) if first else "")


TESTS: Mapping[str, Test] = {
    "name": lambda found, text: found.label.startswith(text),
    "tag-key": lambda found, text: any(each.startswith(text) for each in found.tags),
    "tag-value": lambda found, text: any(each.startswith(text) for each in found.tags.values()),
    "description": _describes,
    "all": _anywhere,
    "primary-region": _in_region,
    "owning-service": lambda found, text: False,
}
ORDERS: Mapping[str, Callable[[FoundSecret], str]] = {
    "created-date": _creation,
    "last-changed-date": lambda found: _moment(changed_at(found)),
    "last-accessed-date": lambda found: _moment(found.secret.status.accessed_on),
    "name": lambda found: found.label,
}


def _moment(moment: Any) -> str:
    return rfc3339_micro(moment) if moment is not None else ""
