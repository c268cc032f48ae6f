"""Rights that a service uses in the place of whoever writes a resource: they must have them themselves.

A kind says so (`Kind(lends=...)`), and the write path asks whether the writer may do that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

GROUP = "aerekos.cloud"


class LentRight(NamedTuple):
    """That verb on resources `plural` of the resource's own namespace; `name`: on that one, if not on all of them.
    `once`: it is used when the resource is made, and whoever changes that later gets nothing by it.
    """

    verb: str
    plural: str
    name: str = ""
    group: str = GROUP
    once: bool = False


Lends = Callable[[Mapping[str, Any]], Iterable[LentRight]]
"""Reads them from a spec as it was sent: nothing is proven of it yet."""
