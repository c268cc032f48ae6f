"""CloudWatch's metrics as series: what PromQL sees of them, and how they are found again.

    cloudwatch_Latency{namespace="shop", region="eu-central-1", cloudwatch_namespace="Web", unit="Seconds",
                       dimension_Page="cart"}

holds each value that was put, at its millisecond. What a value alone cannot say stands in series beside it, at the
same moments and only where it is needed: `cloudwatch:count:Latency` how often it was, `cloudwatch:min:Latency` and
`cloudwatch:max:Latency` the borders of what it is the average of. Names are kept as they are (UTF-8).
"""

from __future__ import annotations

from typing import NamedTuple

from services.metrics_manager.promql.labels import NAME, Labels, labels_of, value_of

GROUP, UNIT, REGION, OWNER = "cloudwatch_namespace", "unit", "region", "namespace"
_VALUE, _DIMENSION = "cloudwatch_", "dimension_"
COUNT, MIN, MAX = "count", "min", "max"
NO_UNIT = "None"
UNITS = (
    *("Bits", "Bits/Second", "Bytes", "Bytes/Second", "Count", "Count/Second"),
    *("Gigabits", "Gigabits/Second", "Gigabytes", "Gigabytes/Second"),
    *("Kilobits", "Kilobits/Second", "Kilobytes", "Kilobytes/Second"),
    *("Megabits", "Megabits/Second", "Megabytes", "Megabytes/Second"),
    *("Microseconds", "Milliseconds", NO_UNIT, "Percent", "Seconds"),
    *("Terabits", "Terabits/Second", "Terabytes", "Terabytes/Second"),
)
"""By name, as CloudWatch lists them where a metric has several."""


class Metric(NamedTuple):
    """`owner`: the cloud's namespace, whose account it is; `group`: what CloudWatch calls its namespace.
    `dimensions`: pairs of name and value, sorted.
    """

    owner: str
    region: str
    group: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    def labels(self, unit: str, part: str = "") -> Labels:
        """Of the series that holds its values in that unit, or another part of them."""
        found = {
            NAME: f"cloudwatch:{part}:{self.name}" if part else f"{_VALUE}{self.name}",
            OWNER: self.owner,
            REGION: self.region,
            GROUP: self.group,
            UNIT: "" if unit == NO_UNIT else unit,
        }
        return labels_of({**found, **{f"{_DIMENSION}{name}": value for name, value in self.dimensions}})


def metric_of(labels: Labels) -> Metric | None:
    """The metric whose values that series holds; None for all other series."""
    name, group = value_of(labels, NAME), value_of(labels, GROUP)
    if not group or not name.startswith(_VALUE):
        return None
    dimensions = [(n.removeprefix(_DIMENSION), value) for n, value in labels if n.startswith(_DIMENSION)]
    owner, region = value_of(labels, OWNER), value_of(labels, REGION)
    return Metric(owner, region, group, name.removeprefix(_VALUE), tuple(dimensions))
