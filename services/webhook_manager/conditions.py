"""Words that WebhookEndpoints and WebhookSources carry in their status."""

from __future__ import annotations

from crds.term import Term


class EndpointPhase(Term):
    """What state a WebhookEndpoint is in."""

    ACTIVE = "Active", "Messages are sent."
    FAILING = "Failing", "Messages are sent, and since a while none was taken."
    PAUSED = "Paused", "Its spec says that nothing is sent; messages wait."
    DISABLED = "Disabled", "It failed for too long, or said that it is gone: messages wait until it is enabled again."


class EndpointReason(Term):
    """Why a WebhookEndpoint is as its condition Reconciled says, and reasons of its Events."""

    SENDING = "Sending", "Messages are sent."
    PAUSED = "Paused", "Its spec says that nothing is sent."
    DISABLED = "EndpointDisabled", "Nothing is sent until it is enabled again, or its url is another one."
    ENABLED = "EndpointEnabled", "Messages are sent again."
    SECRET_TAKEN = (
        "SecretTaken",
        "A Secret of the name its own should have is there already, and was not made for it.",
    )
    INVALID_SECRET = "InvalidSecret", "The Secret has no `secret` that begins with whsec_; nothing can be signed."


class SourceReason(Term):
    """Why a WebhookSource is as its condition Reconciled says."""

    RECEIVING = "Receiving", "What is posted to its path, and proven, goes to its target."
    NO_SECRET = "NoSecret", "The Secret that proves its messages is not there, or of another type."
    INVALID_SECRET = (
        "InvalidSecret",
        "A value of its Secret proves nothing, or there are too many; others still hold.",
    )
