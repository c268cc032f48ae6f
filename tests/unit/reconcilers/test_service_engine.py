"""A Service that is an engine: what it leaves out is filled in, a password is made, and it waits for its program."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from controller.reconcilers import service_engine
from controller.reconcilers.service_workload import RuntimeInputs
from controller.runtime.driver import DriverError
from controller.runtime.engines.finder import FoundEngine
from crds.engines import ENGINES, SUPERUSER_FILE
from crds.kinds.secret import SECRET, Secret
from crds.meta import ObjectMeta, condition
from tests.unit.fakes.resources import FakeResources

from .test_service import House

pytestmark = pytest.mark.anyio
FOUND = FoundEngine("/usr/lib/postgresql/15/bin/postgres", "15.18")


class EngineHouse(House):
    """`missing`: why the program cannot be had; empty when it is there."""

    missing = ""

    def __init__(self) -> None:
        super().__init__()
        self.resources = FakeResources()
        self.world = replace(self.world, resources=self.resources)

    async def env(self, service, managed):
        if self.missing:
            raise DriverError(self.missing, reason="EngineMissing")
        return RuntimeInputs(command=service.spec.engine.engine.command, engine=FOUND, programs=("/opt/pg",))

    def database(self, **spec):
        return self.service("db", engine={"name": "postgresql"}, **spec)

    def secret(self, **data):
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
        secret = Secret(metadata=ObjectMeta(name="db-superuser", namespace="default", uid="s"), data=encoded)
        return self.world.seen.put(SECRET, secret)


@pytest.fixture
async def house():
    return EngineHouse()


async def test_what_it_leaves_out_is_filled_in_and_its_spec_stays_as_it_was_written(house):
    db = house.database()
    outcome = await house.look(db)
    assert outcome.settled and db.status.phase == "Ready"
    wish = house.driver.applied[0]
    assert wish.program and wish.command == ENGINES["postgresql"].command and wish.programs == ("/opt/pg",)
    assert [(each.port, each.name) for each in wish.ports] == [(5432, "postgresql")]
    assert [(each.name, each.path) for each in wish.volumes] == [("data", "/var/lib/postgresql")]
    assert (wish.stop_signal, wish.stop_grace_seconds, wish.account) == ("SIGINT", 30.0, "postgres")
    assert wish.probes.readiness and wish.probes.readiness.exec and wish.start_seconds == 3600.0
    assert db.spec.ports == [] and db.spec.volumes == []
    assert db.status.engine and (db.status.engine.version, db.status.engine.secret) == ("15.18", "db-superuser")
    assert db.status.data_on == ["oak"], "its data binds it to this machine"


async def test_what_it_says_itself_wins(house):
    db = house.database(
        ports=[{"port": 5432, "published": 15432}], stop_grace_seconds=90, probes={"readiness": {"tcpSocket": {}}}
    )
    await house.look(db)
    wish = house.driver.applied[0]
    assert wish.ports[0].published == 15432 and wish.stop_grace_seconds == 90
    assert wish.probes.readiness.tcp_socket and wish.probes.liveness.exec


async def test_its_password_is_made_once_belongs_to_it_and_is_told_to_nobody(house):
    db = house.database()
    await house.look(db)
    made = await house.resources.get(SECRET, "db-superuser", "default")
    password = base64.b64decode(made.data["password"])
    assert base64.b64decode(made.data["username"]) == b"postgres" and len(password) >= 32
    assert made.metadata.owner_references[0].uid == "db"
    file = house.driver.applied[0].files[0]
    assert (file.path, file.content, file.secret) == (SUPERUSER_FILE, password, True)
    told = f"{house.driver.applied[0]}{db.wire()}{house.world.events.news}"
    assert password.decode() not in told
    await house.look(db)  # what was made is not seen yet
    assert house.resources.count("create") == 1 and house.driver.applied[1].files[0].content == password


async def test_a_password_that_is_there_is_taken_and_another_one_is_rolled_out(house):
    house.secret(password="mine")
    db = house.database()
    await house.look(db)
    first = house.driver.applied[-1]
    assert first.files[0].content == b"mine" and house.resources.count("create") == 0
    secret = house.secret(password="changed")
    assert [key.name for key in service_engine.users_of_secret(secret, house.world.seen)] == ["db"]
    await house.look(db)
    assert house.driver.applied[-1].revision != first.revision


@pytest.mark.parametrize("data", [{}, {"password": ""}, {"password": "two\nlines"}])
async def test_a_password_that_cannot_be_used_is_waited_for(house, data):
    house.secret(**data)
    db = house.database()
    outcome = await house.look(db)
    assert outcome.message == "waiting for password of the secret db-superuser to be one line of text"
    assert not house.driver.applied


async def test_it_waits_for_its_program_and_starts_when_it_is_there(house):
    house.missing = "postgresql is not installed on oak; run on that machine: aerekos engine install postgresql"
    db = house.database()
    outcome = await house.look(db)
    ready = condition(db.status.conditions, "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "EngineMissing", house.missing)
    assert db.status.phase == "Waiting" and outcome.requeue_after <= 5 and not house.driver.applied
    house.missing = ""
    assert (await house.look(db)).settled and db.status.phase == "Ready"


async def test_one_that_runs_runs_on_without_its_program(house):
    db = house.database()
    await house.look(db)
    house.missing = "postgresql is not installed on oak"
    outcome = await house.look(db)
    assert outcome.reason == "EngineMissing" and house.driver.running
    assert condition(db.status.conditions, "Degraded").status == "True"
    assert db.status.engine.version == "15.18"


async def test_engines_without_a_superuser_have_no_secret(house):
    files = [{"path": "/config/haproxy.cfg", "content": "x"}]
    lb = house.service("lb", engine={"name": "haproxy"}, files=files, replicas=2)
    await house.look(lb)
    wish = house.driver.applied[0]
    assert house.resources.count("create") == 0 and [each.path for each in wish.files] == ["/config/haproxy.cfg"]
    assert wish.probes.readiness.tcp_socket and not wish.volumes and lb.status.engine.secret == ""
