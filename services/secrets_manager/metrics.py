"""What secrets_manager counts: rotations by how they ended, and data keys by where they came from."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class SecretsMetrics:
    """Nothing of a secret is in a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rotations = Counter(
            "aerekos_secrets_rotations", "Rotations of secrets that ended or failed.", ["outcome"], registry=registry
        )
        data_keys = Counter(
            "aerekos_secrets_data_keys",
            "Data keys that values were opened with: held in memory, or opened by key-manager.",
            ["source"],
            registry=registry,
        )
        self._held, self._asked = data_keys.labels("memory"), data_keys.labels("key-manager")

    def count_rotation(self, *, done: bool) -> None:
        self._rotations.labels("done" if done else "failed").inc()

    def count_data_key(self, *, held: bool) -> None:
        (self._held if held else self._asked).inc()
