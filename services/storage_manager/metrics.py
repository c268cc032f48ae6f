"""Metrics of storage_manager alone: what was read again, and what of it was damaged."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.storage_manager.damaged_data import DamagedData


class StorageMetrics:
    """Registered where the service's own are."""

    def __init__(self, registry: CollectorRegistry, damaged: DamagedData) -> None:
        blobs = "Blobs that are not what was written; the Buckets say of which objects."
        Gauge("aerekos_storage_damaged_blobs", blobs, registry=registry).set_function(lambda: len(damaged))
        self._scrubbed = Counter(
            "aerekos_storage_scrubbed_bytes", "Stored bytes that were read again to find damage.", registry=registry
        )

    def record_scrubbed(self, read: int) -> None:
        """That many bytes were read again."""
        self._scrubbed.inc(read)
