"""Proves that a Database can be brought back: on the schedule of its backup policy what is stored last is restored
into a Database of its own, which is asked how much it holds, and goes again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from crds.errors import AlreadyExists, ApiError, NotFound
from crds.kinds.service_engines import superuser_secret
from crds.meta import condition, drop_condition
from crds.model import rfc3339
from services.db_manager import server
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.credentials import superuser_password
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import DATABASE, Database, DatabaseSpec, DrillStatus, RestoreSource
from services.db_manager.names import drill_name
from services.db_manager.owned import DRILL_AT, DRILL_OF, belongs_to, moment_of, owner_of
from services.db_manager.standing import say
from services.db_manager.valkey import server as valkey
from services.sdk.reconcile import Temporary, World
from services.sdk.resources import Resources

LONGEST = timedelta(hours=12)
"""What takes longer has failed: nobody would wait for it."""
PATIENCE = timedelta(seconds=45)
"""A restore is tried again meanwhile: what its Database's status says of the archive may be older than the wish."""
_TABLES = """
SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'm')
  AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
"""


class Drills:
    """`own`: the service's own resources."""

    def __init__(self, own: Resources) -> None:
        self._own = own

    async def keep(self, database: Database, world: World) -> None:
        """Begin, go on or end the drill that is due. What cannot be done now is tried at the next pass."""
        try:
            await self._keep(database, world)
        except (ApiError, Temporary, *SERVER_FAULTS):
            return

    async def _keep(self, database: Database, world: World) -> None:
        drill, policy = database.status.drill, database.spec.backup
        wished = policy is not None and policy.drill_days is not None
        if wished and drill is not None and drill.finished_at is None:
            await self._look(database, drill, world)
        elif not await self._is_cleared(database, world):
            return
        elif not wished:
            database.status.drill = None
            drop_condition(database.status.conditions, DatabaseCondition.RESTORABLE)
        elif is_due(database, world.clock.now()):
            drill = database.status.drill = DrillStatus(began_at=world.clock.now())
            await self._make(database, drill)

    async def _make(self, database: Database, drill: DrillStatus) -> None:
        """Have its Database made, now or at a later pass."""
        spec = DatabaseSpec(
            engine=database.spec.engine,
            parameters=database.spec.parameters,
            resources=database.spec.resources,
            restore=RestoreSource(database=database.metadata.name),
        )
        made = DATABASE.new(drill_name(database.metadata.name), namespace=database.metadata.namespace, spec=spec)
        made.metadata.owner_references = [owner_of(DATABASE, database)]
        made.metadata.annotations = {DRILL_OF: rfc3339(drill.began_at)}
        drill.message = ""
        try:
            await self._own.create(DATABASE, made)
        except AlreadyExists:
            return
        except ApiError as error:
            drill.message = f"the Database {made.metadata.name}: {error.message}"

    async def _look(self, database: Database, drill: DrillStatus, world: World) -> None:
        """What was made for it is removed at a later pass: by then it is stored what it came to."""
        there, taken = await self._there(database), world.clock.now() - drill.began_at
        if there is not None and not belongs_to(there, database):
            text = f"the Database {there.metadata.name} is there already, and was not made here: delete it"
            _finish(database, drill, world, text, passed=False)
            return
        if there is not None and _is_of(there, drill):
            try:
                await self._judge(database, there, drill, world)
            except (ApiError, Temporary, *SERVER_FAULTS) as error:
                drill.message = f"it cannot be asked: {str(error) or 'no answer in time'}"
        if drill.finished_at is None and taken > LONGEST:
            ready = condition(there.status.conditions, DatabaseCondition.READY) if there is not None else None
            said = drill.message or (ready.message if ready is not None else "nothing is said of it")
            text = f"it was not back within {LONGEST.total_seconds() / 3600:.0f} hours: {said}"
            _finish(database, drill, world, text, passed=False)
        elif there is None:
            await self._make(database, drill)
        elif not _is_of(there, drill):
            await self._remove(there)

    async def _judge(self, database: Database, there: Database, drill: DrillStatus, world: World) -> None:
        """What its Database says, once it is back or cannot be."""
        ready = condition(there.status.conditions, DatabaseCondition.READY)
        restored, taken = there.status.restore, world.clock.now() - drill.began_at
        if ready is not None and ready.status == "True" and restored is not None:
            (back, held), (lasting, now) = await self._asked(there), await self._asked(database)
            drill.time = restored.time
            moment = rfc3339(restored.time) if restored.time else "it"
            if passed := bool(back or not lasting):
                text = f"what {moment} was is back within {taken.total_seconds():.0f} s: {held}"
            else:
                text = f"what {moment} was came back empty ({held}), and there are {now} now"
            _finish(database, drill, world, text, passed=passed)
        elif ready is not None and ready.reason == DatabaseReason.RESTORE_FAILED and taken > PATIENCE:
            _finish(database, drill, world, ready.message, passed=False)

    async def _asked(self, database: Database) -> tuple[int, str]:
        """How much it holds, by its own answer, and in words. Of keys, those count that never expire. Raises
        Temporary, and what `SERVER_FAULTS` names.
        """
        at, namespace = database.status.endpoint, database.metadata.namespace or "default"
        if at is None:
            raise Temporary("it has no address yet")
        root = await superuser_password(self._own, superuser_secret(database.status.primary), namespace)
        if database.is_valkey:
            async with await valkey.opened(at, root) as connection:
                said = (await valkey.info(connection, "keyspace")).values()
            keys = sum(_number(each, "keys") for each in said)
            return keys - sum(_number(each, "expires") for each in said), f"{keys} keys"
        async with server.opened(at, server.SUPERUSER, root, database.sql_database) as connection:
            ((tables,),) = await connection.fetch(_TABLES)
        return int(tables or 0), f"{tables} tables"

    async def _is_cleared(self, database: Database, world: World) -> bool:
        """Whether nothing of an earlier drill is left; what is, is removed."""
        if world.seen.get(DATABASE, drill_name(database.metadata.name), database.metadata.namespace) is None:
            return True
        there = await self._there(database)
        if there is None or not belongs_to(there, database):
            return True
        await self._remove(there)
        return False

    async def _there(self, database: Database) -> Database | None:
        """What has the name of its drill's Database, whoever made it."""
        try:
            return await self._own.get(DATABASE, drill_name(database.metadata.name), database.metadata.namespace)
        except NotFound:
            return None

    async def _remove(self, there: Database) -> None:
        """Its data lies in the trash then, as that of every Database."""
        if there.metadata.deletion_timestamp is None:
            await self._own.delete(DATABASE, there.metadata.name, there.metadata.namespace)


def _is_of(there: Database, drill: DrillStatus) -> bool:
    """Whether it was made for this drill: what an earlier one has left proves nothing."""
    return (there.metadata.annotations or {}).get(DRILL_OF) == rfc3339(drill.began_at)


def is_due(database: Database, now: datetime) -> bool:
    """Whether the next drill is to begin: there is something to restore, and the last one was long enough ago, or
    somebody wishes for one.
    """
    policy, backup, last = database.spec.backup, database.status.backup, database.status.drill
    if policy is None or policy.drill_days is None or backup is None:
        return False
    earliest, latest = backup.earliest_restorable_time, backup.latest_restorable_time
    if earliest is None or latest is None or latest < earliest:
        return False
    if last is None:
        return True
    wish = moment_of((database.metadata.annotations or {}).get(DRILL_AT, ""))
    return now - last.began_at >= timedelta(days=policy.drill_days) or last.began_at < wish <= now


def _finish(database: Database, drill: DrillStatus, world: World, text: str, *, passed: bool) -> None:
    drill.finished_at, drill.passed, drill.message = world.clock.now(), passed, text
    reason = DatabaseReason.DRILL_PASSED if passed else DatabaseReason.DRILL_FAILED
    say(database, world, DatabaseCondition.RESTORABLE, passed, reason, text)
    world.events.record(database, reason, text, warning=not passed)


def _number(said: str, name: str) -> int:
    """Of `keys=3,expires=0,avg_ttl=0`."""
    number = said.partition(f"{name}=")[2].partition(",")[0]
    return int(number) if number.isdigit() else 0
