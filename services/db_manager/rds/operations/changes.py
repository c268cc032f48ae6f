"""RDS operations that change DB instances, restart, stop and start them."""

from __future__ import annotations

from typing import Any

from crds.model import rfc3339
from services.db_manager.kinds import DATABASE, Database
from services.db_manager.owned import RESTARTED_AT, SWITCHOVER_AT
from services.db_manager.rds import errors, instance_request
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.group_store import GroupStore, is_default
from services.db_manager.rds.instance import FoundInstance, state_of
from services.db_manager.rds.instance_request import ONLY_NAMES
from services.db_manager.rds.instance_store import InstanceStore, require_state
from services.db_manager.rds.master_secret import MasterSecrets
from services.db_manager.rds.views import instance_view
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
_ID = "DBInstanceIdentifier"
# What does not come up can be changed, too: that may be what it needs.
_RUNNING = ("available", "modifying", "rebooting", "starting", "failed")
_MODIFY = (
    _ID,
    "AllocatedStorage",
    "AllowMajorVersionUpgrade",
    "ApplyImmediately",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBParameterGroupName",
    "DBPortNumber",
    "DeletionProtection",
    "Engine",
    "EngineVersion",
    "MasterUserPassword",
    "PubliclyAccessible",
    "StorageType",
    *(name for name in ONLY_NAMES),
)


class ChangeOperations:
    """One declared method per operation."""

    def __init__(self, store: InstanceStore, groups: GroupStore, passwords: MasterSecrets, clock: Clock) -> None:
        self._store, self._groups, self._passwords, self._clock = store, groups, passwords, clock

    @operation("ModifyDBInstance", permission=("patch", DATABASE), understands=_MODIFY)
    async def modify_db_instance(self, call: RequestContext, request: Json) -> Json:
        found = await self._store.resolve_named(call, request[_ID], request)
        require_state(found, state_of(found.database), *_RUNNING, "stopped", "creating")
        instance_request.require_possible(request, call.region)
        wanted = Modification(found, request)
        group = await self._groups.chosen(call, request.get("DBParameterGroupName"), found.version)
        password = request.get("MasterUserPassword")
        if password is not None:
            instance_request.master_password(password)
            await self._passwords.secret_of(found.database)

        def change(database: Database) -> None:
            assert database.spec.rds is not None
            wanted.apply(database, database.spec.rds)
            if group is not None:
                database.spec.rds.parameter_group = "" if is_default(group) else group.metadata.name
                database.spec.parameters = group.spec.values()

        changed = await self._store.change(call, found, request, change)
        if password is not None:
            await self._passwords.change(found.database, password)
            changed = await self._store.change(call, found, request, self._passwords.noted)
        return {"DBInstance": instance_view(changed)}

    @operation("RebootDBInstance", permission=("patch", DATABASE), understands=(_ID, "ForceFailover"))
    async def reboot_db_instance(self, call: RequestContext, request: Json) -> Json:
        """What waited for it counts afterwards: pending modifications, parameters of the group. `ForceFailover`: it
        goes on as another member, which starts nothing anew.
        """
        found = await self._store.resolve_named(call, request[_ID], request)
        require_state(found, state_of(found.database), *_RUNNING)
        fails_over = bool(request.get("ForceFailover"))
        if fails_over and found.database.spec.members == 1:
            raise errors.invalid_combination(
                f"ForceFailover: {found.identifier} has no other member; set spec.members of its Database"
            )
        wish = {SWITCHOVER_AT if fails_over else RESTARTED_AT: rfc3339(self._clock.now())}

        def change(database: Database) -> None:
            if not fails_over:
                _take_pending(database, found)
            database.metadata.annotations = {**(database.metadata.annotations or {}), **wish}

        changed = await self._store.change(call, found, request, change)
        return {"DBInstance": {**instance_view(changed), "DBInstanceStatus": "rebooting"}}

    @operation("StopDBInstance", permission=("patch", DATABASE), understands=(_ID,))
    async def stop_db_instance(self, call: RequestContext, request: Json) -> Json:
        found = await self._store.resolve_named(call, request[_ID], request)
        require_state(found, state_of(found.database), *_RUNNING)

        def change(database: Database) -> None:
            database.spec.enabled = False

        changed = await self._store.change(call, found, request, change)
        return {"DBInstance": {**instance_view(changed), "DBInstanceStatus": "stopping"}}

    @operation("StartDBInstance", permission=("patch", DATABASE), understands=(_ID,))
    async def start_db_instance(self, call: RequestContext, request: Json) -> Json:
        """A start is a restart to what waits for one."""
        found = await self._store.resolve_named(call, request[_ID], request)
        require_state(found, state_of(found.database), "stopped")

        def change(database: Database) -> None:
            _take_pending(database, found)
            database.spec.enabled = True

        changed = await self._store.change(call, found, request, change)
        return {"DBInstance": {**instance_view(changed), "DBInstanceStatus": "starting"}}


class Modification:
    """What a ModifyDBInstance asks for, checked before anything of it is done. Raises AwsError."""

    def __init__(self, found: FoundInstance, request: Json) -> None:
        self._now, self._request = bool(request.get("ApplyImmediately")), request
        attributes = found.attributes
        self._class = request.get("DBInstanceClass") and instance_request.instance_class(request["DBInstanceClass"])
        self._type = instance_request.storage_type(request, attributes.storage_type)
        self._gib: int | None = request.get("AllocatedStorage")
        if self._gib is not None:
            instance_request.storage_gib(self._gib, self._type)
            if self._gib < attributes.allocated_gib:
                raise errors.invalid_combination("Requested allocated storage cannot be less than the current one.")
        self._version = _other_version(found, request)
        self._backup = instance_request.backup_policy(
            request.get("BackupRetentionPeriod"), found.database.spec.backup
        )
        public, port = request.get("PubliclyAccessible"), request.get("DBPortNumber")
        is_public = found.database.spec.exposure is not None if public is None else bool(public)
        self._exposure = instance_request.exposure(is_public, port)
        self._is_exposure_asked = public is not None or port is not None

    def apply(self, database: Database, attributes: RdsAttributes) -> None:
        request = self._request
        attributes.storage_type = self._type  # a word, which waits for nothing
        for name, field in (
            ("CopyTagsToSnapshot", "copy_tags_to_snapshot"),
            ("DeletionProtection", "deletion_protection"),
        ):
            if request.get(name) is not None:
                setattr(attributes, field, bool(request[name]))
        if request.get("BackupRetentionPeriod") is not None:
            database.spec.backup = self._backup
        if self._is_exposure_asked:
            kept = database.spec.exposure
            database.spec.exposure = (
                kept if kept and self._exposure and "DBPortNumber" not in request else self._exposure
            )
        pending = attributes.pending
        pending.instance_class = self._class or pending.instance_class
        pending.allocated_gib = self._gib or pending.allocated_gib
        pending.engine_version = self._version or pending.engine_version
        if self._now:
            apply_pending(database, attributes)
        else:
            _forget_what_is_so(database, attributes)


def apply_pending(database: Database, attributes: RdsAttributes) -> None:
    """Bring the Database to what was to wait."""
    pending, spec = attributes.pending, database.spec
    if pending.instance_class:
        attributes.instance_class = pending.instance_class
        spec.resources = instance_request.limits_of(pending.instance_class)
    if pending.allocated_gib:
        attributes.allocated_gib = pending.allocated_gib
        spec.storage = f"{pending.allocated_gib}Gi"
    spec.version = pending.engine_version or spec.version
    attributes.pending = type(pending)()


def _forget_what_is_so(database: Database, attributes: RdsAttributes) -> None:
    """Whoever asks for what is there takes back what was to come."""
    pending = attributes.pending
    if pending.instance_class == attributes.instance_class:
        pending.instance_class = None
    if pending.allocated_gib == attributes.allocated_gib:
        pending.allocated_gib = None


def _take_pending(database: Database, found: FoundInstance) -> None:
    assert database.spec.rds is not None
    apply_pending(database, database.spec.rds)
    if found.group_values is not None:
        database.spec.parameters = dict(found.group_values)


def _other_version(found: FoundInstance, request: Json) -> str | None:
    """The minor version that is asked for, if it is another one. Raises AwsError for another major one."""
    version = instance_request.engine_version(request)
    if not version or found.version == version or found.version.startswith(f"{version}."):
        return None
    if version.partition(".")[0] != found.version.partition(".")[0]:
        raise errors.invalid_combination(
            f"Cannot upgrade postgres from {found.version} to {version}: dump it, and restore it in a new instance"
        )
    return version
