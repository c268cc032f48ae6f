"""What the conductor knows of workers, Services and certificates, as metrics.

From memory and the store, at the moment somebody asks. The names of what runs here are in it: `/metrics`, which asks
nobody who they are, has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.traffic import Traffic
from controller.kit.leases import HeartbeatLease, Leases
from controller.store.records import Store
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.quantity import parse_quantity

_CERTIFICATES = ("server.crt", "ca.crt")


@dataclass(frozen=True, slots=True)
class CloudMetrics(Collector):
    """`certificates`: the folder of the cloud's own."""

    store: Store
    leases: Leases
    traffic: Traffic
    certificates: Path

    def render(self) -> bytes:
        """The text exposition format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._workers()
        yield from self._services()
        yield from self._instances()
        yield from self._requests()
        yield self._expiry()

    def _workers(self) -> Iterator[Metric]:
        live = {each.worker: each for each in self.leases.snapshot()}
        text = "1 while heartbeats of the worker arrive."
        ready = GaugeMetricFamily("aerekos_worker_ready", text, labels=("worker",))
        capacity = GaugeMetricFamily("aerekos_worker_capacity", "Cores, or bytes.", labels=("worker", "resource"))
        used = GaugeMetricFamily("aerekos_worker_used", "Cores, or bytes.", labels=("worker", "resource"))
        network = CounterMetricFamily(
            "aerekos_worker_network_bytes", "Bytes of all its interfaces.", labels=("worker", "direction")
        )
        for record in self.store.list(WORKER.group, WORKER.plural).records:
            name = record.key.name
            lease = live.get(name)
            ready.add_metric((name,), float(lease is not None and self.leases.expires_in(name) > 0))
            for resource, amount in _amounts(record.object, "capacity").items():
                capacity.add_metric((name, resource), amount)
            if lease is not None:
                _add_usage(lease, used, network)
        yield from (ready, capacity, used, network)

    def _services(self) -> Iterator[Metric]:
        labels = ("namespace", "service")
        wanted = GaugeMetricFamily("aerekos_service_replicas", "Copies that are to run.", labels=labels)
        ready = GaugeMetricFamily("aerekos_service_ready_replicas", "Copies that are ready.", labels=labels)
        restarts = GaugeMetricFamily(
            "aerekos_instance_restarts",
            "Restarts of a copy since it was made.",
            labels=(*labels, "instance", "worker"),
        )
        for record in self.store.list(SERVICE.group, SERVICE.plural).records:
            key, status = (record.key.namespace or "", record.key.name), record.object.get("status") or {}
            wanted.add_metric(key, float(status.get("replicas") or 0))
            ready.add_metric(key, float(status.get("readyReplicas") or 0))
            for each in status.get("instances") or ():
                restarts.add_metric((*key, each["name"], each.get("worker") or ""), float(each.get("restarts") or 0))
        yield from (wanted, ready, restarts)

    def _instances(self) -> Iterator[Metric]:
        labels = ("namespace", "service", "instance", "worker")
        cpu = GaugeMetricFamily("aerekos_instance_cpu_cores", "Cores in use.", labels=labels)
        memory = GaugeMetricFamily("aerekos_instance_memory_bytes", "Bytes of memory in use.", labels=labels)
        used = {
            name: (lease.worker, usage) for lease in self.leases.snapshot() for name, usage in lease.services.items()
        }
        for record in self.store.list(SERVICE.group, SERVICE.plural).records:
            for each in (record.object.get("status") or {}).get("instances") or ():
                if (found := used.get(each["name"])) is None:
                    continue
                key = (record.key.namespace or "", record.key.name, each["name"], found[0])
                cpu.add_metric(key, found[1].get("cpu", 0.0))
                memory.add_metric(key, found[1].get("memory", 0.0))
        yield from (cpu, memory)

    def _requests(self) -> Iterator[Metric]:
        labels = ("asker", "service")
        requests = CounterMetricFamily("aerekos_traffic_requests", "Requests through the gateway.", labels=labels)
        errors = CounterMetricFamily(
            "aerekos_traffic_errors", "Those answered with 500 or more, or that nobody took.", labels=labels
        )
        seconds = CounterMetricFamily("aerekos_traffic_seconds", "Time until their answers, together.", labels=labels)
        for each in self.traffic.told({}):
            key = (each["from"], each["to"])
            requests.add_metric(key, each["requests"])
            errors.add_metric(key, each["errors"])
            seconds.add_metric(key, each["seconds"])
        yield from (requests, errors, seconds)

    def _expiry(self) -> Metric:
        text = "When the certificate ends, in seconds since 1970."
        found = GaugeMetricFamily("aerekos_certificate_expiry_seconds", text, labels=("certificate",))
        for name in _CERTIFICATES:
            try:
                certificate = x509.load_pem_x509_certificate((self.certificates / name).read_bytes())
            except (OSError, ValueError):
                continue
            found.add_metric((name.removesuffix(".crt"),), certificate.not_valid_after_utc.timestamp())
        return found


def _amounts(worker: dict[str, Any], part: str) -> dict[str, float]:
    found = (worker.get("status") or {}).get(part) or {}
    return {name: float(parse_quantity(found[name])) for name in ("cpu", "memory", "disk") if found.get(name)}


def _add_usage(lease: HeartbeatLease, used: GaugeMetricFamily, network: CounterMetricFamily) -> None:
    usage = lease.usage
    for resource, amount in (("cpu", usage.cpu), ("memory", usage.memory), ("disk", usage.disk)):
        used.add_metric((lease.worker, resource), amount)
    network.add_metric((lease.worker, "received"), usage.network_received)
    network.add_metric((lease.worker, "sent"), usage.network_sent)
