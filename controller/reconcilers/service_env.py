"""Variables a service wants → their values, from its own spec, Secrets and ConfigMaps. Reads what the loop has seen.

Values of Secrets go to the runtime and nowhere else. Even the revision, which a viewer may read, names them only by a
digest that nobody can make from a guess: its key is the uid of the Secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.reconcile.reconciler import Lister
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET, Secret
from crds.kinds.service import EnvKeyOf, EnvVar, Service


class EnvMissing(Exception):
    """The end of the sentence "waiting for ..."."""


@dataclass(frozen=True)
class Env:
    """`digests` names each secret value without telling it."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)


def env_of(service: Service, seen: Lister) -> Env:
    """Raises EnvMissing for the first value that is not there, or is none a variable can have."""
    namespace = service.metadata.namespace or "default"
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    digests: dict[str, str] = {}
    for each in service.spec.env:
        source = each.value_from
        if source is None:
            plain[each.name] = each.value
        elif source.config_map_key_ref is not None:
            if (text := _of_config_map(each, source.config_map_key_ref, namespace, seen)) is not None:
                plain[each.name] = text
        elif source.secret_key_ref is not None:
            found = seen.get(SECRET, source.secret_key_ref.name, namespace)
            if (text := _of_secret(each, source.secret_key_ref, found)) is not None:
                secret[each.name], digests[each.name] = text, sealed_digest(found, text.encode())
    return Env(plain, secret, digests)


def sealed_digest(secret: Secret | None, content: bytes) -> str:
    """Another one for every other content, and none that could be guessed without reading the Secret."""
    uid = (secret.metadata.uid if secret else None) or ""
    return hmac.new(uid.encode(), content, hashlib.sha256).hexdigest()


def _of_secret(variable: EnvVar, wanted: EnvKeyOf, found: Secret | None) -> str | None:
    held = (found.data or {}).get(wanted.key) if found else None
    where = f"{wanted.key} of the secret {wanted.name}"
    return _usable(variable, wanted, base64.b64decode(held) if held is not None else None, where)


def _of_config_map(variable: EnvVar, wanted: EnvKeyOf, namespace: str, seen: Lister) -> str | None:
    found = seen.get(CONFIG_MAP, wanted.name, namespace)
    held = (found.data or {}).get(wanted.key) if found else None
    where = f"{wanted.key} of the configmap {wanted.name}"
    return _usable(variable, wanted, held.encode() if held is not None else None, where)


def _usable(variable: EnvVar, wanted: EnvKeyOf, content: bytes | None, where: str) -> str | None:
    if content is None and wanted.optional:
        return None
    if content is None:
        raise EnvMissing(f"{where} (for {variable.name})")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise EnvMissing(f"{where} to be text, which a variable ({variable.name}) must be; use files for bytes")
    return text
