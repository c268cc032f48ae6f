"""Plain routes over real HTTP: who may, what is refused, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crds.errors import NotFound
from crds.kinds.config_map import CONFIG_MAP, ConfigMap
from crds.managed import Grant, ManagedService
from crds.model import Model
from services.sdk.context import ServiceContext
from services.sdk.routes import Request, Response, route
from services.sdk.service import Service, create_service
from services.sdk.testing import FakeConductor, MemoryResources, ServiceHarness, User, fake_context, serving

ACTS = Grant("configmaps", ("get", "create", "list"), "")
MANIFEST = ManagedService("words_manager", "Words", "", f"{__name__}:create", acts=(ACTS,))


class Word(Model):
    name: str
    length: int = 0


class WordRoutes:
    @route("GET", "/words/{name}", permission=("get", CONFIG_MAP))
    async def read(self, request: Request) -> dict[str, Any]:
        found: ConfigMap = await request.resources.get(CONFIG_MAP, request.parameters["name"], request.namespace)
        return {"name": found.metadata.name, "in": request.namespace}

    @route("POST", "/words", permission=("create", CONFIG_MAP), query=("dryRun",), body=Word)
    async def add(self, request: Request) -> Response:
        if "dryRun" not in request.query:
            await request.resources.create(CONFIG_MAP, CONFIG_MAP.new(request.body.name, namespace=request.namespace))
        return Response(b"{}", 201, headers={"Location": f"/words/{request.body.name}"})

    @route("GET", "/namespaces/{namespace}/words/{name}", permission=("get", CONFIG_MAP))
    async def read_elsewhere(self, request: Request) -> dict[str, Any]:
        return await self.read(request)

    @route("GET", "/words/longest", permission=("list", CONFIG_MAP))
    async def longest(self, request: Request) -> Word:
        return Word(name="longest", length=7)

    @route("DELETE", "/mine/{what}", permission=None)
    async def forget(self, request: Request) -> None:
        if request.parameters["what"] != "a/b":
            raise NotFound("there is only a/b")


def create(context: ServiceContext) -> Service:
    return Service(routes=[WordRoutes()])


@pytest.fixture
def house() -> Iterator[ServiceHarness]:
    with serving(MANIFEST) as house:
        yield house


def test_what_is_sent_is_checked_and_what_is_returned_is_answered(house: ServiceHarness) -> None:
    with house.http() as http:
        made = http.post("/words", json={"name": "first"})
        assert (made.status_code, made.headers["location"]) == (201, "/words/first")
        assert http.get("/words/first").json() == {"name": "first", "in": "default"}
        assert http.post("/words?dryRun=1", json={"name": "second"}).status_code == 201
        assert http.get("/words/second").status_code == 404, "nothing was made"
        assert http.get("/words/longest").json() == {"name": "longest", "length": 7}, "plain text goes first"
        assert http.delete("/mine/a%2Fb").status_code == 204, "an escaped slash separates nothing"
        assert http.delete("/mine/c").json()["reason"] == "NotFound"


@pytest.mark.parametrize(
    ("method", "path", "sent", "code", "said"),
    [
        ("GET", "/nothing", {}, 404, "/nothing is not served here"),
        ("GET", "/words/a/b", {}, 404, "not served here"),
        ("PUT", "/words", {}, 405, "takes POST, not PUT"),
        ("GET", "/words/first?x=1", {}, 400, "does not understand x in the query; it knows none"),
        ("POST", "/words?dryRun=1&dryRun=2", {"json": {"name": "a"}}, 400, "stands there twice"),
        ("GET", "/words/UPPER", {}, 400, "lowercase RFC 1123"),
        ("GET", "/words/first", {"content": b"x"}, 400, "takes no body"),
        ("POST", "/words", {"json": {"length": 3}}, 422, "name: Field required"),
        ("POST", "/words", {"json": {"name": "a", "size": 3}}, 422, "size: Extra inputs are not permitted"),
        ("POST", "/words", {"json": {"name": "a", "length": "3"}}, 422, "length: Input should be a valid integer"),
        ("POST", "/words", {"content": b"{", "headers": {"content-type": "application/json"}}, 422, "Invalid JSON"),
        ("POST", "/words", {"content": b"name=a"}, 415, "takes application/json"),
        ("POST", "/words", {"content": bytes(2 << 20)}, 413, "over 1048576 bytes"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(
    house: ServiceHarness, method: str, path: str, sent: dict[str, Any], code: int, said: str
) -> None:
    with house.http() as http:
        answer = http.request(method, path, **sent)
    assert (answer.status_code, said in answer.json()["message"]) == (code, True), answer.text
    assert answer.headers.get("allow") == ("POST" if code == 405 else None)


def test_the_caller_is_asked_about_what_the_path_names_before_the_body_is_read(house: ServiceHarness) -> None:
    asked: list[dict[str, str]] = []

    def judge(user: str, wanted: dict[str, str]) -> bool:
        asked.append(wanted)
        return wanted["namespace"] == "team"

    house.conductor.judge = judge
    with house.http(User("eve")) as http:
        refused = http.post("/words", content=b"nonsense")
        assert refused.status_code == 403 and 'User "eve" cannot create' in refused.json()["message"]
        assert http.get("/namespaces/team/words/a").status_code == 404, "allowed, and not there"
        assert http.get("/namespaces/other/words/a").status_code == 403
    with house.http(User("eve", namespace="team")) as http:
        assert http.get("/words/b").status_code == 404
    named = [(each["verb"], each["namespace"], each["name"]) for each in asked]
    assert named == [("create", "default", ""), ("get", "team", "a"), ("get", "other", "a"), ("get", "team", "b")]


def test_a_service_is_refused_that_asks_for_what_its_manifest_does_not_do(tmp_path: Any) -> None:
    manifest = ManagedService("words_manager", "Words", "", f"{__name__}:create")
    context = fake_context("words_manager", tmp_path, FakeConductor(), MemoryResources())
    with pytest.raises(ValueError, match=r'add Grant\("configmaps", .* to `acts` of the manifest of words_manager'):
        create_service(manifest, context)


def test_two_handlers_of_one_route_are_a_mistake() -> None:
    class Again(WordRoutes):
        @route("GET", "/words/{other}", permission=None)
        async def same(self, request: Request) -> None: ...

    from services.sdk.route_table import RouteTable

    with pytest.raises(ValueError, match="declared twice"):
        RouteTable(None, [Again()])  # type: ignore[arg-type]
