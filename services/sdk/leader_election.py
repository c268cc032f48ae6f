"""Work that only one instance may do: whoever holds the Lease does it, and stops before another one may begin.

    leader = LeaderElection(context, "sweeper")
    Service(..., tasks=[leader.task(sweep)])

The manifest must grant it: `Grant("leases", ("get", "create", "update"), "coordination.k8s.io")`.

A Lease of coordination.k8s.io, written with optimistic concurrency. Nobody's clock is believed: a Lease has run out
when no change of it was seen here for as long as it says. A holder whose last renewal began `renew_seconds` ago stops
its work, which is sooner. Source: client-go, tools/leaderelection.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from uuid import uuid4

import anyio

from crds.errors import ApiError, NotFound
from crds.kinds.lease import LEASE, Lease, LeaseSpec
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]
_RELEASE_SECONDS = 2.0


class LeaderElection:
    """`name`: of the Lease, after that of the service. Seconds as client-go has them."""

    def __init__(
        self,
        context: ServiceContext,
        name: str,
        *,
        namespace: str = "default",
        lease_seconds: int = 15,
        renew_seconds: float = 10.0,
        retry_seconds: float = 2.0,
        rng: random.Random | None = None,
    ) -> None:
        if not retry_seconds * 2 <= renew_seconds < lease_seconds:
            raise ValueError("2 * retry_seconds <= renew_seconds < lease_seconds must hold")
        self.lease, self.namespace = f"{context.service_name}-{name}", namespace
        self.identity = f"{context.name}_{uuid4()}"
        self.is_leader = False
        self.term = 0
        """How often the Lease changed hands, by which the writes of a leader can be told from those of one before."""
        self._resources, self._clock = context.resources, context.clock
        self._lease_seconds, self._renew_seconds, self._retry_seconds = lease_seconds, renew_seconds, retry_seconds
        self._rng = rng or random.Random()  # noqa: S311 - only spreads retries
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._valid_from = 0.0

    def task(self, work: Work) -> Work:
        """A task of a Service that does `work` while this instance leads."""

        async def run() -> None:
            await self.run(work)

        return run

    async def run(self, work: Work) -> None:
        """Until cancelled: wait for the Lease, work, begin again. `work` is cancelled when the Lease is lost."""
        while True:
            await self._acquire()
            self.is_leader = True
            log.info("leads", extra={"fields": {"lease": self.lease, "term": self.term}})
            try:
                await self._lead(work)
            except Exception:
                log.exception("the work of the leader failed", extra={"fields": {"lease": self.lease}})
            finally:
                self.is_leader = False
                await self._release()
            await self._pause()

    async def _acquire(self) -> None:
        while not await self._try():
            await self._pause()

    async def _lead(self, work: Work) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._renew, tasks.cancel_scope)
            await work()
            tasks.cancel_scope.cancel()

    async def _renew(self, scope: anyio.CancelScope) -> None:
        while True:
            await anyio.sleep(self._retry_seconds)
            lost = False
            with anyio.CancelScope(deadline=self._valid_from + self._renew_seconds):
                lost = not await self._try() and self._is_held()
            if lost or anyio.current_time() >= self._valid_from + self._renew_seconds:
                log.warning("leads no more", extra={"fields": {"lease": self.lease}})
                scope.cancel()
                return

    async def _try(self) -> bool:
        """Whether the Lease is ours, for as long again as it says: from now on, whenever the answer comes."""
        began = anyio.current_time()
        try:
            if not await self._take(await self._read()):
                return False
            self._valid_from = began
            return True
        except ApiError as error:
            log.debug("the lease %s was not written: %s", self.lease, error)
            return False

    async def _read(self) -> Lease | None:
        try:
            found = await self._resources.get(LEASE, self.lease, self.namespace)
        except NotFound:
            return None
        if self._seen is None or found.metadata.resource_version != self._seen.metadata.resource_version:
            self._seen, self._seen_at = found, self._clock.monotonic()
        return found

    async def _take(self, found: Lease | None) -> bool:
        """Raises Conflict, AlreadyExists for who was second."""
        if found is None:
            wanted = LEASE.new(self.lease, namespace=self.namespace, spec=self._spec(None))
            written = await self._resources.create(LEASE, wanted)
        elif self._is_held():
            return False
        else:
            changed = found.model_copy(update={"spec": self._spec(found.spec)}, deep=True)
            written = await self._resources.replace(LEASE, changed)
        self._seen, self._seen_at = written, self._clock.monotonic()
        self.term = written.spec.lease_transitions or 0
        return True

    def _is_held(self) -> bool:
        """Whether somebody else has it, as far as was seen."""
        if self._seen is None or self._seen.spec.holder_identity in (None, "", self.identity):
            return False
        return self._clock.monotonic() < self._seen_at + (self._seen.spec.lease_duration_seconds or 0)

    def _spec(self, before: LeaseSpec | None) -> LeaseSpec:
        now = self._clock.now()
        ours = before is not None and before.holder_identity == self.identity
        transitions = 0 if before is None else (before.lease_transitions or 0) + (0 if ours else 1)
        return LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=self._lease_seconds,
            acquire_time=before.acquire_time if before is not None and ours else now,
            renew_time=now,
            lease_transitions=transitions,
        )

    async def _release(self) -> None:
        """Give it back, so that nobody has to wait. Best effort: it runs out anyway."""
        seen, self._seen = self._seen, None
        if seen is None or seen.spec.holder_identity != self.identity:
            return
        spec = seen.spec.model_copy(update={"holder_identity": "", "lease_duration_seconds": 1})
        with anyio.move_on_after(_RELEASE_SECONDS, shield=True):
            try:
                await self._resources.replace(LEASE, seen.model_copy(update={"spec": spec}, deep=True))
            except ApiError as error:
                log.debug("the lease %s was not given back: %s", self.lease, error)

    async def _pause(self) -> None:
        await anyio.sleep(self._retry_seconds * (1 + 0.2 * self._rng.random()))
