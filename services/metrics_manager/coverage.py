"""What of Amazon CloudWatch is done here, and why the rest is refused."""

from __future__ import annotations

from services.metrics_manager.cloudwatch.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "cloudwatch",
    served_operations(load_model("cloudwatch"), OPERATIONS),
    refused=(
        ("an alarm is of metrics", ("CompositeAlarm", "LogAlarm")),
        ("silences are AlertSilences, and of AlertRules", ("AlarmMuteRule",)),
        ("nothing here learns what is usual", ("AnomalyDetector", "AlarmContributors")),
        ("contributors are of logs, which are not here", ("InsightRule",)),
        ("metrics are asked for, and not sent on", ("MetricStream",)),
        ("graphs are the dashboard's, or Grafana's", ("Dashboard", "MetricWidgetImage")),
    ),
    answer="UnknownOperationException",
    notes="CBOR, JSON and the older query protocol are spoken, with the same answers.",
    differences=(
        "Values are kept as they were put for 15 days, and not made coarser meanwhile; older ones are gone.",
        "Of one metric and unit, 1,000 values fit into a second, 60,000 into a minute without high resolution: more "
        "are `Throttling`. `Counts` and `StatisticValues` are one value each.",
        "Statistics are the five plain ones and percentiles, which are computed of all values and not estimated; "
        "trimmed means and their like are refused. There are no percentiles of statistic sets.",
        "Periods begin at the start of the time that was asked for, rounded down to the minute.",
        "Metric math: operators, `AVG SUM MIN MAX STDDEV METRICS METRIC_COUNT FILL RATE DIFF DIFF_TIME RUNNING_SUM "
        "ABS CEIL FLOOR LOG LOG10 FIRST LAST DATAPOINT_COUNT PERIOD IF TIME_SERIES EPOCH YEAR MONTH DATE DAY HOUR "
        "MINUTE`; of one period alone. `SEARCH`, `SELECT`, anomaly bands and dynamic labels are refused.",
        "Alarms are computed every minute, or period where that is shorter, of whole periods that are over; for "
        "numbers that are late those of up to two periods before stand in. Messages name the region by its id.",
        "Actions are topics (`sns`) of the alarm's own account and region, where whoever writes the alarm may "
        "publish; all else is refused. No composite alarms; `EvaluateLowSampleCountPercentile` is refused.",
        "The history of an alarm is its last 100 items, and goes with it. An account has 200 alarms; the metrics of "
        "one alarm have one period.",
        "The platform's own metrics are asked by PromQL; nothing here writes into `AWS/...`.",
    ),
)
