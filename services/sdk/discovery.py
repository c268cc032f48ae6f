"""Discovery of managed services: one folder under `services/` each, nothing to register.

Folders elsewhere count as well when AEREKOS_SERVICES_PATH names what they are in: `/opt/ours` for
`/opt/ours/notes_manager`, which is then imported as `services.notes_manager`.

A folder is a managed service when it has a module `manifest` with a `MANIFEST`. Only manifests (and the kinds they
name) are imported here, so asking is cheap.
"""

from __future__ import annotations

import os
import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import services
from crds.catalog import CORE_KINDS, Catalog
from crds.managed import ManagedService

VARIABLE = "AEREKOS_SERVICES_PATH"


class ServiceFolderError(Exception):
    """The folders of managed services cannot be used as they are."""


def use_folders(path: str) -> None:
    """Look in these folders, too (absolute, separated as in PATH), here and in the processes that are started from
    here. Raises ServiceFolderError for one that is not there.
    """
    for each in filter(None, path.split(os.pathsep)):
        if not Path(each).is_dir():
            raise ServiceFolderError(f"{VARIABLE}: there is no folder {each}")
        if each not in services.__path__:
            services.__path__.append(each)
            managed_services.cache_clear()
    if path:
        os.environ[VARIABLE] = path


def folder_elsewhere(name: str) -> Path | None:
    """The folder of that managed service, when it is none of those that come with this version."""
    folders = (Path(each) / name for each in services.__path__[1:])
    return next((each for each in folders if (each / "manifest.py").is_file()), None)


@cache
def managed_services() -> tuple[ManagedService, ...]:
    """Every managed service by name. Raises ServiceFolderError, and TypeError when a MANIFEST is something else."""
    found = (managed_service(name) for name in _folders())
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.name))


def catalog_of(managed: tuple[ManagedService, ...]) -> Catalog:
    """The kinds of this cloud: the core's, and those of these services. Raises ServiceFolderError for one of two."""
    catalog = Catalog(CORE_KINDS, managed={service.name: service.needs for service in managed})
    for service in managed:
        for kind in service.kinds:
            try:
                catalog.add(kind)
            except ValueError as taken:
                raise ServiceFolderError(f"{service.name}: {taken}; rename that of {service.name}") from taken
    return catalog


def managed_service(name: str) -> ManagedService | None:
    """The manifest in `services/<name>/`, or None when there is none. Raises ServiceFolderError, TypeError."""
    if not name.isidentifier() or find_spec(f"services.{name}") is None:
        return None
    if find_spec(f"services.{name}.manifest") is None:
        return None
    try:
        manifest = import_module(f"services.{name}.manifest").MANIFEST
    except Exception as broken:
        raise ServiceFolderError(f"the manifest of {name} cannot be read: {broken!r}") from broken
    if not isinstance(manifest, ManagedService):
        raise TypeError(f"services.{name}.manifest.MANIFEST must be a ManagedService")
    return manifest


def load(reference: str) -> Any:
    """The object that `package.module:attribute` names. Raises ImportError, AttributeError."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def _folders() -> list[str]:
    """Raises ServiceFolderError for two of one name: only one of them could be imported."""
    found: dict[str, str] = {}
    for path in services.__path__:
        for each in pkgutil.iter_modules([path]):
            if (other := found.setdefault(each.name, path)) != path:
                raise ServiceFolderError(f"{VARIABLE}: {each.name} is in {other} and in {path}; rename one of them")
    return [name for name in found if name != "sdk"]
