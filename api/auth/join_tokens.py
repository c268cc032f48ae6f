"""Join tokens: who holds one, and using it up. A token is `<name>.<secret>`, with `.<sha256 of the CA>` behind it
where it must pin the CA by itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress

from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Record
from crds.conditions import ConditionType
from crds.errors import AlreadyExists, Conflict, Forbidden, Unauthorized
from crds.kinds.join_token import JOIN_TOKEN, JoinToken
from crds.kinds.worker import WORKER
from crds.meta import is_true

IsMember = Callable[[str, str], Awaitable[bool]]


class JoinTokens:
    """Judges tokens by the records in the store. `is_member(worker, source)`: whether the Swarm knows such a node."""

    def __init__(self, registry: Registry, clock: Clock, is_member: IsMember | None = None) -> None:
        self._registry, self._clock, self._is_member = registry, clock, is_member

    def verify(self, token: str) -> tuple[Record, JoinToken]:
        """The token's record. Raises Unauthorized, in the same words whatever is wrong with it."""
        name, _, rest = token.partition(".")
        found = self._find(name)
        digest = hashlib.sha256(rest.partition(".")[0].encode()).hexdigest()
        if found is None or not hmac.compare_digest(digest, found[1].spec.secret_sha256) or self._spent(found[1]):
            raise _refused()
        return found

    async def use(self, token: str, worker: str, source: str = "") -> None:
        """Counts one use and makes the Worker if it is new. Raises Unauthorized, Forbidden, Conflict.

        `source`: the address that asks.
        """
        _, asked = self.verify(token)
        await self._require_member(asked, worker, source)
        self._require_not_alive(worker)
        how = WriteOptions(by=f"system:join-token:{token.partition('.')[0]}", validation="Strict")
        while True:
            record, judged = self.verify(token)
            used = {"used": judged.status.used + 1, "usedBy": [*judged.status.used_by, worker][-100:]}
            # The version makes one winner of two machines that want the last use at once; the other is judged again.
            patch = {"metadata": {"resourceVersion": str(record.revision)}, "status": used}
            with suppress(Conflict):
                await self._registry.merge(JOIN_TOKEN, record.key, patch, how, subresource="status")
                break
        if self._registry.store.get(WORKER.key(worker)) is None:
            with suppress(AlreadyExists):
                await self._registry.create(WORKER, "", {"metadata": {"name": worker}}, how)

    def prove_ca(self, name: str, nonce: bytes, ca_sha256: bytes) -> str:
        """Proves to a holder of the token `name` that this CA is ours: HMAC-SHA256 over nonce and digest, in hex.

        Keyed by the SHA-256 of the token's secret, which both sides know. Raises Unauthorized.
        """
        found = self._find(name)
        if found is None or self._spent(found[1]):
            raise _refused()
        return hmac.new(bytes.fromhex(found[1].spec.secret_sha256), nonce + ca_sha256, hashlib.sha256).hexdigest()

    def _find(self, name: str) -> tuple[Record, JoinToken] | None:
        record = self._registry.store.get(JOIN_TOKEN.key(name))
        return (record, JOIN_TOKEN.decode(record.body)) if record is not None else None

    def _spent(self, token: JoinToken) -> bool:
        spec = token.spec
        return spec.revoked or spec.expires_at <= self._clock.now() or 0 < spec.uses <= token.status.used

    async def _require_member(self, token: JoinToken, worker: str, source: str) -> None:
        """The token every agent of a stack holds is no way in for anything else that got hold of it."""
        if token.spec.members_only and not (self._is_member and await self._is_member(worker, source)):
            raise Forbidden(
                f"this token is for nodes of the cloud's Swarm: it lists none called {worker} at {source}; "
                "for other machines: aerekos token create"
            )

    def _require_not_alive(self, worker: str) -> None:
        """A machine that was lost may join again under its name; nobody may take over one that lives."""
        record = self._registry.store.get(WORKER.key(worker))
        if record is not None and is_true(WORKER.decode(record.body).status.conditions, ConditionType.READY):
            raise Conflict(f"a worker called {worker} is Ready already; give this machine another --name")


def _refused() -> Unauthorized:
    return Unauthorized("the join token is unknown, expired, revoked or used up; make one: aerekos token create")
