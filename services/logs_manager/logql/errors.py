"""What is wrong with a query."""

from __future__ import annotations


class QueryFault(ValueError):
    """The query cannot be read, is not done here, or asks for too much. Its text is for whoever asked."""
