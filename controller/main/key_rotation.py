"""The keys of this home that are rotated by hand, and who has to hear of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from api.auth.key_rotation import KeyRotation, MasterKey, RootKey, StoreKey
from controller.main.components import Components
from controller.reconcile.loop import Loop
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from services.sdk.discovery import load


def turning(components: Components, loop: Loop) -> dict[str, KeyRotation]:
    """Every key that takes turns, by the word of `aerekos keys rotate --what`. What they hand to services is rolled
    out at once.
    """
    secrets, clock = components.home / "secrets", components.clock

    def roll_out() -> None:
        for each in managed(components):
            loop.enqueue(each)

    return {
        "root": RootKey(
            secrets / "root-key", clock, lambda: under(components), roll_out, components.root_key.wrapping
        ),
        "store": StoreKey(components.sealing, clock),
        "master": MasterKey(
            secrets / "master-key", clock, components.derived.use, components.accounts.factors.seal_again, roll_out
        ),
    }


def managed(components: Components) -> list[ObjectKey]:
    """Every Service that is ours."""
    records = components.registry.store.list(SERVICE.group, SERVICE.plural).records
    return [each.key for each in records if each.object["spec"].get("managed")]


def under(components: Components) -> Mapping[int, int]:
    """How many records are sealed under which generation of the root key; -1: in no form we know."""
    found: Counter[int] = Counter()
    for sealed in (each for service in components.services for each in service.root_sealed):
        generation = load(sealed.generation)
        records = components.registry.store.list(sealed.kind.group, sealed.kind.plural).records
        found.update(generation(each.object) for each in records)
    return found
