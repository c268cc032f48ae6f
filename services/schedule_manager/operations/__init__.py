"""Every operation schedule_manager answers, one module per topic."""

from __future__ import annotations

from services.schedule_manager.directory import Directory
from services.schedule_manager.operations.groups import GroupOperations
from services.schedule_manager.operations.schedules import ScheduleOperations
from services.schedule_manager.passing import PassedRole
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import declared_operations
from services.sdk.context import ServiceContext

OPERATIONS = declared_operations(ScheduleOperations, GroupOperations)


def handlers(context: ServiceContext, directory: Directory) -> list[object]:
    """What answers them."""
    access = CallerAccess(context)
    return [
        ScheduleOperations(directory, access, PassedRole(context), context.clock),
        GroupOperations(directory, access, context.clock),
    ]
