"""One report for all clients: worst first, for each asker what they may read, and a word for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from unit.api.components import HOW, House, make_house

from api.auth.principal import AUTHENTICATED, Principal
from api.health import health_routes
from api.rest import rest_app
from controller.health.finding import Code, Finding
from controller.health.report import Health, Report
from controller.store.records import Change
from crds.kinds.namespace import NAMESPACE
from crds.kinds.rbac import ROLE_BINDING
from crds.kinds.service import SERVICE
from crds.kinds.user import USER

pytestmark = pytest.mark.anyio
IMAGE = {"image": "x:1"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for room in ("team-a", "team-b"):
        await made.registry.create(NAMESPACE, "", {"metadata": {"name": room}}, HOW)
        await made.registry.create(SERVICE, room, {"metadata": {"name": f"web-{room}"}, "spec": IMAGE}, HOW)
    yield made
    await made.close()


def failing() -> Iterator[Finding]:
    yield Finding("info", Code.MEMORY_NEARLY_FULL, "told before it failed")
    raise OSError(5, "the disk does not answer")


def health(house: House, **more: bool) -> Health:
    return Health(
        house.registry,
        house.leases,
        house.clock,
        (),
        is_caught_up=lambda: more.get("caught_up", True),
        sources=(failing,),
    )


async def codes(house: House, name: str) -> list[str]:
    who = Principal(name, frozenset({AUTHENTICATED}))
    app = rest_app([health_routes(health(house), house.authenticator, house.authorizer)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://cloud.test", headers=house.bearer(who)
    ) as client:
        answer = await client.get("/health/report")
    assert answer.status_code == 200, answer.text
    return [f"{each['code']} {each['object']['name']}".strip() for each in answer.json()["findings"]]


async def test_each_hears_of_what_they_may_read(house: House) -> None:
    await house.add_user("admin", "admin")
    await house.registry.create(USER, "", {"metadata": {"name": "eve"}, "spec": {"roles": []}}, HOW)
    reference = {"apiGroup": ROLE_BINDING.group, "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "User", "name": "eve"}
    body = {"metadata": {"name": "eve"}, "subjects": [subject], "roleRef": reference}
    assert await codes(house, "eve") == []
    await house.registry.create(ROLE_BINDING, "team-a", body, HOW)
    assert await codes(house, "eve") == ["ServiceNotReady web-team-a"]
    whole = ["NoWorkerReady", "ServiceNotReady web-team-a", "ServiceNotReady web-team-b", "MemoryNearlyFull"]
    assert await codes(house, "admin") == whole, "worst first"


async def test_the_word_for_everybody_names_nothing(house: House) -> None:
    state = health(house).readiness()
    assert state == {"ready": True, "revision": house.store.revision, "health": "NotWell"}
    starting = health(house, caught_up=False).readiness()
    assert starting["ready"] is False and "looked" in str(starting["because"])


async def test_probes_do_not_make_it_look_each_time(house: House) -> None:
    looked: list[int] = []

    def count() -> Iterator[Finding]:
        looked.append(1)
        yield from ()

    seen = Health(house.registry, house.leases, house.clock, (), sources=(count,))
    for _ in range(10):
        seen.readiness()
    house.clock.forward(2)
    seen.readiness()
    assert len(looked) == 2


async def test_the_verdict_is_the_worst_there_is(house: House) -> None:
    def of(*severities: str) -> str:
        found = tuple(Finding(each, Code.DISK_FULL, "") for each in severities)  # type: ignore[arg-type]
        return Report(found, house.clock.now()).verdict

    assert (of(), of("info"), of("info", "warning"), of("warning", "critical")) == (
        *("Well", "Well", "NeedsAttention", "NotWell"),
    )


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ((), "all is well"),
        (("info",), "all is well"),
        (("info", "warning"), "1 thing needs attention"),
        (("critical", "warning"), "not well: 2 things need attention"),
    ],
)
async def test_every_door_tells_the_same_words(house: House, severities: tuple[str, ...], words: str) -> None:
    found = tuple(Finding(each, Code.DISK_FULL, "") for each in severities)  # type: ignore[arg-type]
    report = Report(found, house.clock.now())
    assert report.summary == report.wire()["summary"] == words


async def test_what_is_set_aside_is_told(house: House) -> None:
    record = house.registry.get(SERVICE, SERVICE.key("web-team-a", "team-a"))
    odd = {**record.object, "spec": {**record.object["spec"], "replicas": "many"}}
    (written,) = await house.store.write([Change(record.key, odd, record.revision)], by="newer")
    assert house.registry.quarantine.read(SERVICE, written) is None
    told = [each.message for each in health(house).look().findings if each.code == Code.UNREADABLE_RECORDS]
    assert told == ["1 stored record cannot be read by this version: left alone"]
