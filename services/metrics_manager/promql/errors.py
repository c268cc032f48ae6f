"""What can be wrong with a query, in the words of Prometheus's API."""

from __future__ import annotations


class QueryError(Exception):
    """`type`: `bad_data` for what cannot be understood, `execution` for what cannot be computed, `timeout`."""

    def __init__(self, message: str, type: str = "execution") -> None:
        super().__init__(message)
        self.type = type


class NotSupported(QueryError):
    """PromQL of newer versions that is refused here: native histograms, and experimental functions."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported here: this is classic PromQL, see docs/metrics.md", "bad_data")
