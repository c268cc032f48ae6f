"""The secrets of workers and services: derived from the uid of their resource and how often they were replaced.

Whoever deletes a resource and makes it again revokes its secret, and so does `replaced`: what was told before is
worth nothing from then on, tokens that came from it included.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from api.auth.derived_secrets import DerivedSecrets
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.errors import AlreadyExists, Conflict, NotFound
from crds.kind import Kind
from crds.kinds.client_credential import CLIENT_CREDENTIAL
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey

_KINDS: dict[str, Kind[Any]] = {"service": SERVICE, "worker": WORKER}


@dataclass(frozen=True, slots=True)
class _Client:
    id: str
    kind: Kind[Any]
    key: ObjectKey
    uid: str


class Clients:
    """Everything about `service:<name>` and `worker:<name>`."""

    def __init__(self, registry: Registry, derived: DerivedSecrets) -> None:
        self._registry, self._derived = registry, derived

    def keys(self, client_id: str) -> tuple[ObjectKey, ...]:
        """Keys of the records `binding` goes by."""
        sort, _, name = client_id.partition(":")
        return _KINDS[sort].key(name), CLIENT_CREDENTIAL.key(_record_name(client_id))

    def binding(self, client_id: str) -> dict[str, str | int] | None:
        """What a token of that client must say to be believed; None when there is no such client."""
        client = self._find(client_id)
        return {"uid": client.uid, "gen": self._generation(client)} if client else None

    def fits(self, client_id: str, secret: str) -> bool:
        """Whether that is the client's secret now."""
        client = self._find(client_id)
        if client is None:
            return False
        return self._derived.client_secret_fits(client_id, client.uid, self._generation(client), secret)

    def secret(self, client_id: str, key: ObjectKey | None = None) -> str:
        """The secret that client proves itself with. `key`: its resource, where the id does not say it. Raises
        NotFound.
        """
        client = self._find(client_id, key)
        if client is None:
            raise NotFound(f"{client_id} has no resource", key=key)
        return self._derived.client_secret(client_id, client.uid, self._generation(client))

    def renewed(self, client_id: str, given: str) -> str | None:
        """What a worker takes in place of the secret it gave, which an older master key derived; None: nothing new.

        Services get theirs in a file.
        """
        if not client_id.startswith("worker:") or not self.fits(client_id, given):
            return None
        newest = self.secret(client_id)
        return None if hmac.compare_digest(newest.encode(), given.encode()) else newest

    async def replaced(self, client_id: str, *, by: str) -> str:
        """A new secret; the one before it is revoked. Raises NotFound."""
        while True:
            client = self._find(client_id)
            if client is None:
                raise NotFound(f"{client_id} has no resource")
            generation = self._generation(client) + 1
            try:
                await self._write(client, generation, by)
            except (AlreadyExists, Conflict):
                continue  # two machines joined at once: each gets a secret, and the later one's counts
            return self._derived.client_secret(client_id, client.uid, generation)

    async def _write(self, client: _Client, generation: int, by: str) -> None:
        key, how = CLIENT_CREDENTIAL.key(_record_name(client.id)), WriteOptions(by=by)
        spec = {"clientId": client.id, "uid": client.uid, "generation": generation}
        owner = {
            "apiVersion": client.kind.api_version,
            "kind": client.kind.name,
            "name": client.key.name,
            "uid": client.uid,
        }
        meta = {"name": key.name, "ownerReferences": [owner]}
        found = self._registry.store.get(key)
        if found is None:
            await self._registry.create(CLIENT_CREDENTIAL, "", {"metadata": meta, "spec": spec}, how)
            return
        patch = {"metadata": {**meta, "resourceVersion": str(found.revision)}, "spec": spec}
        await self._registry.merge(CLIENT_CREDENTIAL, key, patch, how)

    def _find(self, client_id: str, key: ObjectKey | None = None) -> _Client | None:
        sort, _, name = client_id.partition(":")
        kind = _KINDS.get(sort)
        if kind is None or not name:
            return None
        where = key or kind.key(name)
        record = self._registry.store.get(where)
        return _Client(client_id, kind, where, record.uid) if record else None

    def _generation(self, client: _Client) -> int:
        record = self._registry.store.get(CLIENT_CREDENTIAL.key(_record_name(client.id)))
        spec = record.object["spec"] if record else {}
        return int(spec.get("generation", 0)) if spec.get("uid") == client.uid else 0


def _record_name(client_id: str) -> str:
    return client_id.replace(":", ".")
