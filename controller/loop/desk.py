"""One reconciler's desk: its queue, its patience with each key, and the pass over one key.

A pass: read our copy, make sure of the finalizer, reconcile or finalize, write the status once if it differs,
decide when to look again. The supervisor owns the tasks; nothing here starts one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import anyio
import structlog

from controller.kit.backoff import Backoff
from controller.loop import verdict as verdicts
from controller.loop.cache import Cache, revision_of
from controller.loop.own_writes import OwnWrites
from controller.loop.queue import WorkQueue
from controller.loop.reconciler import Reconciler, World
from controller.loop.verdict import Verdict
from crds.errors import ApiError, Conflict, NotFound
from crds.kind import Manifest, key_of
from crds.meta import ObjectKey

_log = structlog.get_logger("loop")
OVERTAKEN = Backoff(first=0.05, factor=2.0, limit=5.0, jitter=0.1)
# A store that takes nothing (a full disk) is left in peace, but news is not minutes late once there is room again.
UNWRITTEN = Backoff(first=0.5, factor=2.0, limit=5.0, jitter=0.1)
# Losing a race this often in a row is no race any more: people should know.
_RACES = 5


@dataclass(slots=True)
class Patience:
    """What is remembered of one key between passes."""

    failures: int = 0
    races: int = 0
    unwritten: int = 0
    refused: tuple[object, ...] | None = None


class Desk:
    """`deadline` is seconds per pass."""

    def __init__(
        self,
        reconciler: Reconciler[Any],
        cache: Cache[Any],
        world: World,
        rng: random.Random,
        backoff: Backoff,
        deadline: float,
    ) -> None:
        self.reconciler, self.kind, self.cache = reconciler, reconciler.kind, cache
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self._world, self._rng, self._backoff, self._deadline = world, rng, backoff, deadline
        self._own = OwnWrites()
        self._patience: dict[ObjectKey, Patience] = {}

    def noticed(self, change: str, item: Manifest, before: Manifest | None) -> None:
        """A resource of our kind changed: look at it, unless the change was ours."""
        key = key_of(self.kind, item)
        if change == "DELETED" or self._own.is_news(key, revision_of(item)):
            self.queue.add(key)

    async def attend(self, key: ObjectKey) -> None:
        """One pass over a key taken from the queue. Raises nothing but cancellation."""
        self._own.began(key)
        try:
            await self._pass(key)
        except Exception:
            _log.exception("pass broke", kind=self.kind.name, key=_short(key))
            self._retry(key)
        finally:
            news = self._own.ended(key)
            self.queue.done(key)
            if news:
                self.queue.add(key)

    async def _pass(self, key: ObjectKey) -> None:
        began = self._world.clock.monotonic()
        seen = self.cache.get(key)
        if seen is None:
            self._forget(key)
            return
        patience = self._patience.setdefault(key, Patience())
        if patience.refused == _version(seen):
            return
        look = _Look(self, key, seen.model_copy(deep=True))
        verdict = self._weighed(patience, await self._decide(look))
        wrote = await self._save(look, verdict)
        self._schedule(key, look, verdict if wrote is not None else None)
        took = round((self._world.clock.monotonic() - began) * 1000, 1)
        self._say(look, verdict, changed=bool(wrote) or look.changed, took_ms=took)

    async def _decide(self, look: _Look) -> Verdict:
        try:
            with anyio.move_on_after(self._deadline):
                return await self._act(look)
            return verdicts.timed_out(self._deadline)
        except Exception as error:
            verdict = verdicts.of_error(error)
            if verdict.how == "unexpected":
                _log.exception("reconciler broke", kind=self.kind.name, key=_short(look.key))
            return verdict

    async def _act(self, look: _Look) -> Verdict:
        ours, meta = self.reconciler.finalizer, look.resource.metadata
        if meta.deletion_timestamp is None:
            if ours and ours not in (meta.finalizers or []):
                await self._patch_finalizers(look, [*(meta.finalizers or []), ours])
            return verdicts.of_outcome(await self.reconciler.reconcile(look.resource, self._world))
        if ours is None or ours not in (meta.finalizers or []):
            look.hands_off = True
            return Verdict("done", "Leaving", "being deleted; nothing of ours is left")
        outcome = await self.reconciler.finalize(look.resource, self._world)
        if outcome.settled:
            look.hands_off = True
            await self._patch_finalizers(look, [each for each in meta.finalizers or [] if each != ours])
        return verdicts.of_outcome(outcome)

    async def _patch_finalizers(self, look: _Look, finalizers: list[str]) -> None:
        patch = {
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": look.before["metadata"]["resourceVersion"],
            }
        }
        look.take(await self._patch(look, patch))

    async def _patch(self, look: _Look, patch: dict[str, Any], subresource: Any = "") -> Manifest:
        meta = look.resource.metadata
        written: Manifest = await self._world.resources.patch(
            self.kind, meta.name, patch, meta.namespace, subresource=subresource
        )
        self._own.wrote(look.key, revision_of(written))
        if written.metadata.deletion_timestamp is None or written.metadata.finalizers:
            self.cache.note(written)
        return written

    def _weighed(self, patience: Patience, verdict: Verdict) -> Verdict:
        """The verdict, with what is known of the key's past: too many lost races are a failure."""
        patience.races = patience.races + 1 if verdict.how == "overtaken" else 0
        if patience.races > _RACES:
            verdict = Verdict("temporary", verdict.reason, verdict.message)
        if verdict.how in ("temporary", "unexpected"):
            patience.failures += 1
        elif verdict.how != "overtaken":
            patience.failures = 0
        return verdict

    async def _save(self, look: _Look, verdict: Verdict) -> bool | None:
        """Whether a status was written; None when it should have been and could not."""
        if verdict.how == "overtaken" or look.hands_off:
            return False
        is_new = verdicts.note(look.resource, verdict, self._world.clock.now()) if self.kind.has_status else True
        if verdict.failed and is_new:
            self._world.events.tell(look.resource, verdict.reason, verdict.message, warning=True)
        patch = verdicts.status_patch(look.before, look.resource.wire()) if self.kind.has_status else None
        patience = self._patience.setdefault(look.key, Patience())
        if patch is None:
            patience.unwritten = 0
            return False
        try:
            await self._patch(look, patch, "status")
        except (Conflict, NotFound):
            return None
        except (ApiError, OSError) as error:
            patience.unwritten += 1
            _log.warning("status not written", kind=self.kind.name, key=_short(look.key), because=str(error))
            return None
        patience.unwritten = 0
        return True

    def _schedule(self, key: ObjectKey, look: _Look, verdict: Verdict | None) -> None:
        """None: the status could not be written, so people do not know yet."""
        patience = self._patience.setdefault(key, Patience())
        if verdict is None and patience.unwritten:
            self.queue.add_after(key, UNWRITTEN.delay(patience.unwritten, self._rng))
        elif verdict is None:
            patience.races += 1
            self.queue.add_after(key, OVERTAKEN.delay(patience.races, self._rng))
        elif verdict.how == "overtaken":
            self.queue.add_after(key, OVERTAKEN.delay(patience.races, self._rng))
        elif verdict.how == "permanent":
            patience.refused = _version(look.resource)
        elif verdict.after is not None:
            self.queue.add_after(key, verdict.after)
        elif verdict.how != "done":
            self.queue.add_after(key, self._backoff.delay(patience.failures, self._rng))

    def _retry(self, key: ObjectKey) -> None:
        patience = self._patience.setdefault(key, Patience())
        patience.failures += 1
        self.queue.add_after(key, self._backoff.delay(patience.failures, self._rng))

    def _forget(self, key: ObjectKey) -> None:
        self._patience.pop(key, None)
        self._own.forget(key)

    def _say(self, look: _Look, verdict: Verdict, *, changed: bool, took_ms: float) -> None:
        (_log.info if changed else _log.debug)(
            "reconciled",
            kind=self.kind.name,
            key=_short(look.key),
            rev=look.before["metadata"].get("resourceVersion"),
            outcome=verdict.how,
            because=verdict.message or verdict.reason,
            took_ms=took_ms,
        )


class _Look:
    """One pass's own copy of the resource, and how it was on the wire before."""

    def __init__(self, desk: Desk, key: ObjectKey, resource: Any) -> None:
        self.desk, self.key, self.resource = desk, key, resource
        self.before: dict[str, Any] = resource.wire()
        self.changed = self.hands_off = False

    def take(self, written: Manifest) -> None:
        """Go on with what we just wrote. What the reconciler holds of the status is not lost: only metadata moves."""
        self.resource.metadata = written.metadata.model_copy(deep=True)
        self.before["metadata"] = written.wire()["metadata"]
        self.changed = True


def _version(resource: Manifest) -> tuple[object, ...]:
    """What was refused. A recreated resource starts again at generation 1, so the uid belongs to it."""
    meta = resource.metadata
    return meta.uid, meta.generation, meta.deletion_timestamp is not None


def _short(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}" if key.namespace else key.name
