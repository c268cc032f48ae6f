"""What of all series a caller sees: those of their namespace, or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from services.metrics_manager.promql.matcher import Matcher

if TYPE_CHECKING:
    from services.metrics_manager.promql.values import SampleSource, Series


class OfNamespace:
    """A `SampleSource` that knows nothing but the series of one namespace, whatever is asked."""

    def __init__(self, source: SampleSource, namespace: str) -> None:
        self._source, self._namespace = source, namespace

    def select(self, alternatives: Sequence[Sequence[Matcher]], start: int, end: int) -> Iterable[Series]:
        return self._source.select(within(alternatives, self._namespace), start, end)


def within(alternatives: Sequence[Sequence[Matcher]], namespace: str) -> list[list[Matcher]]:
    """The same, of that namespace alone."""
    own = Matcher("namespace", "=", namespace)
    return [[*group, own] for group in alternatives]
