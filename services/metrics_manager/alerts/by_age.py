"""Which records come first where only so many may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from crds.kind import Resource

R = TypeVar("R", bound=Resource[Any, Any])


def oldest_first(records: Iterable[R]) -> list[R]:
    """What is new puts nothing aside that was there before."""
    return sorted(records, key=_age)


def _age(record: Resource[Any, Any]) -> tuple[Any, ...]:
    meta = record.metadata
    return (meta.creation_timestamp is None, meta.creation_timestamp, meta.namespace, meta.name)
