"""Metrics of storage_manager alone: what was read again, what of it was damaged, and how many copies there are."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.replication.followers import Followers


class StorageMetrics:
    """Registered where the service's own are."""

    def __init__(self, registry: CollectorRegistry, damaged: DamagedData) -> None:
        blobs = "Blobs that are not what was written; the Buckets say of which objects."
        Gauge("aerekos_storage_damaged_blobs", blobs, registry=registry).set_function(lambda: len(damaged))
        self._scrubbed = Counter(
            "aerekos_storage_scrubbed_bytes", "Stored bytes that were read again to find damage.", registry=registry
        )

        lost = "Events of Buckets that were given up: no destination took them."
        self._lost_events = Counter("aerekos_storage_lost_events", lost, registry=registry)

    def record_lost_events(self, count: int) -> None:
        """That many more."""
        self._lost_events.inc(count)

    def record_scrubbed(self, read: int) -> None:
        """That many bytes were read again."""
        self._scrubbed.inc(read)


class ReplicationMetrics:
    """Of the one that takes writes."""

    def __init__(self, registry: CollectorRegistry, followers: Followers) -> None:
        copies = "Copies that have every acknowledged write, the worker that takes writes among them."
        Gauge("aerekos_storage_copies", copies, registry=registry).set_function(lambda: 1 + len(followers.in_sync))
        healed = "How long there was one copy less than before, the last time; 0 when that never was."
        gauge = Gauge("aerekos_storage_healing_seconds", healed, registry=registry)
        gauge.set_function(lambda: followers.healing.took or 0.0)
        repaired = "Blobs that were damaged here and were put right from another copy."
        self._repaired = Counter("aerekos_storage_repaired_blobs", repaired, registry=registry)

    def record_repaired(self) -> None:
        """One more."""
        self._repaired.inc()


class CopyMetrics:
    """Of one that follows."""

    def __init__(self, registry: CollectorRegistry, behind: Callable[[], int]) -> None:
        text = "Changes that the copy had not got yet when it last asked."
        Gauge("aerekos_storage_copy_behind", text, registry=registry).set_function(behind)
