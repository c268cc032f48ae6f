"""What a conductor that stands by answers by itself, and what it leaves to the one that leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.principal import Principal
from api.kube.resource_api import ResourceApi
from api.local_reads import ASK_LEADER
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.standby import Freshness, StandbyApp
from controller.store.records import StoreAway
from crds.kinds.config_map import CONFIG_MAP

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"


class Follows:
    """The house's store, as one that another process writes."""

    def __init__(self, house: House) -> None:
        self.looks, self.away, self._store = 0, False, house.store

    async def catch_up(self) -> None:
        self.looks += 1
        await anyio.lowlevel.checkpoint()
        if self.away:
            raise StoreAway("gone for a moment")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Standby:
    """It, on a house of its own."""

    def __init__(self, house: House) -> None:
        self.house, self.follows = house, Follows(house)
        clock = house.clock
        self._app = StandbyApp(
            store=self.follows,  # type: ignore[arg-type]
            resources=ResourceApi(house.registry, house.authorizer, clock, None, leases=house.leases),  # type: ignore[arg-type]
            authenticator=house.authenticator,
            guard=house.guard,
            limits=RateLimiter(clock, per_second=1000, watches=10),
            metrics=Metrics(house.store),
            audit=house.audit,
            leader=lambda: "https://one",
        )

    async def ask(self, path: str, who: Principal | None = ADMIN, method: str = "GET") -> tuple[int, bool, Any]:
        """Code, whether the leader is to be asked, and what was said."""
        transport = httpx.ASGITransport(self._app)  # type: ignore[arg-type]
        headers = self.house.bearer(who) if who else {}
        async with httpx.AsyncClient(transport=transport, base_url="https://x", headers=headers) as client:
            got = await client.request(method, path, timeout=60)
        return got.status_code, ASK_LEADER.decode() in got.headers, got.text


@pytest.fixture
async def standby(tmp_path: Path) -> AsyncIterator[Standby]:
    house = await make_house(tmp_path)
    await house.registry.create(CONFIG_MAP, "default", {"metadata": {"name": "a"}, "data": {"x": "y"}}, HOW)
    yield Standby(house)
    await house.close()


@pytest.mark.parametrize(
    "path", [MAPS, MAPS + "/a", "/api", "/apis", "/apis/aerekos.cloud/v1", "/version", "/readyz", "/ui/"]
)
async def test_reads_of_records_are_answered(standby: Standby, path: str) -> None:
    code, asks, told = await standby.ask(path)
    assert not asks and (code == 200 or path == "/ui/")
    if path == "/readyz":
        assert '"standby":true' in told and "https://one" in told


async def test_what_is_not_there_is_said_here(standby: Standby) -> None:
    assert (await standby.ask(MAPS + "/nothing"))[:2] == (404, False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", MAPS),
        ("DELETE", MAPS + "/a"),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/nodes"),
        ("GET", "/api/v1/namespaces/default/pods/a/log"),
        ("GET", "/apis/of.nobody/v1/things"),
        ("GET", "/auth/whoami"),
        ("GET", "/metrics"),
    ],
)
async def test_all_else_is_for_the_one_that_leads(standby: Standby, method: str, path: str) -> None:
    assert (await standby.ask(path, method=method))[:2] == (503, True)


async def test_what_would_be_refused_is_for_the_one_that_leads(standby: Standby) -> None:
    """Keys and rights here may be those of a moment ago."""
    nobody = Principal("ghost", frozenset())
    for who in (None, nobody):
        assert (await standby.ask(MAPS, who))[:2] == (503, True)
    await standby.house.add_user("eve", "viewer")
    assert (await standby.ask("/api/v1/namespaces/default/secrets", Principal("eve", frozenset())))[:2] == (503, True)


async def test_a_read_knows_what_was_committed_before_it_or_is_not_answered(standby: Standby) -> None:
    assert (await standby.ask(MAPS))[0] == 200 and standby.follows.looks == 1
    standby.follows.away = True
    assert (await standby.ask(MAPS))[:2] == (503, True)


async def test_reads_at_once_share_a_look_that_began_after_them() -> None:
    looks = list[anyio.Event]()

    async def catch_up() -> None:
        looks.append(anyio.Event())
        await looks[-1].wait()

    fresh, done = Freshness(catch_up), list[int]()

    async def read(number: int) -> None:
        await fresh.reach()
        done.append(number)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, 0)
            await anyio.wait_all_tasks_blocked()
            for number in range(1, 5):
                tasks.start_soon(read, number)
            await anyio.wait_all_tasks_blocked()
            looks[0].set()
            await anyio.wait_all_tasks_blocked()
            assert done == [0] and len(looks) == 2
            looks[1].set()
    assert sorted(done) == list(range(5)) and len(looks) == 2
