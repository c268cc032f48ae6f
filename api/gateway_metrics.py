"""What gateways did beside answering, as they report it: for Prometheus, and which instances are ejected now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_COUNTERS = (
    ("ejected", "ejections", "service", "Times an instance that failed was given no requests for a while."),
    ("retried", "retries", "service", "Requests that may have reached an instance, and were sent to one again."),
    ("retry-refused", "retries_refused", "service", "Requests not sent again: too many had been."),
    ("timed-out", "timeouts", "service", "Requests that took longer than the service may."),
    ("limited", "limited_requests", "limit", "Requests refused because too many came."),
)


class GatewayCounts(Collector):
    """Counts in plain numbers, on the event loop alone. `now`: a clock that never runs backwards."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ejected: dict[tuple[str, str], float] = {}

    def note(self, event: str, subject: str, instance: str = "", seconds: float = 0.0) -> None:
        """As `api.gateway.events.NotesEvents`. Raises ValueError for an event that is none."""
        if all(event != each[0] for each in _COUNTERS):
            raise ValueError(f"{event!r} is no event of a gateway")
        self._counts[event, subject] += 1
        if event == "ejected":
            place = (subject, instance)
            self._ejected[place] = max(self._ejected.get(place, 0.0), self._now() + seconds)

    def ejected(self, service: str) -> list[str]:
        """The instances some gateway gives no requests now."""
        if not self._ejected:
            return []
        now = self._now()
        self._ejected = {place: until for place, until in self._ejected.items() if until > now}
        return sorted(instance for found, instance in self._ejected if found == service)

    def collect(self) -> Iterator[Metric]:
        for event, name, label, text in _COUNTERS:
            family = CounterMetricFamily(f"aerekos_gateway_{name}", text, labels=(label,))
            for (found, subject), count in sorted(self._counts.items()):
                if found == event:
                    family.add_metric([subject], count)
            yield family
        text = "Instances that some gateway gives no requests now."
        gauge = GaugeMetricFamily("aerekos_gateway_ejected_instances", text, labels=("service",))
        for service in sorted({subject for event, subject in self._counts if event == "ejected"}):
            gauge.add_metric([service], len(self.ejected(service)))
        yield gauge
