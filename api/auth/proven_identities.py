"""A cache of what was proven a moment ago: identities, and the records that said so."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from api.auth.principal import Principal
from controller.kit.clock import Clock
from controller.store.records import Record, Store
from crds.meta import ObjectKey

_REMEMBERED = 4096


class Proven(NamedTuple):
    """An identity found good, for as long as these records are the newest, and until then (seconds since 1970)."""

    principal: Principal
    records: tuple[tuple[ObjectKey, Record | None], ...]
    ends_at: float


class ProvenIdentities:
    """Remembers who was proven by which claims. Bounded; whoever is forgotten is judged again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[Hashable, Proven] = {}

    def principal(self, claims: Hashable, prove: Callable[[], Proven]) -> Principal:
        """The principal of those claims. `claims`: everything `prove` judges by, besides the records. Raises what
        `prove` raises.
        """
        known = self._known.get(claims)
        if known is None or not self._holds(known):
            self._known.pop(claims, None)
            known = prove()
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[claims] = known
        return known.principal

    def records(self, *keys: ObjectKey) -> tuple[tuple[ObjectKey, Record | None], ...]:
        """What the store says now under those keys, for `Proven.records`."""
        return tuple((key, self._store.get(key)) for key in keys)

    def _holds(self, known: Proven) -> bool:
        get = self._store.get
        for key, record in known.records:
            if get(key) is not record:
                return False
        return self._clock.now().timestamp() < known.ends_at
