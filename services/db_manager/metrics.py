"""What is measured of each Database, as it was when it was looked at last (every half minute at least)."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Gauge

from services.db_manager.server import ServerFacts

_LABELS = ("namespace", "database")


class DatabaseMetrics:
    """One series of each gauge for each Database there is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge("aerekos_database_up", "1 while it takes connections.", _LABELS, registry=registry)
        self._size = Gauge("aerekos_database_size_bytes", "What all its data takes.", _LABELS, registry=registry)
        self._connections = Gauge(
            "aerekos_database_connections", "Clients that are connected.", _LABELS, registry=registry
        )
        self._most = Gauge(
            "aerekos_database_connections_limit", "Clients it lets in at most.", _LABELS, registry=registry
        )
        self._waiting = Gauge(
            "aerekos_database_waiting_for_locks",
            "Clients that wait for a lock of another.",
            _LABELS,
            registry=registry,
        )
        self._oldest = Gauge(
            "aerekos_database_oldest_transaction_seconds",
            "How long the oldest transaction has been open.",
            _LABELS,
            registry=registry,
        )
        self._behind = Gauge(
            "aerekos_database_restorable_age_seconds",
            "How long ago the last moment is that can be brought back; of those with backups.",
            _LABELS,
            registry=registry,
        )
        self._known: set[tuple[str, str]] = set()

    def record(self, namespace: str, name: str, facts: ServerFacts | None) -> None:
        """What was seen of that Database; None: it was not reached, so what it was seen to have is not said again."""
        key = (namespace, name)
        self._known.add(key)
        self._up.labels(*key).set(facts is not None)
        for gauge, value in self._of(facts).items():
            if value is None:
                _forget(gauge, key)
            else:
                gauge.labels(*key).set(value)

    def record_archive(self, namespace: str, name: str, seconds: float | None) -> None:
        """None: nothing of it can be brought back, or it has no backups."""
        if seconds is None:
            _forget(self._behind, (namespace, name))
        else:
            self._behind.labels(namespace, name).set(seconds)

    def keep(self, there: Collection[tuple[str, str]]) -> None:
        """Forget all others."""
        for key in self._known - set(there):
            for gauge in (self._up, self._behind, *self._of(None)):
                _forget(gauge, key)
        self._known &= set(there)

    def _of(self, facts: ServerFacts | None) -> dict[Gauge, float | None]:
        use = facts.use if facts is not None else None
        return {
            self._size: use.bytes if use else None,
            self._connections: use.connections if use else None,
            self._most: use.most_connections if use else None,
            self._waiting: use.waiting if use else None,
            self._oldest: use.oldest_transaction_seconds if use else None,
        }


def _forget(gauge: Gauge, key: tuple[str, str]) -> None:
    try:
        gauge.remove(*key)
    except KeyError:
        return
