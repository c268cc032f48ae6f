"""What queue_manager tells of its queues and topics: how many messages, how old, and what was not delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Depth(NamedTuple):
    """A queue as it is now. oldest: how old its oldest message is, in seconds; 0 for an empty one."""

    namespace: str
    queue: str
    visible: int
    in_flight: int
    delayed: int
    oldest: float


class QueueMetrics(Collector):
    """Counts when it is asked, from memory."""

    def __init__(self, registry: CollectorRegistry, depths: Callable[[], Iterable[Depth]]) -> None:
        self._depths = depths
        registry.register(self)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield from _families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        messages, age = _families()
        for each in self._depths():
            counts = {"visible": each.visible, "in_flight": each.in_flight, "delayed": each.delayed}
            for state, count in counts.items():
                messages.add_metric([each.namespace, each.queue, state], count)
            age.add_metric([each.namespace, each.queue], each.oldest)
        yield messages
        yield age


class TopicMetrics:
    """Counts as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._undelivered = Counter(
            "aerekos_topic_undelivered_messages",
            "Messages a subscription's queue could not take: in its dead letters, or lost where it has none.",
            ["namespace", "outcome"],
            registry=registry,
        )

    def undelivered(self, namespace: str, outcome: str) -> None:
        """outcome: `dead_letters` or `lost`."""
        self._undelivered.labels(namespace, outcome).inc()


def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily("aerekos_queue_messages", "Messages of a queue.", labels=["namespace", "queue", "state"]),
        GaugeMetricFamily(
            "aerekos_queue_oldest_seconds", "Age of a queue's oldest message.", labels=["namespace", "queue"]
        ),
    )
