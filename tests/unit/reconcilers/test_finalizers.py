"""What a reconciler holds its resources by, those resources take: or nothing of that kind would be reconciled."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from controller.reconcilers.definition import DefinitionReconciler
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.resources.validation import check_bounds
from services.sdk.discovery import managed_services


def reconcilers() -> list[Any]:
    named = [each.partition(":") for service in managed_services() for each in service.reconcilers]
    of_services = [getattr(import_module(module), name) for module, _, name in named]
    found = [DefinitionReconciler, NamespaceReconciler, ServiceReconciler, *of_services]
    return [each for each in found if getattr(each, "finalizer", None)]


@pytest.mark.parametrize("reconciler", reconcilers(), ids=lambda each: each.__name__)
def test_its_finalizer_is_one_that_its_kind_takes(reconciler: Any) -> None:
    kind = reconciler.kind
    check_bounds(kind, {"finalizers": [reconciler.finalizer]}, None, kind.key("a", "default"))
