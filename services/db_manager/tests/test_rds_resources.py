"""Parameter groups and DB instances as resources: what is handed on, and what may not be deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from crds.errors import Conflict, Invalid
from crds.invariants import Referrer, Transition
from crds.kind import Kind
from services.db_manager.kinds import DATABASE, DatabaseSpec
from services.db_manager.manifest import MANIFEST
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.invariants import is_protected
from services.db_manager.rds.parameter_group import (
    DATABASE_PARAMETER_GROUP,
    DatabaseParameterGroupSpec,
    GroupParameter,
    keeps_its_family,
    outlives_its_databases,
)
from services.sdk.testing import in_memory, virtual_time


def spec_of(group: str, **parameters: str) -> DatabaseSpec:
    return DatabaseSpec(engine="postgresql", parameters=parameters, rds=RdsAttributes(parameter_group=group))


@virtual_time
async def test_databases_have_the_parameters_of_the_group_they_name() -> None:
    async with in_memory(MANIFEST) as databases:
        kept = databases.resources
        for name, spec in (("shop", spec_of("tuned", geqo="off")), ("other", spec_of("", work_mem="64"))):
            await kept.create(DATABASE, DATABASE.new(name, namespace="default", spec=spec))
        values = {"work_mem": GroupParameter(value="9216"), "jit": GroupParameter(value="0")}
        group = DatabaseParameterGroupSpec(family="postgres15", parameters=values)
        new = DATABASE_PARAMETER_GROUP.new("tuned", namespace="default", spec=group)
        made = await kept.create(DATABASE_PARAMETER_GROUP, new)
        await databases.advance(1)
        assert (await kept.get(DATABASE, "shop", "default")).spec.parameters == {"work_mem": "9216", "jit": "0"}
        assert (await kept.get(DATABASE, "other", "default")).spec.parameters == {"work_mem": "64"}
        change = {
            "spec": {"parameters": {"jit": None, "work_mem": {"value": "1024", "applyMethod": "pending-reboot"}}}
        }
        await kept.patch(DATABASE_PARAMETER_GROUP, "tuned", change, made.metadata.namespace)
        await databases.advance(1)
        assert (await kept.get(DATABASE, "shop", "default")).spec.parameters == {"work_mem": "9216"}


@virtual_time
async def test_a_database_that_names_a_group_later_is_noticed() -> None:
    async with in_memory(MANIFEST) as databases:
        kept = databases.resources
        group = DatabaseParameterGroupSpec(family="postgres15", parameters={"jit": GroupParameter(value="0")})
        await kept.create(
            DATABASE_PARAMETER_GROUP, DATABASE_PARAMETER_GROUP.new("tuned", namespace="default", spec=group)
        )
        await kept.create(DATABASE, DATABASE.new("shop", namespace="default", spec=spec_of("")))
        await databases.advance(1)
        await kept.patch(DATABASE, "shop", {"spec": {"rds": {"parameterGroup": "tuned"}}}, "default")
        await databases.advance(1)
        assert (await kept.get(DATABASE, "shop", "default")).spec.parameters == {"jit": "0"}


class View:
    """What else is stored: Databases that name groups."""

    def __init__(self, *referrers: Referrer) -> None:
        self._referrers = referrers

    def referrers(self, plural: str, namespace: str | None = None, group: str = "") -> Iterable[Referrer]:
        return self._referrers


def transition(
    kind: Kind[Any], operation: Any, old: dict[str, Any], new: dict[str, Any] | None = None, view: Any = None
) -> Transition:
    name = old["metadata"]["name"]
    moment, seen = datetime(2026, 1, 1, tzinfo=UTC), cast(Any, view or View())
    return Transition(kind, kind.key(name, "default"), operation, old, new, "ann", moment, seen)


def test_a_protected_instance_is_deleted_by_nobody() -> None:
    body = {"metadata": {"name": "shop"}, "spec": {"rds": {"deletionProtection": True}}}
    with pytest.raises(Conflict, match="protected from deletion"):
        is_protected.check(transition(DATABASE, "delete", body))
    is_protected.check(transition(DATABASE, "delete", {"metadata": {"name": "shop"}, "spec": {}}))
    dying = {**body, "metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    is_protected.check(transition(DATABASE, "delete", dying))


def test_a_group_stays_as_long_as_databases_name_it() -> None:
    kind, group = DATABASE_PARAMETER_GROUP, {"metadata": {"name": "tuned"}, "spec": {"family": "postgres15"}}
    user = {"metadata": {"name": "shop"}, "spec": {"rds": {"parameterGroup": "tuned"}}}
    (reference,) = DATABASE.references
    assert list(reference.names(user)) == ["tuned"] and list(reference.names({"spec": {}})) == []
    used = View(Referrer(DATABASE, user, "tuned"))
    with pytest.raises(Conflict, match="Database shop uses it"):
        outlives_its_databases.check(transition(kind, "delete", group, view=used))
    outlives_its_databases.check(transition(kind, "delete", group, view=View(Referrer(DATABASE, user, "other"))))
    other = {"metadata": {"name": "tuned"}, "spec": {"family": "postgres18"}}
    with pytest.raises(Invalid, match=r"spec\.family"):
        keeps_its_family.check(transition(kind, "update", group, other))
