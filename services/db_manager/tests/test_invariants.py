"""What no Database, DatabaseUser or DatabaseParameterGroup may be, whoever writes it."""

from __future__ import annotations

from typing import Any

import pytest

from crds.errors import Invalid
from crds.kind import Kind
from services.db_manager.kinds import DATABASE, DatabaseSpec
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP
from services.db_manager.standing import note_refused
from services.db_manager.tests.test_rds_resources import transition
from services.db_manager.user_kinds import DATABASE_USER


class Alone:
    """Nothing else is stored."""

    def list(self, plural: str, namespace: str | None = None, group: str = "") -> list[Any]:
        return []


def check(kind: Kind[Any], body: dict[str, Any], before: dict[str, Any] | None = None) -> None:
    operation = "update" if before is not None else "create"
    for each in kind.invariants:
        if operation in each.on:
            each.check(transition(kind, operation, before or body, body, Alone()))


def database(name: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"engine": "postgresql", **spec}}


@pytest.mark.parametrize(
    ("version", "parameters", "fault"),
    [
        (None, {"work_mem": "5MB", "pg_stat_statements.max": "10"}, ""),
        (None, {"wrok_mem": "5MB"}, "PostgreSQL has no parameter wrok_mem"),
        ("15", {"summarize_wal": "on"}, "PostgreSQL 15 has no parameter summarize_wal"),
        ("17.2", {"summarize_wal": "on"}, ""),
    ],
)
def test_a_name_that_no_server_knows_would_keep_it_from_starting(
    version: str | None, parameters: dict[str, str], fault: str
) -> None:
    spec: dict[str, Any] = {"parameters": parameters, **({"version": version} if version else {})}
    group = {"family": "postgres15", "parameters": {name: {"value": "1"} for name in parameters}}
    before = database(**({"version": version} if version else {}))
    for kind, body, old in (
        (DATABASE, database(**spec), None),
        (DATABASE, database(**spec), before),
        *(((DATABASE_PARAMETER_GROUP, {"metadata": {"name": "g"}, "spec": group}, None),) if version == "15" else ()),
    ):
        if not fault:
            check(kind, body, old)
            continue
        with pytest.raises(Invalid, match=fault):
            check(kind, body, old)
    check(DATABASE, database(**spec, storage="1Gi"), database(**spec))


@pytest.mark.parametrize(
    ("name", "value", "standard", "strict"),
    [
        ("max_slot_wal_keep_size", "-1", False, False),
        ("max_wal_senders", "0", False, False),
        ("max_replication_slots", "0", False, False),
        ("recovery_min_apply_delay", "1d", False, False),
        ("synchronous_commit", "off", True, False),
        ("synchronous_commit", "local", True, False),
        ("synchronous_commit", "remote_write", True, False),
        ("synchronous_commit", "remote_apply", True, True),
    ],
)
def test_no_parameter_takes_back_what_members_promise(name: str, value: str, standard: bool, strict: bool) -> None:
    check(DATABASE, database(parameters={name: value}))
    for durability, fits in (("standard", standard), ("strict", strict)):
        body = database(parameters={name: value}, members=3, durability=durability)
        if fits:
            check(DATABASE, body)
            continue
        for before in (None, database(parameters={name: value}), database(members=3, durability=durability)):
            with pytest.raises(Invalid, match=f"{name} (is set by the cloud|must be on)"):
                check(DATABASE, body, before)
        check(DATABASE, {**body, "spec": {**body["spec"], "storage": "1Gi"}}, body)


@pytest.mark.parametrize("name", ["a" * 62, "shop.eu", "a" * 200])
def test_a_database_has_a_name_that_its_service_can_have(name: str) -> None:
    with pytest.raises(Invalid, match=r"metadata\.name"):
        check(DATABASE, database(name))
    check(DATABASE, database("a" * 61))


def test_a_user_has_a_name_that_leaves_room_for_its_logins() -> None:
    body = {"metadata": {"name": "u" * 62}, "spec": {"database": "shop"}}
    with pytest.raises(Invalid, match=r"spec\.username"):
        check(DATABASE_USER, body)
    check(DATABASE_USER, {**body, "spec": {"database": "shop", "username": "reports"}})


def test_what_the_server_refused_is_written_as_it_was_before() -> None:
    """Until the spec says something else: a server that starts reads nothing that it does not take."""
    made = DATABASE.new("shop", spec=DatabaseSpec(engine="postgresql", parameters={"work_mem": "5MB"}))
    note_refused(made, made.parameters_in_file, {})
    made.spec.parameters = {"work_mem": "much", "geqo": "perhaps", "jit": "off"}
    assert made.parameters_in_file == made.spec.parameters, "it is asked once"
    note_refused(made, made.parameters_in_file, {"work_mem": "no", "geqo": "no"})
    assert made.parameters_in_file == {"work_mem": "5MB", "jit": "off"}
    note_refused(made, made.parameters_in_file, {})
    assert made.status.refused_parameters == {"work_mem": "much", "geqo": "perhaps"}
    made.spec.parameters = {"work_mem": "6MB"}
    assert made.parameters_in_file == {"work_mem": "6MB"}
    note_refused(made, made.parameters_in_file, {})
    assert made.status.refused_parameters == {}
