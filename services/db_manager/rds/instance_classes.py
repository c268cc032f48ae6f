"""Instance classes: how much of a machine a DB instance may use at most.

Source: Amazon RDS User Guide, "Hardware specifications for DB instance classes". Of AWS's hundreds these are the ones
that are a number of processors and an amount of memory, and no hardware of AWS's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class InstanceClass(NamedTuple):
    """Processors, and memory in MiB."""

    cpus: int
    memory: int


_BURSTABLE = {
    "micro": (2, 1),
    "small": (2, 2),
    "medium": (2, 4),
    "large": (2, 8),
    "xlarge": (4, 16),
    "2xlarge": (8, 32),
}
_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
_GENERAL, _MEMORY = ("m5", "m6g", "m6i", "m7g", "m7i", "m8g"), ("r5", "r6g", "r6i", "r7g", "r7i", "r8g")


def _classes() -> dict[str, InstanceClass]:
    found = {
        f"db.{family}.{size}": InstanceClass(cpus, gib * 1024)
        for family in ("t3", "t4g")
        for size, (cpus, gib) in _BURSTABLE.items()
    }
    for families, gib_per_cpu in ((_GENERAL, 4), (_MEMORY, 8)):
        for family in families:
            for size, cpus in _SIZES.items():
                found[f"db.{family}.{size}"] = InstanceClass(cpus, cpus * gib_per_cpu * 1024)
    return found


INSTANCE_CLASSES: Mapping[str, InstanceClass] = _classes()
