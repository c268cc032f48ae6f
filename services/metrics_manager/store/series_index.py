"""Which series there are, and which of them match: by number, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import re2

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import Labels, value_of
from services.metrics_manager.promql.matcher import Matcher


class SeriesIndex:
    """Used by the event loop; queries in other threads read it, too, and see what was there when they began."""

    def __init__(self) -> None:
        self.labels: dict[int, Labels] = {}
        self._ids: dict[Labels, int] = {}
        self._postings: dict[tuple[str, str], set[int]] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self.labels)

    def find(self, labels: Labels) -> int | None:
        return self._ids.get(labels)

    def add(self, labels: Labels, id: int | None = None) -> int:
        """The number of a series that is new."""
        number = self._next if id is None else id
        self._next = max(self._next, number + 1)
        self.labels[number], self._ids[labels] = labels, number
        for pair in labels:
            self._postings.setdefault(pair, set()).add(number)
        return number

    def remove(self, id: int) -> None:
        labels = self.labels.pop(id)
        del self._ids[labels]
        for pair in labels:
            self._postings[pair].discard(id)
            if not self._postings[pair]:
                del self._postings[pair]

    def count(self, name: str, value: str) -> int:
        """How many series have that label."""
        return len(self._postings.get((name, value), ()))

    def matching(self, alternatives: Iterable[Sequence[Matcher]]) -> list[int]:
        """Those that match all of one of the alternatives. Raises QueryError for an expression nobody can read."""
        found: set[int] = set()
        for group in alternatives:
            found |= self._all_of(group)
        return sorted(found)

    def _all_of(self, matchers: Sequence[Matcher]) -> set[int]:
        exact = [
            self._postings.get((each.name, each.value), set()) for each in matchers if each.op == "=" and each.value
        ]
        left = set(self.labels) if not exact else set.intersection(*sorted(exact, key=len))
        for each in matchers:
            if each.op == "=" and each.value:
                continue
            left = self._narrowed(left, each)
        return left

    def _narrowed(self, left: set[int], matcher: Matcher) -> set[int]:
        test = _test(matcher)
        verdicts: dict[str, bool] = {}
        kept = set()
        for id in left:
            labels = self.labels.get(id)
            if labels is None:
                continue
            value = value_of(labels, matcher.name)
            if value not in verdicts:
                verdicts[value] = test(value)
            if verdicts[value]:
                kept.add(id)
        return kept


def _test(matcher: Matcher) -> Callable[[str], bool]:
    if matcher.op in ("=", "!="):
        wanted = matcher.op == "="
        return lambda value: (value == matcher.value) is wanted
    options = re2.Options()
    options.dot_nl, options.log_errors = True, False
    try:
        found = re2.compile(f"(?:{matcher.value})", options)
    except re2.error as error:
        raise QueryError(f"the regular expression {matcher.value!r} is invalid: {error}", "bad_data") from None
    wanted = matcher.op == "=~"
    return lambda value: (found.fullmatch(value) is not None) is wanted
