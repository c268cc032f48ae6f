"""Files a service wants → their content, from its own spec, Secrets and ConfigMaps. Reads what the loop has seen."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from controller.reconcile.reconciler import Lister
from controller.reconcilers.service_env import sealed_digest
from controller.runtime import driver
from crds.kind import KubeObject, key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, File, KeyOf, Service
from crds.meta import ObjectKey


class FileMissing(Exception):
    """The end of the sentence "waiting for ..."."""


def files_of(service: Service, seen: Lister) -> tuple[driver.File, ...]:
    """Raises FileMissing for the first one that is not there."""
    namespace = service.metadata.namespace or "default"
    return tuple(_file(each, namespace, seen) for each in service.spec.files)


def _file(wanted: File, namespace: str, seen: Lister) -> driver.File:
    if wanted.secret is not None:
        content, digest = _of_secret(wanted.secret, namespace, seen)
        return driver.File(wanted.path, content, secret=True, digest=digest)
    if wanted.config_map is not None:
        return driver.File(wanted.path, _of_config_map(wanted.config_map, namespace, seen))
    return driver.File(wanted.path, (wanted.content or "").encode())


def _of_secret(wanted: KeyOf, namespace: str, seen: Lister) -> tuple[bytes, str]:
    found = seen.get(SECRET, wanted.name, namespace)
    if found is None or wanted.key not in (found.data or {}):
        raise FileMissing(f"{wanted.key} of the secret {wanted.name}")
    content = base64.b64decode((found.data or {})[wanted.key])
    return content, sealed_digest(found, content)


def _of_config_map(wanted: KeyOf, namespace: str, seen: Lister) -> bytes:
    found = seen.get(CONFIG_MAP, wanted.name, namespace)
    text = (found.data or {}).get(wanted.key) if found else None
    binary = (found.binary_data or {}).get(wanted.key) if found else None
    if text is not None:
        return text.encode()
    if binary is not None:
        return base64.b64decode(binary)
    raise FileMissing(f"{wanted.key} of the configmap {wanted.name}")


def users_of_secret(changed: KubeObject, seen: Lister) -> Iterator[ObjectKey]:
    """The services that have a file or a variable out of that Secret."""
    return _users(changed, seen, "secret", "secret_key_ref")


def users_of_config_map(changed: KubeObject, seen: Lister) -> Iterator[ObjectKey]:
    """The services that have a file or a variable out of that ConfigMap."""
    return _users(changed, seen, "config_map", "config_map_key_ref")


def _users(changed: KubeObject, seen: Lister, of_file: str, of_variable: str) -> Iterator[ObjectKey]:
    for service in seen.list(SERVICE, changed.metadata.namespace):
        spec = service.spec
        if not spec.files and not spec.env:
            continue  # most have none, and this is asked at every change of a Secret or ConfigMap
        sources = [getattr(each, of_file) for each in spec.files]
        sources += [getattr(each.value_from, of_variable) for each in spec.env if each.value_from is not None]
        if any(each is not None and each.name == changed.metadata.name for each in sources):
            yield key_of(SERVICE, service)
