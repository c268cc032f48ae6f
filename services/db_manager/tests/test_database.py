"""What of a Database is decided without a server: names, parameters, what it waits for, what it does not touch."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, ServiceSpec
from crds.meta import Condition, condition
from services.db_manager.credentials import CredentialsSecret, connection_facts, password_of
from services.db_manager.kinds import DATABASE, Database, DatabaseSpec, Endpoint
from services.db_manager.manifest import MANIFEST
from services.db_manager.member import wanted_server
from services.db_manager.names import sql_name, sql_name_fault
from services.db_manager.parameters import configuration, parameter_fault
from services.sdk.reconcile import Temporary
from services.sdk.testing import in_memory, virtual_time


def a_database(name: str = "shop", **spec: object) -> Database:
    return DATABASE.new(name, namespace="default", spec=DatabaseSpec(engine="postgresql", **spec))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("engine", "oracle"),
        ("members", 6),
        ("durability", "strict"),
        ("database", "postgres"),
        ("database", "Shop"),
        ("username", "pg_root"),
        ("exposure", {"port": 80}),
        ("backup", {"schedule": "@daily"}),
        ("version", "fifteen"),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_name(field: str, value: object) -> None:
    body = {"metadata": {"name": "shop"}, "spec": {"engine": "postgresql", field: value}}
    with pytest.raises(ValidationError, match=field):
        DATABASE.parse(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "1"),
        ("archive_command", "rm -rf /"),
        ("ssl_key_file", "/secrets/x"),
        ("include", "/etc/passwd"),
        ("fsync", "off"),
        ("pre_auth_delay", "60"),
        ("work_mem", "1MB\nport = 1"),
        ("work_mem\n", "1MB"),
        ("Work_Mem", "1MB"),
        ("", "1"),
        ("recovery_target_time", "now"),
    ],
)
def test_parameters_that_are_the_clouds_are_refused(name: str, value: str) -> None:
    assert parameter_fault(name, value)
    with pytest.raises(ValidationError):
        DatabaseSpec(engine="postgresql", parameters={name: value})


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=60))
def test_a_value_stays_within_its_line_and_quotes(value: str) -> None:
    assert not parameter_fault("work_mem", value)
    comment, line, end = configuration({"work_mem": value}).split("\n")
    assert comment.startswith("#") and end == ""
    assert line.startswith("work_mem = '") and line.endswith("'")
    inside = line.removeprefix("work_mem = '")[:-1]
    assert inside.replace("''", "").count("'") == 0 and inside.replace("''", "'").replace("\\\\", "\\") == value


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,50}[a-z0-9])?", fullmatch=True))
def test_every_resource_has_a_name_in_sql(name: str) -> None:
    made = sql_name(name)
    assert not sql_name_fault(made)
    DatabaseSpec(engine="postgresql", database=made, username=made)


def test_what_it_asks_of_its_server_is_what_its_spec_says() -> None:
    wanted = wanted_server(a_database(storage="20Gi", exposure={"port": 15432}, enabled=False, version="15"))
    assert wanted.engine is not None and (wanted.engine.name, wanted.engine.version) == ("postgresql", "15")
    assert wanted.ports[0].published == 15432 and wanted.volumes[0].size == "20Gi" and not wanted.enabled
    assert wanted_server(a_database()).ports[0].published is None


@virtual_time
async def test_it_makes_its_server_and_waits_in_the_words_of_that() -> None:
    async with in_memory(MANIFEST) as service:
        await service.resources.create(DATABASE, a_database(parameters={"work_mem": "5MB"}))
        await service.advance(1)
        server = await service.resources.get(SERVICE, "shop-0", "default")
        assert server.metadata.owner_references is not None
        assert [each.name for each in server.metadata.owner_references] == ["shop"]
        config = await service.resources.get(CONFIG_MAP, "shop-parameters", "default")
        assert config.data is not None and "work_mem = '5MB'" in config.data["postgresql.conf"]
        server.status.conditions = [
            Condition(type="Ready", status="False", reason="EngineMissing", message="install it")
        ]
        await service.resources.patch(
            SERVICE, "shop-0", {"status": server.status.wire()}, "default", subresource="status"
        )
        await service.advance(1)
        said = condition((await service.resources.get(DATABASE, "shop", "default")).status.conditions, "Ready")
        assert said is not None and (said.status, said.reason, said.message) == (
            "False",
            "EngineMissing",
            "install it",
        )


@virtual_time
async def test_what_somebody_else_made_is_not_touched() -> None:
    async with in_memory(MANIFEST) as service:
        theirs = SERVICE.new("shop-0", namespace="default", spec=ServiceSpec(command=["sleep", "1"]))
        await service.resources.create(SERVICE, theirs)
        await service.resources.create(DATABASE, a_database())
        await service.advance(1)
        assert (await service.resources.get(SERVICE, "shop-0", "default")).spec.command == ["sleep", "1"]
        said = condition((await service.resources.get(DATABASE, "shop", "default")).status.conditions, "Ready")
        assert said is not None and said.reason == "NameTaken"
        await service.resources.delete(SERVICE, "shop-0", "default")
        await service.advance(20)
        assert (await service.resources.get(SERVICE, "shop-0", "default")).spec.engine is not None


@virtual_time
async def test_a_drift_of_its_server_is_put_right() -> None:
    async with in_memory(MANIFEST) as service:
        await service.resources.create(DATABASE, a_database())
        await service.advance(1)
        await service.resources.patch(SERVICE, "shop-0", {"spec": {"enabled": False}}, "default")
        await service.advance(1)
        assert (await service.resources.get(SERVICE, "shop-0", "default")).spec.enabled


@virtual_time
async def test_a_password_that_is_changed_meanwhile_is_not_written_over() -> None:
    async with in_memory(MANIFEST) as service:
        database = await service.resources.create(DATABASE, a_database())
        credentials = CredentialsSecret(service.resources, DATABASE)
        read = await credentials.ensured(database)
        theirs = {"data": {"password": base64.b64encode(b"swordfish-swordfish").decode()}}
        await service.resources.patch(SECRET, "shop-credentials", theirs, "default")
        with pytest.raises(Temporary):
            facts = connection_facts(Endpoint(host="127.0.0.1", port=5432), "shop", password_of(read), "shop")
            await credentials.complete(database, read, facts)
        again = await credentials.ensured(database)
        assert password_of(again) == "swordfish-swordfish"


@virtual_time
async def test_a_secret_that_somebody_uses_otherwise_is_not_adopted() -> None:
    """Keys of ours in it, or none at all, do not make it ours: it would be rewritten, and go with the Database."""
    theirs: tuple[dict[str, str], ...] = (
        {"host": "mail.example", "username": "smtp", "password": "theirs-for-mail"},
        {},
        {"password": "chosen-by-them", "more": "x"},
    )
    async with in_memory(MANIFEST) as service:
        credentials = CredentialsSecret(service.resources, DATABASE)
        for number, texts in enumerate(theirs):
            database = await service.resources.create(DATABASE, a_database(f"shop{number}"))
            data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
            made = SECRET.new(f"shop{number}-credentials", namespace="default", data=data)
            await service.resources.create(SECRET, made)
            with pytest.raises(Temporary, match="was not made here"):
                await credentials.ensured(database)
            kept = await service.resources.get(SECRET, f"shop{number}-credentials", "default")
            assert (kept.data or {}) == data and not kept.metadata.owner_references


def test_a_password_nobody_could_use_is_looked_at_again() -> None:
    """A Secret has no generation of the Database's: what was corrected would never be seen."""
    short = SECRET.new(
        "shop-credentials", namespace="default", data={"password": base64.b64encode(b"short").decode()}
    )
    with pytest.raises(Temporary) as caught:
        password_of(short)
    assert (caught.value.reason, caught.value.after) == ("InvalidPassword", 15.0)
