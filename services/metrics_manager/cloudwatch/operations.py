"""Every operation of CloudWatch that is answered."""

from __future__ import annotations

from services.metrics_manager.cloudwatch.alarm_operations import AlarmOperations
from services.metrics_manager.cloudwatch.metric_operations import MetricOperations
from services.sdk.aws.operations import declared_operations

OPERATIONS = declared_operations(MetricOperations, AlarmOperations)
