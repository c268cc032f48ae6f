"""The controller of one kind: its queue, the retry state of each key, and the pass over one key.

A pass: read our copy, make sure of the finalizer, reconcile or finalize, write the status once if it differs,
decide when the next pass is due. The loop owns the tasks; nothing here starts one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import anyio
import structlog

from controller.kit import tracing
from controller.kit.backoff import Backoff
from controller.reconcile import result as results
from controller.reconcile.informer import Informer, revision_of
from controller.reconcile.metrics import ControllerState, PassMetrics
from controller.reconcile.own_writes import OwnWrites
from controller.reconcile.reconciler import Reconciler, World
from controller.reconcile.result import PassResult
from controller.reconcile.work_queue import WorkQueue
from crds.conditions import Reason
from crds.errors import ApiError, Conflict, NotFound
from crds.kind import KubeObject, key_of
from crds.meta import ObjectKey

_log = structlog.get_logger("loop")
CONFLICT_BACKOFF = Backoff(first=0.05, factor=2.0, limit=5.0, jitter=0.1)
# A store that takes nothing (a full disk) is left in peace, but news is not minutes late once there is room again.
UNWRITTEN_BACKOFF = Backoff(first=0.5, factor=2.0, limit=5.0, jitter=0.1)
# Losing a race this often in a row is no race any more: people should know.
_RACES = 5


@dataclass(slots=True)
class RetryState:
    """State of one key that is kept between passes."""

    failures: int = 0
    races: int = 0
    unwritten: int = 0
    refused: tuple[object, ...] | None = None


class KindController:
    """Runs one reconciler. `deadline` is seconds per pass."""

    def __init__(
        self,
        reconciler: Reconciler[Any],
        informer: Informer[Any],
        world: World,
        rng: random.Random,
        backoff: Backoff,
        deadline: float,
    ) -> None:
        self.reconciler, self.kind, self.informer = reconciler, reconciler.kind, informer
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self.metrics = PassMetrics()
        self._span_name = f"reconcile {self.kind.resource}"
        self._world, self._rng, self._backoff, self._deadline = world, rng, backoff, deadline
        self._own = OwnWrites()
        self._retries: dict[ObjectKey, RetryState] = {}

    def on_event(self, change: str, item: KubeObject, before: KubeObject | None) -> None:
        """A resource of our kind changed: enqueue it, unless the change was ours."""
        key = key_of(self.kind, item)
        if change == "DELETED" or self._own.is_foreign(key, revision_of(item)):
            self.queue.add(key)

    async def process(self, key: ObjectKey) -> None:
        """One pass over a key taken from the queue. Raises nothing but cancellation."""
        began = self._world.clock.monotonic()
        self._own.began(key)
        try:
            await self._pass(key, began)
        except Exception:
            _log.exception("pass broke", kind=self.kind.name, key=_short(key))
            self.metrics.record_pass("unexpected", began, self._world.clock.monotonic())
            self._retry(key)
        finally:
            foreign = self._own.ended(key)
            self.queue.done(key)
            if foreign:
                self.queue.add(key)

    async def _pass(self, key: ObjectKey, began: float) -> None:
        seen = self.informer.by_key(key)
        if seen is None:
            self._forget(key)
            return
        retry = self._retries.setdefault(key, RetryState())
        if retry.refused == _version(seen):
            return
        attempt = _Attempt(self, key, seen.model_copy(deep=True))
        with tracing.span(self._span_name) as span:
            result = self._count_failures(retry, await self._run_reconciler(attempt))
            wrote = await self._save(attempt, result)
            _describe(span, key, result)
        self._schedule(key, attempt, result if wrote is not None else None)
        ended = self._world.clock.monotonic()
        self.metrics.record_pass(result.how, began, ended)
        took = round((ended - began) * 1000, 1)
        self._log_pass(attempt, result, changed=bool(wrote) or attempt.changed, took_ms=took)

    async def _run_reconciler(self, attempt: _Attempt) -> PassResult:
        try:
            with anyio.move_on_after(self._deadline):
                return await self._act(attempt)
            return results.timed_out(self._deadline)
        except Exception as error:
            result = results.of_error(error)
            if result.how == "unexpected":
                _log.exception("reconciler broke", kind=self.kind.name, key=_short(attempt.key))
            return result

    async def _act(self, attempt: _Attempt) -> PassResult:
        ours, meta = self.reconciler.finalizer, attempt.resource.metadata
        if meta.deletion_timestamp is None:
            if ours and ours not in (meta.finalizers or []):
                await self._patch_finalizers(attempt, [*(meta.finalizers or []), ours])
            return results.of_outcome(await self.reconciler.reconcile(attempt.resource, self._world))
        if ours is None or ours not in (meta.finalizers or []):
            attempt.hands_off = True
            return PassResult("done", Reason.DELETING, "being deleted; nothing of ours is left")
        outcome = await self.reconciler.finalize(attempt.resource, self._world)
        if outcome.settled:
            attempt.hands_off = True
            await self._patch_finalizers(attempt, [each for each in meta.finalizers or [] if each != ours])
        return results.of_outcome(outcome)

    async def _patch_finalizers(self, attempt: _Attempt, finalizers: list[str]) -> None:
        patch = {
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": attempt.before["metadata"]["resourceVersion"],
            }
        }
        attempt.take(await self._patch(attempt, patch))

    async def _patch(self, attempt: _Attempt, patch: dict[str, Any], subresource: Any = "") -> KubeObject:
        meta = attempt.resource.metadata
        written: KubeObject = await self._world.resources.patch(
            self.kind, meta.name, patch, meta.namespace, subresource=subresource
        )
        self._own.wrote(attempt.key, revision_of(written))
        if written.metadata.deletion_timestamp is None or written.metadata.finalizers:
            self.informer.record_write(written)
        return written

    def _count_failures(self, retry: RetryState, result: PassResult) -> PassResult:
        """The verdict, with what is known of the key's past: too many lost races are a failure."""
        retry.races = retry.races + 1 if result.how == "overtaken" else 0
        if retry.races > _RACES:
            result = PassResult("temporary", result.reason, result.message)
        if result.how in ("temporary", "unexpected"):
            retry.failures += 1
        elif result.how != "overtaken":
            retry.failures = 0
        return result

    async def _save(self, attempt: _Attempt, result: PassResult) -> bool | None:
        """Whether a status was written; None when it should have been and could not."""
        if result.how == "overtaken" or attempt.hands_off:
            return False
        is_new = (
            results.write_condition(attempt.resource, result, self._world.clock.now())
            if self.kind.has_status
            else True
        )
        if result.failed and is_new:
            self._world.events.record(attempt.resource, result.reason, result.message, warning=True)
        patch = results.status_patch(attempt.before, attempt.resource.wire()) if self.kind.has_status else None
        retry = self._retries.setdefault(attempt.key, RetryState())
        if patch is None:
            retry.unwritten = 0
            return False
        try:
            await self._patch(attempt, patch, "status")
        except (Conflict, NotFound):
            return None
        except (ApiError, OSError) as error:
            retry.unwritten += 1
            _log.warning("status not written", kind=self.kind.name, key=_short(attempt.key), because=str(error))
            return None
        retry.unwritten = 0
        return True

    def _schedule(self, key: ObjectKey, attempt: _Attempt, result: PassResult | None) -> None:
        """None: the status could not be written, so people do not know yet."""
        retry = self._retries.setdefault(key, RetryState())
        if result is None and retry.unwritten:
            self._back_off(key, UNWRITTEN_BACKOFF, retry.unwritten)
        elif result is None:
            retry.races += 1
            self._back_off(key, CONFLICT_BACKOFF, retry.races)
        elif result.how == "overtaken":
            self._back_off(key, CONFLICT_BACKOFF, retry.races)
        elif result.how == "permanent":
            retry.refused = _version(attempt.resource)
        elif result.after is not None:
            self.queue.add_after(key, result.after)
        elif result.how != "done":
            self._back_off(key, self._backoff, retry.failures)

    def _retry(self, key: ObjectKey) -> None:
        retry = self._retries.setdefault(key, RetryState())
        retry.failures += 1
        self._back_off(key, self._backoff, retry.failures)

    def _back_off(self, key: ObjectKey, backoff: Backoff, failures: int) -> None:
        self.metrics.retries += 1
        self.queue.add_after(key, backoff.delay(failures, self._rng))

    def state(self) -> ControllerState:
        """A snapshot of the counters and the queue."""
        last = self.metrics.last_at
        ago = None if last is None else max(self._world.clock.monotonic() - last, 0.0)
        return ControllerState(self.kind.resource, self.metrics, self.queue.state(), ago)

    def _forget(self, key: ObjectKey) -> None:
        self._retries.pop(key, None)
        self._own.forget(key)

    def _log_pass(self, attempt: _Attempt, result: PassResult, *, changed: bool, took_ms: float) -> None:
        (_log.info if changed else _log.debug)(
            "reconciled",
            kind=self.kind.name,
            key=_short(attempt.key),
            rev=attempt.before["metadata"].get("resourceVersion"),
            outcome=result.how,
            because=result.message or result.reason,
            took_ms=took_ms,
        )


class _Attempt:
    """One pass's own copy of the resource, and how it was on the wire before."""

    def __init__(self, controller: KindController, key: ObjectKey, resource: Any) -> None:
        self.controller, self.key, self.resource = controller, key, resource
        self.before: dict[str, Any] = resource.wire()
        self.changed = self.hands_off = False

    def take(self, written: KubeObject) -> None:
        """Go on with what we just wrote. What the reconciler holds of the status is not lost: only metadata moves."""
        self.resource.metadata = written.metadata.model_copy(deep=True)
        self.before["metadata"] = written.wire()["metadata"]
        self.changed = True


def _describe(span: tracing.Span, key: ObjectKey, result: PassResult) -> None:
    if span is tracing.NO_SPAN:
        return
    span.note("aerekos.key", _short(key))
    span.note("aerekos.result", result.how)
    if result.failed:
        span.fail(result.reason)


def _version(resource: KubeObject) -> tuple[object, ...]:
    """What was refused. A recreated resource starts again at generation 1, so the uid belongs to it."""
    meta = resource.metadata
    return meta.uid, meta.generation, meta.deletion_timestamp is not None


def _short(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}" if key.namespace else key.name
