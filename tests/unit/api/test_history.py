"""The history of a resource over HTTP: what changed, for whom it is visible, and how far back it reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from unit.api.components import HOW, House

from api import history
from api.auth.principal import AUTHENTICATED, Principal
from api.history import history_routes
from api.rest import rest_app
from crds.kinds.service import SERVICE
from crds.model import rfc3339_micro

pytestmark = pytest.mark.anyio
WEB = "/history/apis/aerekos.cloud/v1/namespaces/default/services/web"


KEY = SERVICE.key("web", "default")
VIEWER = Principal("viewer", frozenset({"aerekos:viewer", AUTHENTICATED}))


class Asking:
    """A viewer who asks about the past of one service."""

    def __init__(self, house: House, client: httpx.AsyncClient) -> None:
        self.house, self.client = house, client

    async def answer(self, path: str = WEB, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self.house.bearer(VIEWER))

    async def versions(self, **params: Any) -> list[dict[str, Any]]:
        answer = await self.answer(**params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["versions"])

    async def make(self) -> None:
        body = {"metadata": {"name": "web"}, "spec": {"image": "nginx:1", "enabled": False}}
        await self.house.registry.create(SERVICE, "default", body, HOW)

    async def change(self, subresource: str = "", **patch: Any) -> None:
        self.house.clock.forward(60)
        await self.house.registry.merge(SERVICE, KEY, patch, HOW, subresource=subresource)


@pytest.fixture
async def asking(house: House) -> AsyncIterator[Asking]:
    await house.add_user("viewer", "viewer")
    app = rest_app([history_routes(house.registry, house.authenticator, house.authorizer, house.clock)])
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test") as client:
        yield Asking(house, client)


async def test_every_wish_is_a_version_and_a_status_is_none_unless_asked_for(asking: Asking) -> None:
    await asking.make()
    await asking.change(spec={"image": "nginx:2"})
    for ready in (1, 2):
        await asking.change("status", status={"readyReplicas": ready})
    await asking.change(metadata={"finalizers": ["aerekos.cloud/runtime"]})
    await asking.change(metadata={"labels": {"team": "blue"}, "finalizers": None})
    await asking.house.registry.delete(SERVICE, KEY, HOW)
    await asking.make()
    seen = await asking.versions()
    assert [each["verb"] for each in seen] == ["created", "updated", "updated", "deleted", "created"]
    assert [each["resource"]["spec"]["image"][-1] for each in seen] == ["1", "2", "2", "2", "1"]
    assert seen[2]["resource"]["metadata"]["labels"] == {"team": "blue"} and seen[0]["by"] == "test"
    assert [each["revision"] for each in seen] == sorted(each["revision"] for each in seen)
    assert len(await asking.versions(status="true")) == 8
    assert [each["verb"] for each in await asking.versions(limit=2)] == ["deleted", "created"]


async def test_a_moment_has_a_revision_as_far_back_as_history_is_kept(asking: Asking) -> None:
    await asking.make()
    store, clock = asking.house.store, asking.house.clock
    made, moment = store.revision, clock.now()
    await asking.change(spec={"image": "nginx:2"})
    answer = await asking.answer("/history", at=rfc3339_micro(moment))
    assert answer.json() == {"revision": made, "oldest": store.oldest}
    late = await asking.answer("/history", at=rfc3339_micro(clock.now().replace(year=2999)))
    assert late.status_code == 400 and "still to come" in late.text
    early = await asking.answer("/history", at="2001-02-03T04:05:06Z")
    assert early.status_code == 410 and "this cloud was made later" in early.text
    assert (await asking.answer("/history", at="yesterday")).status_code == 422
    assert (await asking.answer("/history")).status_code == 422
    await store.compact(keep_after=store.revision)
    gone = await asking.answer("/history", at=rfc3339_micro(moment))
    assert gone.status_code == 410 and f"oldest revision that is kept is {store.oldest}" in gone.text
    assert [each["resource"]["spec"]["image"] for each in await asking.versions()] == ["nginx:2"]


async def test_much_of_it_is_cut_to_the_newest(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    await asking.make()
    for number in range(5):
        await asking.change(metadata={"annotations": {"note": str(number) * 1000}})
    monkeypatch.setattr(history, "MOST_BYTES", 4000)
    assert [each["resource"]["metadata"]["annotations"]["note"][0] for each in await asking.versions()] == ["3", "4"]


@pytest.mark.parametrize(
    "path",
    [
        WEB + "x",
        WEB + "/status",
        WEB.removesuffix("/web"),
        "/history/apis/apps/v1/namespaces/default/deployments/web",
        "/history/api/v1/nodes/vm",
        "/history/odd/path",
    ],
)
async def test_what_has_no_history_is_not_found(asking: Asking, path: str) -> None:
    await asking.make()
    answer = await asking.answer(path)
    assert answer.status_code == 404 and answer.json()["kind"] == "Status"
