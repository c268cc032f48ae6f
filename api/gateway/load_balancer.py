"""Chooses an instance for a request: ready ones in turn, passing over those that just failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.runtime.endpoints import Endpoints
from controller.store.records import Record
from crds.errors import NotFound, Unavailable
from crds.kinds.service import SERVICE

OPEN_AFTER_FAILURES = 3
OPEN_SECONDS = 2.0


@dataclass(slots=True)
class _Circuit:
    """Failures in a row, and until when the instance is passed over."""

    failures: int = 0
    open_until: float = 0.0


class LoadBalancer:
    """Knows instances from what the runtime driver reported; remembers failures by address.

    `managed`: Service name -> manifest name. A Service that only took the name of a managed one gets nothing.
    """

    def __init__(
        self, registry: Registry, endpoints: Endpoints, clock: Clock, managed: Mapping[str, str] | None = None
    ) -> None:
        self._registry, self._endpoints, self._clock = registry, endpoints, clock
        self._managed = dict(managed or {})
        self._turn: dict[str, int] = {}
        self._circuits: dict[str, _Circuit] = {}

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        """`host:port` of every ready instance, the one whose turn it is first.

        Raises NotFound when there is no such service, Unavailable (try again) when none is ready.
        """
        key = SERVICE.key(service, namespace)
        record = self._registry.store.get(key)
        if record is None:
            raise NotFound(f'services "{service}" not found', key=key)
        ready = [each.address for each in self._endpoints.ready(key, record.uid)]
        if not ready or not self._is_genuine(service, record):
            raise Unavailable(f"no instance of {service} is ready; see: aerekos describe service {service}",
                              key=key, retry_after=1)  # fmt: skip
        turn = self._turn.get(service, 0)
        self._turn[service] = turn + 1
        start = turn % len(ready)
        ordered = ready[start:] + ready[:start]
        return sorted(ordered, key=self._is_open)

    def is_managed(self, service: str) -> bool:
        """Whether that name belongs to a managed service, which proves itself by its certificate."""
        return service in self._managed

    def record_success(self, address: str) -> None:
        """The instance answered."""
        self._circuits.pop(address, None)

    def record_failure(self, address: str) -> None:
        """The instance did not answer; three times in a row and it rests for two seconds."""
        circuit = self._circuits.setdefault(address, _Circuit())
        circuit.failures += 1
        if circuit.failures >= OPEN_AFTER_FAILURES:
            circuit.open_until = self._clock.monotonic() + OPEN_SECONDS

    def _is_genuine(self, service: str, record: Record) -> bool:
        wanted = self._managed.get(service)
        return wanted is None or (record.object.get("spec") or {}).get("managed") == wanted

    def _is_open(self, address: str) -> bool:
        circuit = self._circuits.get(address)
        return circuit is not None and circuit.open_until > self._clock.monotonic()
