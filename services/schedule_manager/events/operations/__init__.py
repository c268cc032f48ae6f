"""Every operation of EventBridge that is answered, one module per topic."""

from __future__ import annotations

from services.schedule_manager.events.directory import EventDirectory
from services.schedule_manager.events.names import PRINCIPAL
from services.schedule_manager.events.operations.buses import BusOperations
from services.schedule_manager.events.operations.publishing import PublishingOperations
from services.schedule_manager.events.operations.rules import RuleOperations
from services.schedule_manager.events.operations.tags import TagOperations
from services.schedule_manager.events.operations.targets import TargetOperations
from services.schedule_manager.events.routing import Routing
from services.schedule_manager.passing import PassedRole
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import declared_operations
from services.sdk.context import ServiceContext

EVENT_OPERATIONS = declared_operations(
    BusOperations, RuleOperations, TargetOperations, PublishingOperations, TagOperations
)


def event_handlers(context: ServiceContext, directory: EventDirectory, routing: Routing) -> list[object]:
    """What answers them."""
    access, passed = CallerAccess(context), PassedRole(context, PRINCIPAL)
    return [
        BusOperations(directory, access, context.clock),
        RuleOperations(directory, access, passed),
        TargetOperations(directory, access, passed),
        PublishingOperations(directory, access, routing, context.clock),
        TagOperations(directory, access),
    ]
