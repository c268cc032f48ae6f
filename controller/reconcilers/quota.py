"""ResourceQuota: how much is used, shown. What may be used is decided when something is written, not from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from controller.admission.usage import shown
from controller.reconcile.outcome import Outcome, done
from controller.reconcile.reconciler import AlsoWatch, Lister, World
from crds.kind import Kind, KubeObject, key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.quota import RESOURCE_QUOTA, ResourceQuota
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

# Kinds that nobody watches here are counted this often.
REQUEUE_SECONDS = 5.0
Used = Callable[[str, str], Decimal]
"""Namespace and resource -> how much of it is used now."""


class QuotaReconciler:
    """Writes only when something changed."""

    kind: Kind[ResourceQuota] = RESOURCE_QUOTA
    finalizer: str | None = None

    def __init__(self, used: Used) -> None:
        self._used = used
        self.also_watch: Sequence[AlsoWatch[Any]] = tuple(
            AlsoWatch(kind, _quotas_of) for kind in (SERVICE, SECRET, CONFIG_MAP)
        )

    async def reconcile(self, resource: ResourceQuota, world: World) -> Outcome:
        """Never raises."""
        hard, namespace = resource.spec.hard, resource.metadata.namespace or "default"
        resource.status.hard = dict(hard)
        resource.status.used = {name: shown(name, self._used(namespace, name)) for name in sorted(hard)}
        resource.status.observed_generation = resource.metadata.generation
        return done("counted", requeue_after=REQUEUE_SECONDS)

    async def finalize(self, resource: ResourceQuota, world: World) -> Outcome:
        """Nothing is held."""
        return done()


def _quotas_of(changed: KubeObject, seen: Lister) -> Iterator[ObjectKey]:
    for quota in seen.list(RESOURCE_QUOTA, changed.metadata.namespace):
        yield key_of(RESOURCE_QUOTA, quota)
