"""Errors of requests that say something of the service they were for, and not only of themselves."""

from __future__ import annotations

from crds.errors import Timeout, Unavailable


class ServiceAway(Unavailable):
    """No instance is ready or can be reached, or one broke off though it had all of the request."""


class ServiceSilent(Timeout):
    """An instance that had all of the request said nothing for too long."""
