"""The rules of writing a resource, whoever asks: the one place where clients' wishes become store changes.

Knows versions, generations, status, finalizers and deletion as Kubernetes has them. Does not know HTTP, and
does not know who may do what: callers have asked the authorizer before.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, NamedTuple

from controller.admission.chain import Admission
from controller.admission.request import AdmissionRequest, Body
from controller.admission.request import Operation as Asked
from controller.kit.clock import Clock
from controller.resources.definition_rules import definition_warnings
from controller.resources.definitions import Definitions
from controller.resources.edits import Edit, merging
from controller.resources.guard import Guard
from controller.resources.invariants import can_be_removed, check_place, check_preconditions
from controller.resources.managed_fields import tracking
from controller.resources.quarantine import Quarantine
from controller.resources.strategy import WriteOptions, mark_deleted, prepare_create, prepare_update
from controller.resources.validation import ValidatedObject, broken_rules, validate
from controller.resources.versions import convert_record, to_stored_version
from controller.store.records import Change, NotLeading, Record, Stale, Store, StoreAway, StoreBroken, StoreFull
from crds.catalog import Catalog
from crds.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Conflict,
    Forbidden,
    InternalError,
    Invalid,
    NotFound,
    Unavailable,
    not_found,
)
from crds.invariants import Operation
from crds.kind import Kind
from crds.kinds.definition import DEFINITION
from crds.kinds.namespace import NAMESPACE
from crds.kinds.rbac import GROUP as RBAC
from crds.kinds.session import SESSION
from crds.meta import ObjectKey
from crds.model import rfc3339
from crds.names import LABEL_MAX
from crds.rules import Write

_TRIES = 8
# Names that are made here fit into labels and host names (apiserver `names.SimpleNameGenerator`).
_RANDOM_LETTERS = 5
_LONGEST_PREFIX = LABEL_MAX - _RANDOM_LETTERS
# AllowUnconditionalUpdate of their strategies: https://github.com/kubernetes/kubernetes, pkg/registry.
_ANY_VERSION = frozenset(
    {("", each) for each in ("configmaps", "secrets", "namespaces", "events")}
    | {(RBAC, each) for each in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")}
)


# Whoever makes room must be able to log in. Sessions end and are swept.
_ALWAYS_TAKEN = frozenset({(SESSION.group, SESSION.plural)})
_ONLY_DELETING = (
    "no space left on the disk of the store: nothing new is taken, only changes and deletions, until there is more "
    "room. Free some space there"
)


class WriteResult(NamedTuple):
    """The result of a write. `changed` is False when nothing was different and nothing was written."""

    body: dict[str, Any]
    record: Record | None
    changed: bool = True
    warnings: tuple[str, ...] = ()


class _LostRace(Conflict):
    """Somebody else wrote between our reading and our writing."""


class Registry:
    """Creates, changes and deletes resources of any kind in the catalog."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self.store, self.catalog, self._clock = store, catalog, clock
        self.takes_new = True
        """False while the disk has room for changes and deletions alone."""
        self.quarantine = Quarantine()
        self.admission = Admission(store, catalog)
        self.definitions = Definitions(catalog, store, self.quarantine, self.admission.policies.rule_faults)
        self.definitions.load()
        self._guard = Guard(store, catalog, clock)

    def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        """The newest record. Raises NotFound."""
        record = self.store.get(key)
        if record is None:
            raise not_found(key)
        return convert_record(kind, record)

    async def create(
        self, kind: Kind[Any], namespace: str, body: dict[str, Any], options: WriteOptions
    ) -> WriteResult:
        """A new resource. Raises AlreadyExists, Invalid, NotFound (no such namespace), Forbidden (it is going)."""
        meta = dict(body.get("metadata") or {})
        if meta.get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        self.definitions.check_open(kind)
        self._check_namespace(kind, namespace)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._free_name(kind, namespace, str(meta["generateName"]))
        key = kind.key(meta.get("name") or "", namespace)
        result = prepare_create(kind, key, {**body, "metadata": meta}, options, now=self._now())
        return await self._write_new(kind, key, result, options)

    async def _write_new(
        self, kind: Kind[Any], key: ObjectKey, result: ValidatedObject, options: WriteOptions
    ) -> WriteResult:
        request = _admission_request("CREATE", kind, key, options, new=result.body)
        if request is not None and (filled := self.admission.mutate(request)) != result.body:
            result = ValidatedObject(validate(kind, filled, "Strict").body, result.warnings)
            request = replace(request, new=result.body)
        record = await self._write_admitted(kind, key, "create", None, result, options, request)
        return WriteResult(record.object if record else result.body, record, warnings=_warnings(result, request))

    def _free_name(self, kind: Kind[Any], namespace: str, prefix: str) -> str:
        """Among a thousand events, every thousandth new one would get a name that is taken."""
        for _ in range(_TRIES):
            name = f"{prefix[:_LONGEST_PREFIX]}{secrets.token_hex(3)[:_RANDOM_LETTERS]}"
            if self.store.get(kind.key(name, namespace)) is None:
                break
        return name

    async def update(
        self,
        kind: Kind[Any],
        key: ObjectKey,
        edit: Edit,
        options: WriteOptions,
        *,
        subresource: str = "",
        owners_known: bool = False,
    ) -> WriteResult:
        """The newest version with `edit` laid over it. `edit` gets a shared dict: it must not change it.

        A version or uid that the edited body names must be the newest one's. Otherwise the edit is made again
        when somebody else was faster. With `owners_known` the edit has set managedFields itself. Raises NotFound,
        Conflict, Invalid.
        """
        for _ in range(_TRIES):
            record = self.get(kind, key)
            old, new = record.object, edit(record.object)
            result = prepare_update(
                kind, key, old, new, options, subresource, owners_known=owners_known, now=self._now
            )
            if result is None:
                return WriteResult(old, record, changed=False)
            goes = can_be_removed(result.body)
            request = _admission_request(
                "UPDATE", kind, key, options, old=old, new=result.body, subresource=subresource
            )
            try:
                change = None if goes else result
                written = await self._write_admitted(
                    kind, key, "delete" if goes else "update", record, change, options, request
                )
            except _LostRace:
                continue
            return WriteResult(
                written.object if written else result.body, written, warnings=_warnings(result, request)
            )
        raise Conflict(f"{key} is changing too fast; try again", key=key)

    async def replace(
        self, kind: Kind[Any], key: ObjectKey, body: dict[str, Any], options: WriteOptions, *, subresource: str = ""
    ) -> WriteResult:
        """`body` in place of the version it names. Raises as `update`, and Invalid when it names none.

        Some of Kubernetes's own kinds may be replaced whatever the newest version is, and their clients rely on it.
        """
        named = (body.get("metadata") or {}).get("resourceVersion")
        if not named and (kind.group, kind.plural) not in _ANY_VERSION:
            cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
            raise Invalid(f'{kind.resource} "{key.name}" is invalid: {cause.field}: {cause.message}', key=key,
                          causes=(cause,))  # fmt: skip
        return await self.update(kind, key, lambda _: body, options, subresource=subresource)

    async def merge(
        self, kind: Kind[Any], key: ObjectKey, patch: Any, options: WriteOptions, *, subresource: str = ""
    ) -> WriteResult:
        """JSON merge patch (RFC 7386). Raises BadRequest when the patch is no object."""
        return await self.update(kind, key, merging(patch), options, subresource=subresource)

    async def apply(
        self,
        kind: Kind[Any],
        key: ObjectKey,
        config: dict[str, Any],
        options: WriteOptions,
        *,
        force: bool = False,
        subresource: str = "",
    ) -> WriteResult:
        """Server-side apply: makes the resource, or merges what `options.manager` wants into it.

        Raises Conflict with one cause for each field that belongs to somebody else, unless `force`d.
        `WriteResult.record` was created by this call when its verb is `created`.
        """
        tracking.require_manager(options.manager)

        def edit(live: dict[str, Any]) -> dict[str, Any]:
            return tracking.applied(
                kind, key, live, config, options.manager, subresource, force=force, now=self._now()
            )

        for _ in range(_TRIES):
            if self.store.get(key) is not None or subresource:
                return await self.update(kind, key, edit, options, subresource=subresource, owners_known=True)
            try:
                return await self._apply_new(kind, key, config, options)
            except AlreadyExists:
                continue
        raise Conflict(f"{key} is changing too fast; try again", key=key)

    async def _apply_new(
        self, kind: Kind[Any], key: ObjectKey, config: dict[str, Any], options: WriteOptions
    ) -> WriteResult:
        check_place(kind, key, config)
        self.definitions.check_open(kind)
        self._check_namespace(kind, key.namespace)
        meta = {**(config.get("metadata") or {}), "name": key.name}
        if meta.get("uid") or meta.get("resourceVersion"):
            raise Conflict(f"{key} does not exist, but the apply names a version or uid of it", key=key)
        now = self._now()
        owners = tracking.applied_new(kind, config, options.manager, now=now)
        result = prepare_create(kind, key, {**config, "metadata": meta}, options, owners, now=now)
        return await self._write_new(kind, key, result, options)

    async def delete(
        self,
        kind: Kind[Any],
        key: ObjectKey,
        options: WriteOptions,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> WriteResult:
        """Ask for deletion. With finalizers the resource stays, marked, until they are gone.

        Raises NotFound, Conflict when a precondition does not hold.
        """
        for _ in range(_TRIES):
            record = self.get(kind, key)
            check_preconditions(key, record.object, uid, resource_version)
            body = mark_deleted(kind, record.object, propagation, self._now())
            if body is record.object:
                return WriteResult(record.object, record, changed=False)
            change = None if can_be_removed(body) else ValidatedObject(body)
            request = _admission_request("DELETE", kind, key, options, old=record.object)
            try:
                written = await self._write_admitted(kind, key, "delete", record, change, options, request)
            except _LostRace:
                continue
            return WriteResult(
                written.object if written else body, written, warnings=_warnings(ValidatedObject(body), request)
            )
        raise Conflict(f"{key} is changing too fast; try again", key=key)

    def _check_rules(
        self, kind: Kind[Any], key: ObjectKey, old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> None:
        """Raises Invalid naming every rule of the kind that this write would break."""
        write = Write(old, new, self.catalog.managed)
        if causes := tuple(cause for rule in kind.rules for cause in rule(write)):
            raise broken_rules(kind, key, causes)

    def _now(self) -> str:
        return rfc3339(self._clock.now())

    def _check_namespace(self, kind: Kind[Any], namespace: str) -> None:
        if not kind.namespaced:
            return
        record = self.store.get(NAMESPACE.key(namespace))
        if record is None:
            raise NotFound(f'namespaces "{namespace}" not found', key=NAMESPACE.key(namespace))
        # Events may still be told about what is going away.
        if record.object["metadata"].get("deletionTimestamp") and kind.name != "Event":
            text = f"namespace {namespace} is being terminated; nothing new may be made in it"
            cause = Cause("metadata.namespace", text, "NamespaceTerminating")  # by which controllers know to give up
            raise Forbidden(text, key=NAMESPACE.key(namespace), causes=(cause,))

    async def _write_admitted(
        self,
        kind: Kind[Any],
        key: ObjectKey,
        operation: Operation,
        old: Record | None,
        kept: ValidatedObject | None,
        options: WriteOptions,
        request: AdmissionRequest | None,
    ) -> Record | None:
        """As `_write`, if the rules and invariants of the kind allow it, and admission does."""
        before, after = old.object if old else None, kept.body if kept else None
        self._check_rules(kind, key, before, None if operation == "delete" else after)
        if request is not None:
            request.warnings.extend(self.admission.validate(request))
            if kind is DEFINITION and kept is not None:
                request.warnings.extend(definition_warnings(kept.body))
        async with self._guard.judging(kind, key, operation, before, after, options.by):
            with self.admission.reserved(request):
                return await self._write(kind, key, kept, expect=old.revision if old else 0, options=options)

    async def _write(
        self, kind: Kind[Any], key: ObjectKey, kept: ValidatedObject | None, *, expect: int, options: WriteOptions
    ) -> Record | None:
        """`kept` None deletes. None when it was only a rehearsal."""
        if kind is DEFINITION and kept is not None:
            before = self.store.get(key) if expect else None
            self.definitions.admit(kept.body, before.object if before else None)
        if options.dry_run:
            if expect == 0 and self.store.get(key):
                raise AlreadyExists(f'{kind.resource} "{key.name}" already exists', key=key)
            return None
        if expect == 0 and not self.takes_new and (kind.group, kind.plural) not in _ALWAYS_TAKEN:
            raise InternalError(_ONLY_DELETING, key=key)
        try:
            if kept is not None and kind.converted:
                kept = to_stored_version(self.catalog.find(kind.group, kind.plural), kind, kept)
            change = Change(key, kept.body, expect, kept.typed()) if kept else Change(key, None, expect)
            record = (await self.store.write([change], by=options.by))[0]
        except Stale as stale:
            if expect == 0:
                raise AlreadyExists(f'{kind.resource} "{key.name}" already exists', key=key) from stale
            raise _LostRace(str(stale), key=key) from stale
        except (StoreAway, NotLeading) as away:
            raise Unavailable(str(away)) from away
        except (StoreBroken, StoreFull) as broken:
            raise InternalError(str(broken)) from broken
        if kind is DEFINITION:
            self.definitions.learn(record)
        return convert_record(kind, record)


def _admission_request(
    operation: Asked,
    kind: Kind[Any],
    key: ObjectKey,
    options: WriteOptions,
    *,
    old: Body | None = None,
    new: Body | None = None,
    subresource: str = "",
) -> AdmissionRequest | None:
    """What admission is asked; nothing for the conductor's own writes."""
    if options.user is None:
        return None
    # How many copies there are is the resource's own: whoever judges that must not be passed by another path.
    below = "" if subresource == "scale" else subresource
    return AdmissionRequest(operation, kind, key, options.user, old, new, below, options.dry_run)


def _warnings(result: ValidatedObject, request: AdmissionRequest | None) -> tuple[str, ...]:
    return (*result.warnings, *(request.warnings if request is not None else ()))
