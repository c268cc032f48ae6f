"""The agent's heartbeat: exact pace, growing patience, and a way back from every refusal."""

from __future__ import annotations

import hashlib
import json
import random
import ssl

import anyio
import httpx
import pytest

from agent.collect import Heartbeat
from agent.errors import CannotJoin
from agent.heartbeat import Agent, next_tick
from agent.identity import Identity, IdentityFile, IdentityInMemory
from agent.settings import Settings
from controller.kit.clock import LoopClock

pytestmark = pytest.mark.anyio
ME = Identity("oak", "worker:oak", "secret")


class Even(random.Random):
    def random(self):
        return 0.5  # no jitter


class Here:
    def __init__(self):
        self.addresses = ["10.0.0.1"]

    def facts(self, labels):
        return {"capacity": {}, "labels": labels}

    def beat(self):
        return Heartbeat({"cpu": 1.0}, list(self.addresses))


class Conductor:
    def __init__(self, clock):
        self.clock, self.calls, self.answers = clock, [], {}
        self.ca = ""

    async def handle(self, request):
        self.calls.append((round(self.clock.elapsed, 3), request.url.host, request.url.path))
        answer = self.answers.get(request.url.path) or self.answers.get(request.url.host)
        if callable(answer):
            answer = await answer(request)
        if answer is not None:
            return answer
        return {
            "/auth/token": lambda: httpx.Response(200, json={"accessToken": "t", "expiresIn": 600}),
            "/auth/ca.pem": lambda: httpx.Response(200, text=self.ca),
            "/auth/join": lambda: httpx.Response(
                200, json={"worker": "oak", "clientId": "worker:oak", "clientSecret": "s", "ca": ""}
            ),
        }.get(request.url.path, lambda: httpx.Response(200, json={"leaseSeconds": 3.5, "registered": True}))()

    def at(self, path):
        return [when for when, _, called in self.calls if called == path]

    def client(self, verify):
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))


@pytest.fixture
async def conductor():
    return Conductor(LoopClock())


def agent(conductor, identity=ME, **given):
    given = {"name": "oak", "home": None, "api": ("https://a",), **given}
    keeper = identity if hasattr(identity, "load") else IdentityInMemory(identity)
    return Agent(Settings(**given), conductor.clock, conductor.client, identity=keeper, measures=Here(), rng=Even())


async def run(made, seconds):
    with anyio.move_on_after(seconds):
        await made.run()


async def test_it_beats_each_second_and_registers_once(conductor):
    await run(agent(conductor), 4.5)
    assert conductor.at("/agents/heartbeat") == [0, 1, 2, 3, 4]
    assert conductor.at("/agents/register") == [0] and conductor.at("/auth/token") == [0]


async def test_a_slow_answer_skips_ticks_and_never_piles_up(conductor):
    async def slowly(request):
        if conductor.clock.elapsed < 1:
            await anyio.sleep(2.3)

    conductor.answers["/agents/heartbeat"] = slowly
    await run(agent(conductor), 5.5)
    assert conductor.at("/agents/heartbeat") == [0, 3, 4, 5]


async def test_patience_grows_to_five_seconds(conductor):
    conductor.answers["a"] = httpx.Response(503)
    await run(agent(conductor), 17)
    assert conductor.at("/auth/token") == pytest.approx([0, 0.2, 0.6, 1.4, 3.0, 6.2, 11.2, 16.2])


async def test_the_next_api_is_tried_and_then_preferred(conductor):
    conductor.answers["a"] = httpx.Response(502)
    await run(agent(conductor, api=("https://a", "https://b")), 1.5)
    assert [host for _, host, _ in conductor.calls] == ["a", "b", "b", "b", "b"]


async def test_it_registers_again_when_asked_and_when_its_address_changes(conductor):
    made = agent(conductor)

    async def forgot(request):
        if conductor.clock.elapsed == 1:
            return httpx.Response(200, json={"registered": False})
        if conductor.clock.elapsed == 2:
            made._measures.addresses = ["10.0.0.9"]
        return None

    conductor.answers["/agents/heartbeat"] = forgot
    await run(made, 4.5)
    assert conductor.at("/agents/register") == [0, 1, 3]
    moved = [path for at, _, path in conductor.calls if at == 3]
    assert moved == ["/agents/heartbeat", "/agents/register"], "a heartbeat says where it is; facts come after"


async def test_the_token_is_renewed_at_half_its_life(conductor):
    conductor.answers["/auth/token"] = httpx.Response(200, json={"accessToken": "t", "expiresIn": 10})
    await run(agent(conductor), 12)
    assert conductor.at("/auth/token") == [0, 5, 10]


async def test_a_secret_that_is_renewed_is_kept_and_proves_the_next_time(conductor):
    given = []

    async def token(request):
        given.append(json.loads(request.content)["clientSecret"])
        more = {"clientSecret": "newer"} if given[-1] == ME.client_secret else {}
        return httpx.Response(200, json={"accessToken": "t", "expiresIn": 10, **more})

    conductor.answers["/auth/token"] = token
    keeper = IdentityInMemory(ME)
    await run(agent(conductor, keeper), 12)
    assert given == ["secret", "newer", "newer"] and keeper.load().client_secret == "newer"


async def test_a_deleted_worker_without_a_token_says_what_to_do(conductor):
    conductor.answers["/auth/token"] = httpx.Response(401, json={"message": "unknown client"})
    with pytest.raises(CannotJoin, match="aerekos token create"):
        await run(agent(conductor), 10)


async def test_a_deleted_worker_joins_again_with_its_token(conductor, tmp_path):
    pem = ssl.DER_cert_to_PEM_cert(b"certificate")
    conductor.ca, pin = pem, hashlib.sha256(b"certificate").hexdigest()

    async def once(request):
        return httpx.Response(401) if conductor.clock.elapsed < 0.3 else None

    conductor.answers["/auth/token"] = once
    given = tmp_path / "ca.crt"
    given.write_text("")  # the mock needs no real CA
    made = agent(conductor, identity=ME, token=f"oak.secret.{pin}", ca=given)
    await run(made, 2)
    assert len(conductor.at("/auth/join")) == 1 and conductor.at("/agents/heartbeat")


async def test_another_ca_than_the_pinned_one_gets_no_token(conductor):
    conductor.ca = ssl.DER_cert_to_PEM_cert(b"somebody else")
    with pytest.raises(CannotJoin, match="another conductor"):
        await run(agent(conductor, identity=None, token=f"oak.secret.{'0' * 64}"), 5)
    assert not conductor.at("/auth/join")


async def test_the_identity_is_kept_for_its_owner_only(tmp_path):
    keeper = IdentityFile(tmp_path / "agent" / "identity.json")
    assert keeper.load() is None
    keeper.save(ME)
    assert keeper.load() == ME
    assert (tmp_path / "agent" / "identity.json").stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(ME)


async def test_missed_ticks_are_not_made_up_for():
    assert [next_tick(0, now) for now in (0, 0.4, 1.0, 3.7)] == [1, 1, 2, 4]
