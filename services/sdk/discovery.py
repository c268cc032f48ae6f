"""Discovery of managed services: one folder under `services/` each, nothing to register.

A folder is a managed service when it has a module `manifest` with a `MANIFEST`. Only manifests (and the kinds they
name) are imported here, so asking is cheap.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import services
from crds.catalog import CORE_KINDS, Catalog
from crds.managed import ManagedService


@cache
def managed_services() -> tuple[ManagedService, ...]:
    """Every managed service by name. Raises TypeError when a MANIFEST is something else."""
    found = (managed_service(name) for name in _folders())
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.name))


def catalog_of(managed: tuple[ManagedService, ...]) -> Catalog:
    """The kinds of this cloud: the core's, and those of these services."""
    catalog = Catalog(CORE_KINDS, managed={service.name: service.needs for service in managed})
    for kind in (kind for service in managed for kind in service.kinds):
        catalog.add(kind)
    return catalog


def managed_service(name: str) -> ManagedService | None:
    """The manifest in `services/<name>/`, or None when there is none."""
    if not name.isidentifier() or find_spec(f"services.{name}") is None:
        return None
    if find_spec(f"services.{name}.manifest") is None:
        return None
    manifest = import_module(f"services.{name}.manifest").MANIFEST
    if not isinstance(manifest, ManagedService):
        raise TypeError(f"services.{name}.manifest.MANIFEST must be a ManagedService")
    return manifest


def load(reference: str) -> Any:
    """The object that `package.module:attribute` names. Raises ImportError, AttributeError."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def _folders() -> list[str]:
    return [each.name for each in pkgutil.iter_modules(services.__path__) if each.ispkg and each.name != "sdk"]
