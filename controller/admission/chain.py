"""The chain, as one visible list: what is filled in, what is asked, and last what is counted."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from controller.admission.images import Images
from controller.admission.limits import LimitRanger
from controller.admission.namespaces import Namespaces
from controller.admission.pod_security import PodSecurity
from controller.admission.policies import Policies
from controller.admission.quotas import Quotas
from controller.admission.request import AUDITED, AdmissionRequest, Body, Plugin
from controller.admission.secrets import PlainSecrets
from controller.store.records import Store
from crds.catalog import Catalog


class Admission:
    """Asked by the registry for every write that has an author."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._limits, self.quotas = LimitRanger(store), Quotas(store, catalog)
        self.policies = Policies(store, catalog)
        self._plugins: tuple[Plugin, ...] = (
            Namespaces(),
            self._limits,
            PodSecurity(store),
            Images(store),
            PlainSecrets(),
            self.policies,
        )

    def mutate(self, request: AdmissionRequest) -> Body:
        """The body to write, with what a namespace fills in."""
        return self._limits.filled(request)

    def validate(self, request: AdmissionRequest) -> list[str]:
        """Warnings for whoever asks. Raises the ApiError of the first plugin that refuses."""
        try:
            return [warning for plugin in self._plugins for warning in plugin.validate(request)]
        finally:
            if (audited := AUDITED.get()) is not None:
                audited.update(request.annotations)

    def reserved(self, request: AdmissionRequest | None) -> AbstractContextManager[None]:
        """Holds what the write will use while it is made. Raises Forbidden when there is not so much left."""
        return self.quotas.reserved(request) if request is not None else nullcontext()
