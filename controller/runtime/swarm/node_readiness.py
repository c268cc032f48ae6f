"""Since when each machine is ready: one that has just come back is given a moment before it gets work.

So are all when the conductor has just come back: what it sees first may still be on its way to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTLES_SECONDS = 5.0


class NodeReadiness:
    """Readiness of nodes as this conductor sees it; `at` are readings of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def observe(self, nodes: Mapping[str, Mapping[str, Any]], at: float) -> None:
        """`nodes` by id, as Docker tells them."""
        ready = [id_ for id_, node in nodes.items() if node["Status"]["State"] == "ready"]
        self._since = {id_: self._since.get(id_, at) for id_ in ready}

    def settled(self, nodes: Mapping[str, Mapping[str, Any]], at: float) -> set[str]:
        """Ids of machines that take work and have been ready for a while."""
        ready = {id_ for id_, since in self._since.items() if at - since >= SETTLES_SECONDS}
        return {id_ for id_ in ready if nodes.get(id_, {}).get("Spec", {}).get("Availability") == "active"}

    def seconds_until_settled(self, at: float) -> float:
        """Seconds until the next machine may want work; infinite when all have been ready for long."""
        left = [since + SETTLES_SECONDS - at for since in self._since.values()]
        return min((each for each in left if each > 0), default=float("inf"))
