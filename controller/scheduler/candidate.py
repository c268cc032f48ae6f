"""The input of placement: a request, and what is known of each worker. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crds.kinds.service import Toleration
from crds.kinds.worker import Amounts, Taint
from crds.quantity import parse_quantity


@dataclass(frozen=True, slots=True)
class Needs:
    """An amount of everything: CPU in cores, memory and disk in bytes."""

    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0

    @classmethod
    def of(cls, amounts: Amounts) -> Needs:
        """The numbers behind the quantities. Raises ValueError for text that is no quantity."""
        return cls(*(float(parse_quantity(each)) for each in (amounts.cpu, amounts.memory, amounts.disk)))

    def __add__(self, other: Needs) -> Needs:
        return Needs(self.cpu + other.cpu, self.memory + other.memory, self.disk + other.disk)

    def times(self, count: int) -> Needs:
        """The amounts, `count` times."""
        return Needs(self.cpu * count, self.memory * count, self.disk * count)

    def left_of(self, capacity: Needs) -> Needs:
        """The amounts that remain of `capacity` when this much is taken; never below zero."""
        return Needs(
            max(capacity.cpu - self.cpu, 0.0),
            max(capacity.memory - self.memory, 0.0),
            max(capacity.disk - self.disk, 0.0),
        )


@dataclass(frozen=True)
class Candidate:
    """One worker. `free` is what nobody has reserved or uses; `replicas` counts the asker's own copies there."""

    name: str
    ready: bool = True
    cordoned: bool = False
    taints: tuple[Taint, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Needs = Needs()
    free: Needs = Needs()
    replicas: int = 0


@dataclass(frozen=True)
class Request:
    """The placement request of one replica. `reach` None means the runtime can start it on any worker; `data_on`: the
    workers that keep its data, none while it has none anywhere.
    """

    name: str
    needs: Needs = Needs()
    labels: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    reach: frozenset[str] | None = None
    data_on: frozenset[str] = frozenset()
