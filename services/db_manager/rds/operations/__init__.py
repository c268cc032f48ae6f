"""Every operation of RDS that is answered, one module per topic."""

from __future__ import annotations

from services.db_manager.rds.group_store import GroupStore
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.making import InstanceMaker
from services.db_manager.rds.master_secret import MasterSecrets
from services.db_manager.rds.operations.changes import ChangeOperations
from services.db_manager.rds.operations.engines import EngineOperations
from services.db_manager.rds.operations.events import EventOperations
from services.db_manager.rds.operations.instances import InstanceOperations
from services.db_manager.rds.operations.parameter_groups import ParameterGroupOperations
from services.db_manager.rds.operations.restores import RestoreOperations
from services.db_manager.rds.operations.snapshots import SnapshotOperations
from services.db_manager.rds.operations.tags import TagOperations
from services.db_manager.rds.snapshot_store import SnapshotStore
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import declared_operations
from services.sdk.context import ServiceContext

# An operation that is missing here answers InvalidAction.
OPERATIONS = declared_operations(
    InstanceOperations,
    ChangeOperations,
    ParameterGroupOperations,
    TagOperations,
    EngineOperations,
    EventOperations,
    SnapshotOperations,
    RestoreOperations,
)


def handlers(context: ServiceContext) -> list[object]:
    """What answers them."""
    access = CallerAccess(context)
    store, groups = InstanceStore(context, access), GroupStore(context, access)
    passwords, snapshots = MasterSecrets(context.resources, context.clock), SnapshotStore(context, access)
    maker = InstanceMaker(store, passwords)
    return [
        InstanceOperations(store, groups, snapshots, maker),
        ChangeOperations(store, groups, passwords, context.clock),
        ParameterGroupOperations(groups),
        TagOperations(store, groups, snapshots),
        EngineOperations(store),
        EventOperations(store, context.resources, context.clock),
        SnapshotOperations(snapshots, store),
        RestoreOperations(store, groups, snapshots, maker),
    ]
