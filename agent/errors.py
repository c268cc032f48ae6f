"""Errors between an agent and its conductor. One tree, drawn here:

AgentError
├── Unreachable     no API answered, or with 5xx or 429: try again with patience
├── AccessRevoked   401 or 403: the identity is not (or no longer) known
├── CannotJoin      a person must act: the token is bad, missing, or the CA is another one
└── CannotMeasure   the operating system does not tell what this machine is: try again with patience
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of all of them."""


class Unreachable(AgentError):
    """Trying again may help."""


class AccessRevoked(AgentError):
    """Joining again may help."""


class CannotJoin(AgentError):
    """The machine cannot join: only a person can help, and the message says how."""


class CannotMeasure(AgentError):
    """The operating system refused; it may answer next time."""
