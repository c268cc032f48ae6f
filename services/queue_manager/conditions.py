"""Words that Queues carry in their status."""

from __future__ import annotations

from crds.term import Term


class QueuePhase(Term):
    """What state a Queue is in."""

    READY = "Ready", "Messages can be sent and received."
    DELETING = "Deleting", "Its messages are being deleted."


class QueueReason(Term):
    """Why a Queue is as its condition Reconciled says."""

    SERVING = "Serving", "Messages can be sent and received."
    NO_DEAD_LETTER_QUEUE = (
        "NoDeadLetterQueue",
        "The queue its failed messages should go to is not there, or does not take them; they stay.",
    )


class TopicReason(Term):
    """Why a Topic is as its condition Reconciled says."""

    SERVING = "Publishing", "What is published goes to the queues that subscribed."
