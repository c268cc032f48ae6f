"""What a reconciler holds its resources by, those resources take: or nothing of that kind would be reconciled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.reconcilers.definition import DefinitionReconciler
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.resources.validation import check_bounds
from crds.managed import ManagedService
from services.sdk.discovery import managed_services
from services.sdk.testing import created

OURS = (DefinitionReconciler, NamespaceReconciler, ServiceReconciler)


def check_finalizer(reconciler: Any) -> None:
    kind = reconciler.kind
    check_bounds(kind, {"finalizers": [reconciler.finalizer]}, None, kind.key("a", "default"))


@pytest.mark.parametrize("reconciler", OURS, ids=lambda each: each.__name__)
def test_its_finalizer_is_one_that_its_kind_takes(reconciler: Any) -> None:
    check_finalizer(reconciler)


@pytest.mark.parametrize("manifest", managed_services(), ids=lambda each: each.name)
def test_so_are_those_of_managed_services(manifest: ManagedService, tmp_path: Path) -> None:
    for reconciler in created(manifest, tmp_path).reconcilers:
        if reconciler.finalizer is not None:
            check_finalizer(reconciler)
