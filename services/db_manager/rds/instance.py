"""A Database as RDS sees it: a DB instance, its ARN and the word for its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from crds.conditions import Reason
from crds.meta import Condition, condition
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.kinds import Database
from services.db_manager.owned import RESTARTED_AT, SWITCHOVER_AT, moment_of
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.names import DEFAULT_REGION, rds_arn, resource_id
from services.db_manager.rds.settings_table import family_of

ENGINE = "postgres"
"""What RDS calls the engine `postgresql`."""
# Waiting alone makes none of these better: clients that wait are to stop.
_FAILED = (
    DatabaseReason.NAME_TAKEN,
    DatabaseReason.SERVER_REFUSED,
    Reason.ENGINE_MISSING,
    Reason.ENGINE_VERSION_MISMATCH,
)


class FoundInstance(NamedTuple):
    """A Database of that account. `group_values`: what its parameter group has it have after a restart; None without
    one.
    """

    database: Database
    account: str
    group_values: Mapping[str, str] | None = None

    @property
    def identifier(self) -> str:
        return self.database.metadata.name

    @property
    def namespace(self) -> str:
        return self.database.metadata.namespace or "default"

    @property
    def attributes(self) -> RdsAttributes:
        """What RDS keeps of it; of a Database that others made, what RDS has where nothing is said."""
        return self.database.spec.rds or RdsAttributes()

    @property
    def region(self) -> str:
        return self.attributes.region or DEFAULT_REGION

    @property
    def arn(self) -> str:
        return rds_arn(self.region, self.account, "db", self.identifier)

    @property
    def resource_id(self) -> str:
        return resource_id(self.database.metadata.uid or "")

    @property
    def version(self) -> str:
        """The server's; before it has told, what was asked for."""
        return self.database.status.version or self.database.spec.version or ""

    @property
    def parameter_group(self) -> str:
        """The group that it says it has: that of its version where none was chosen."""
        family = family_of(self.version)
        return self.attributes.parameter_group or (f"default.{family}" if family else "")

    def is_seen_from(self, region: str) -> bool:
        """Whether clients of that region find it: of what RDS has engines for."""
        if any(each.kind == "Database" for each in self.database.metadata.owner_references or ()):
            return False  # a drill's
        return self.database.spec.engine == "postgresql" and self.attributes.region in ("", region)


def state_of(database: Database) -> str:
    """DBInstanceStatus. Source: Amazon RDS User Guide, "Viewing DB instance status"."""
    if database.metadata.deletion_timestamp is not None:
        return "deleting"
    ready = condition(database.status.conditions, DatabaseCondition.READY)
    if ready is None:
        return "creating"
    if not database.spec.enabled:
        return "stopped" if ready.reason == DatabaseReason.STOPPED else "stopping"
    if ready.status != "True":
        return _unready(database, ready)
    if _is_restarting(database):
        return "rebooting"
    if (ready.observed_generation or 0) < (database.metadata.generation or 0):
        return "modifying"
    return "available"


def _unready(database: Database, ready: Condition) -> str:
    if ready.reason in _FAILED:
        return "failed"
    if not database.status.version:
        return "creating"
    return "rebooting" if _is_restarting(database) else "starting"


def _is_restarting(database: Database) -> bool:
    """Whether a restart, or another primary, was wished for that was not carried out yet."""
    wishes, status = database.metadata.annotations or {}, database.status
    pairs = ((RESTARTED_AT, status.restarted_at), (SWITCHOVER_AT, status.switched_at))
    return any(moment_of(wishes.get(name, "")) > moment_of(done) for name, done in pairs)


def parameter_state(found: FoundInstance) -> str:
    """ParameterApplyStatus: `in-sync`, `applying`, `pending-reboot` or `failed-to-apply`."""
    database = found.database
    applied = condition(database.status.conditions, DatabaseCondition.PARAMETERS_APPLIED)
    if applied is not None and applied.reason == DatabaseReason.INVALID_PARAMETERS:
        return "failed-to-apply"
    if found.group_values is not None and dict(found.group_values) != database.spec.parameters:
        return "pending-reboot"
    if applied is None or (applied.observed_generation or 0) < (database.metadata.generation or 0):
        return "applying" if database.status.version else "in-sync"
    return "in-sync" if applied.status == "True" else "pending-reboot"
