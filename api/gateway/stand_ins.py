"""Who answers the readers of a managed service that does not answer: the one whose manifest says it stands in for it.

Only what reads: what a stand-in has is a copy. Once a service was found away, reads go to its stand-in at once for
AWAY_SECONDS, and then one finds out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from crds.errors import ApiError, Timeout, Unavailable
from crds.managed import ManagedService

AWAY_SECONDS = 5.0
_READS = frozenset({"GET", "HEAD"})


class StandIns:
    """`is_there`: whether there is such a Service with an instance that is ready."""

    def __init__(
        self,
        services: Iterable[ManagedService],
        is_there: Callable[[str], bool],
        monotonic: Callable[[], float],
    ) -> None:
        known = {each.name: each for each in services}
        # It is asked in the words of the other's protocol.
        self._by_service = {
            first.service_name: replace(each, speaks=first.speaks, protocol=first.protocol)
            for each in known.values()
            if (first := known.get(each.stands_in_for)) is not None
        }
        self._is_there, self._monotonic = is_there, monotonic
        self._away_until: dict[str, float] = {}

    def chosen(self, managed: ManagedService, method: str) -> ManagedService:
        """Who is asked first."""
        if self._away_until.get(managed.service_name, 0.0) <= self._monotonic():
            return managed
        return self._stand_in(managed, method) or managed

    def instead(self, managed: ManagedService, method: str, failed: ApiError) -> ManagedService | None:
        """Who is asked when that one did not answer; None where that is the answer."""
        if managed.service_name not in self._by_service or not isinstance(failed, Unavailable | Timeout):
            return None
        self._away_until[managed.service_name] = self._monotonic() + AWAY_SECONDS
        return self._stand_in(managed, method)

    def _stand_in(self, managed: ManagedService, method: str) -> ManagedService | None:
        found = self._by_service.get(managed.service_name) if method in _READS else None
        return found if found is not None and self._is_there(found.service_name) else None
