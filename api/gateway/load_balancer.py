"""Chooses an instance for a request: of those that are ready, the one with the fewest requests under way.

An instance that fails again and again is ejected for a time that grows with each ejection, but never more than half
of a service at once: then it is not the instances that fail, and some answer is better than none. What counts is that
it could not be reached, broke off or was silent; answers of 500 are the service's own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from api.gateway.outages import ServiceAway
from api.gateway.reverse_proxy import ANSWER_SECONDS, Patience
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.records import Record
from crds.errors import NotFound, Unavailable
from crds.kinds.service import service_key
from crds.meta import ObjectKey

EJECT_AFTER_FAILURES = 3
EJECT_SECONDS, LONGEST_EJECTION_SECONDS, FORGET_SECONDS = 2.0, 60.0, 120.0
WINDOW = 8
"""So many instances are compared: of a thousand, those whose turn it is."""
NoteEjection = Callable[[str, str, float], object]


@dataclass(slots=True)
class _Host:
    """One ready instance: failures in a row, and until when it is ejected, for the how manieth time."""

    endpoint: Endpoint
    group: _Group
    failures: int = 0
    ejections: int = 0
    ejected_until: float = float("-inf")


@dataclass(slots=True)
class _Group:
    """The ready instances of one service, as the driver reported them last, and what `record` says of it: whether it
    is the service that has this name, and whether a request to it may have to wait (`usual`).
    """

    service: str
    record: Record
    is_genuine: bool
    may_wait: bool
    ready: tuple[Endpoint, ...] = ()
    hosts: list[_Host] = field(default_factory=list)
    turn: int = 0


class LoadBalancer:
    """Knows instances from what the runtime driver reported; remembers failures by address.

    `managed`: Service name -> manifest name. A Service that only took the name of a managed one gets nothing.
    `note_ejection` hears of service, instance and seconds. `active`: requests under way by address, kept by who sends
    them.
    """

    def __init__(
        self,
        registry: Registry,
        endpoints: Endpoints,
        clock: Clock,
        managed: Mapping[str, str] | None = None,
        note_ejection: NoteEjection = lambda *_: None,
    ) -> None:
        self._registry, self._endpoints, self._clock = registry, endpoints, clock
        self._managed, self._note_ejection = dict(managed or {}), note_ejection
        self._groups: dict[ObjectKey, _Group] = {}
        self._hosts: dict[str, _Host] = {}
        self.active: dict[str, int] = {}

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        """`host:port` of ready instances, best first.

        Raises NotFound when there is no such service, Unavailable (try again) when none is ready.
        """
        return self._in_turn(self._group(service, namespace))

    def usual(self, service: str) -> str | None:
        """The best of the candidates in `default`; None for a service that sleeps at times, or says itself how long
        to wait for it. Raises what `candidates` does.
        """
        group = self._group(service, "default")
        return None if group.may_wait else self._in_turn(group)[0]

    def _in_turn(self, group: _Group) -> list[str]:
        hosts = group.hosts
        if len(hosts) == 1:
            return [hosts[0].endpoint.address]
        start = group.turn % len(hosts)
        group.turn += 1
        now, active = self._clock.monotonic(), self.active
        in_turn = (hosts[start:] + hosts[:start])[:WINDOW]
        in_turn.sort(key=lambda host: (host.ejected_until > now, active.get(host.endpoint.address, 0)))
        return [each.endpoint.address for each in in_turn]

    def patience(self, service: str, namespace: str = "default") -> Patience | None:
        """How long to wait for that service, where it says so itself."""
        record = self._registry.store.get(service_key(service, namespace))
        told = record.object.get("spec", {}).get("timeouts") if record else None
        if not told:
            return None
        return Patience(told.get("idleSeconds", ANSWER_SECONDS), told.get("requestSeconds"))

    def is_ready(self, service: str) -> bool:
        """Whether there is such a service, and an instance that is ready."""
        try:
            return bool(self.candidates(service))
        except (NotFound, Unavailable):
            return False

    def is_managed(self, service: str) -> bool:
        """Whether that name belongs to a managed service, which proves itself by its certificate."""
        return service in self._managed

    def instance_at(self, address: str) -> str:
        """The name of the instance that answers there; the address itself when none is known."""
        host = self._hosts.get(address)
        return host.endpoint.instance if host else address

    def socket_at(self, address: str) -> str:
        """The path of the socket that the instance has besides; empty for none."""
        host = self._hosts.get(address)
        return host.endpoint.socket if host else ""

    def record_success(self, address: str) -> None:
        """The instance answered."""
        host = self._hosts.get(address)
        if host is not None:
            host.failures = 0

    def record_failure(self, address: str) -> None:
        """The instance did not answer. After its return from an ejection, once is enough for the next."""
        host = self._hosts.get(address)
        if host is None:
            return
        host.failures += 1
        if host.failures >= EJECT_AFTER_FAILURES:
            self._eject(host, self._clock.monotonic())

    def _eject(self, host: _Host, now: float) -> None:
        hosts = host.group.hosts
        ejected = sum(each.ejected_until > now for each in hosts)
        if host.ejected_until > now or (ejected + 1) * 2 > len(hosts):
            return
        host.ejections = host.ejections + 1 if now - host.ejected_until < FORGET_SECONDS else 1
        seconds = min(EJECT_SECONDS * 2 ** (host.ejections - 1), LONGEST_EJECTION_SECONDS)
        host.ejected_until = now + seconds
        self._note_ejection(host.group.service, host.endpoint.instance, seconds)

    def _group(self, service: str, namespace: str) -> _Group:
        key = service_key(service, namespace)
        record = self._registry.store.get(key)
        if record is None:
            self._forget(key)
            raise NotFound(f'services "{service}" not found', key=key)
        ready = self._endpoints.ready(key, record.uid)
        group = self._groups.get(key)
        if group is None or group.ready is not ready or group.record is not record:
            group = self._renew(key, service, record, ready)
        if not ready or not group.is_genuine:
            raise ServiceAway(f"no instance of {service} is ready; see: aerekos describe service {service}",
                              key=key, retry_after=1)  # fmt: skip
        return group

    def _renew(self, key: ObjectKey, service: str, record: Record, ready: tuple[Endpoint, ...]) -> _Group:
        """What is remembered of an instance stays with it; another one at the same address begins anew."""
        known = self._groups.get(key)
        turn = known.turn if known is not None else 0
        before = {each.endpoint: each for each in self._forget(key)}
        spec = record.object.get("spec") or {}
        may_wait = spec.get("activation") == "onDemand" or bool(spec.get("timeouts"))
        group = _Group(service, record, self._is_genuine(service, record), may_wait, ready, turn=turn)
        self._groups[key] = group
        for endpoint in ready:
            host = before.get(endpoint) or _Host(endpoint, group)
            host.group = group
            group.hosts.append(host)
            self._hosts[endpoint.address] = host
        return group

    def _forget(self, key: ObjectKey) -> list[_Host]:
        group = self._groups.pop(key, None)
        for each in group.hosts if group else ():
            if self._hosts.get(each.endpoint.address) is each:
                del self._hosts[each.endpoint.address]
        return group.hosts if group else []

    def _is_genuine(self, service: str, record: Record) -> bool:
        wanted = self._managed.get(service)
        return wanted is None or (record.object.get("spec") or {}).get("managed") == wanted
