"""Since when each machine is ready: one that has just come back is given a moment before it gets work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTLES_SECONDS = 5.0


class Readiness:
    """As this conductor sees it; `at` are readings of a monotonic clock, in seconds.

    Machines that are ready at the first look are taken to have been so for ever.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] | None = None

    def note(self, nodes: Mapping[str, Mapping[str, Any]], at: float) -> None:
        """`nodes` by id, as Docker tells them."""
        known = self._since or {}
        new = float("-inf") if self._since is None else at
        ready = [id_ for id_, node in nodes.items() if node["Status"]["State"] == "ready"]
        self._since = {id_: known.get(id_, new) for id_ in ready}

    def settled(self, nodes: Mapping[str, Mapping[str, Any]], at: float) -> set[str]:
        """Ids of machines that take work and have been ready for a while."""
        ready = {id_ for id_, since in (self._since or {}).items() if at - since >= SETTLES_SECONDS}
        return {id_ for id_ in ready if nodes.get(id_, {}).get("Spec", {}).get("Availability") == "active"}

    def is_settling(self, at: float) -> bool:
        """Whether a machine has just become ready, and will want work soon."""
        return any(at - since <= SETTLES_SECONDS + 1 for since in (self._since or {}).values())
