"""Every operation of CloudWatch Logs that logs_manager answers, one module per topic."""

from __future__ import annotations

from services.logs_manager.operations.events import EventOperations
from services.logs_manager.operations.groups import GroupOperations
from services.logs_manager.operations.insights import InsightsOperations
from services.logs_manager.operations.log_access import Parts
from services.logs_manager.operations.streams import StreamOperations
from services.sdk.aws.operations import declared_operations

OPERATIONS = declared_operations(GroupOperations, StreamOperations, EventOperations, InsightsOperations)


def handlers(parts: Parts) -> list[object]:
    """What answers them."""
    return [GroupOperations(parts), StreamOperations(parts), EventOperations(parts), InsightsOperations(parts)]
