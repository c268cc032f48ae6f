"""Invariants of Databases, whoever writes."""

from __future__ import annotations

from crds.invariants import Transition, changed, on

_LASTING = ("engine", "database", "username")


@on("update")
def keeps_its_names(transition: Transition) -> None:
    """What its clients connect to stays what it is: the data of one engine is nothing to another, and a renamed owner
    would lose what they own.
    """
    for field in _LASTING:
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another Database and copy the data")
