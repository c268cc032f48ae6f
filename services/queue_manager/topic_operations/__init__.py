"""Every SNS operation queue_manager answers, one module per topic."""

from __future__ import annotations

from services.queue_manager.http_subscriptions import HttpSubscriptions
from services.queue_manager.sns_routes import Confirming
from services.queue_manager.topic_operations.permissions import TopicPermissionOperations
from services.queue_manager.topic_operations.publishing import PublishOperations
from services.queue_manager.topic_operations.subscriptions import SubscriptionOperations
from services.queue_manager.topic_operations.topic_access import TopicAccess
from services.queue_manager.topic_operations.topics import TopicOperations
from services.sdk.aws.operations import declared_operations

# An operation that is missing here answers InvalidAction.
TOPIC_OPERATIONS = declared_operations(
    TopicOperations, TopicPermissionOperations, SubscriptionOperations, PublishOperations
)


def topic_handlers(access: TopicAccess, http: HttpSubscriptions, confirming: Confirming) -> list[object]:
    """What answers them."""
    return [
        TopicOperations(access),
        TopicPermissionOperations(access),
        SubscriptionOperations(access, http, confirming),
        PublishOperations(access),
    ]
