"""Who answers the readers of a managed service that does not answer: the one whose manifest says it stands in for it.

Only what reads: what a stand-in has is a copy. Once a service was found away, reads go to its stand-in at once, until
it has answered anybody; after AWAY_SECONDS one finds out again. What one request alone fails by, and whoever sends it
may bring about, says nothing of the service: limits, a body that does not come, a request that takes too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from api.gateway.outages import ServiceAway, ServiceSilent
from crds.errors import ApiError
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

    def record_success(self, service: str) -> None:
        """That one answered: it is there."""
        if self._away_until:
            self._away_until.pop(service, None)

    def instead(self, managed: ManagedService, method: str, failed: ApiError) -> ManagedService | None:
        """Who is asked when that one did not answer; None where that is the answer."""
        away = isinstance(failed, ServiceAway) or (isinstance(failed, ServiceSilent) and method in _READS)
        if managed.service_name not in self._by_service or not away:
            return None
        self._away_until[managed.service_name] = self._monotonic() + AWAY_SECONDS
        return self._stand_in(managed, method)

    def _stand_in(self, managed: ManagedService, method: str) -> ManagedService | None:
        found = self._by_service.get(managed.service_name) if method in _READS else None
        return found if found is not None and self._is_there(found.service_name) else None
