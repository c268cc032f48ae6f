"""The client of another service in virtual time: deadlines, retries within a budget, the breaker, the bulkhead."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import anyio
import httpx
import pytest

from controller.kit.clock import LoopClock
from crds.errors import Forbidden, Timeout, Unavailable
from crds.model import Model
from services.sdk.clients.bulkhead import Bulkhead
from services.sdk.clients.circuit_breaker import CircuitBreaker
from services.sdk.clients.retry_budget import RetryBudget
from services.sdk.clients.service_client import ClientPolicy, ServiceClient
from services.sdk.identity import Caller
from services.sdk.testing import virtual_time


class Word(Model):
    text: str


class Peer:
    """Another service: answers one after the other what it was told; the last for ever."""

    def __init__(self, *answers: int | Exception | float) -> None:
        self._answers, self.seen = list(answers), list[httpx.Request]()
        self.outcomes: Counter[str] = Counter()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        now = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(now, Exception):
            raise now
        if isinstance(now, float):
            await anyio.sleep(now)
            now = 200
        body = {"text": "hello"} if now == 200 else {"kind": "Status", "reason": "Forbidden", "message": "no"}
        return httpx.Response(now, json=body if now in (200, 403) else {})

    def client(self, **policy: float) -> ServiceClient:
        http = httpx.AsyncClient(base_url="http://peer", transport=httpx.MockTransport(self.answer))

        def record(service: str, outcome: str) -> None:
            self.outcomes[outcome] += 1

        made = ClientPolicy(**policy)  # type: ignore[arg-type]
        return ServiceClient("peer", http, LoopClock(), record, policy=made, rng=random.Random(1))


def gone() -> Exception:
    return httpx.ReadError("gone")


def closed() -> Exception:
    return httpx.ConnectError("nobody listens")


@pytest.mark.parametrize(
    ("method", "idempotent", "first", "tries"),
    [
        ("GET", None, gone, 2),
        ("PUT", None, gone, 2),
        ("POST", None, gone, 1),
        ("POST", None, closed, 2),
        ("POST", True, gone, 2),
        ("GET", False, gone, 1),
    ],
)
def test_only_what_does_no_harm_is_sent_again(
    method: str, idempotent: bool | None, first: Callable[[], Exception], tries: int
) -> None:
    @virtual_time
    async def story() -> None:
        peer = Peer(first(), 200)
        call = peer.client().request(method, "/", idempotent=idempotent)
        if tries == 1:
            with pytest.raises(Unavailable, match="peer cannot be reached"):
                await call
        else:
            assert (await call).status_code == 200
        assert len(peer.seen) == tries

    story()


@virtual_time
async def test_what_is_away_is_asked_again_and_its_own_errors_are_not() -> None:
    peer = Peer(503, 502, 200)
    assert (await peer.client().fetch(Word, "GET", "/")).text == "hello"
    refusing = Peer(403)
    with pytest.raises(Forbidden, match="no"):
        await refusing.client().fetch(Word, "GET", "/", fallback=lambda why: Word(text="made up"))
    assert len(refusing.seen) == 1, "who may not is told so, not helped out"
    assert peer.outcomes == {"away": 2, "retried": 2, "answered": 1}


@virtual_time
async def test_the_deadline_holds_for_all_tries_and_a_fallback_helps_out() -> None:
    peer, began = Peer(60.0), anyio.current_time()
    with pytest.raises(Timeout, match=r"did not answer within 2 s"):
        await peer.client().request("GET", "/", deadline=2.0)
    assert anyio.current_time() - began == pytest.approx(2.0)
    found = await peer.client().fetch(Word, "GET", "/", deadline=0.5, fallback=lambda why: Word(text=why.message))
    assert found.text == "peer did not answer within 0.5 s"


@virtual_time
async def test_a_breaker_leaves_it_alone_and_one_request_finds_out_that_it_is_back() -> None:
    peer = Peer(*[gone() for _ in range(5)], 200)
    client = peer.client(tries=1)
    assert client.fault() is None
    for _ in range(5):
        with pytest.raises(Unavailable):
            await client.request("GET", "/")
    with pytest.raises(Unavailable, match="does not answer") as held:
        await client.request("GET", "/")
    assert (held.value.retry_after, len(peer.seen), client.fault()) == (1, 5, "peer does not answer")
    await anyio.sleep(1)
    assert (await client.request("GET", "/")).status_code == 200
    assert (client.fault(), client.breaker.state) == (None, "closed")


@virtual_time
async def test_half_open_one_request_goes_and_its_failure_opens_again() -> None:
    breaker = CircuitBreaker(LoopClock(), failures=1, open_seconds=5)
    breaker.record_failure()
    await anyio.sleep(5)
    assert (breaker.admit(), breaker.admit()) == (True, False)
    breaker.record_failure()
    assert breaker.state == "open" and not breaker.admit()
    await anyio.sleep(5)
    assert breaker.admit()
    breaker.record_nothing()
    assert breaker.admit(), "whoever left said nothing about the other side"


@virtual_time
async def test_retries_are_a_share_of_all_requests() -> None:
    budget = RetryBudget(share=0.5, reserve=2)
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    assert budget.withdraw()
    peer = Peer(503)
    client = peer.client()
    client.breaker = CircuitBreaker(LoopClock(), failures=10_000)
    for _ in range(100):
        await client.request("GET", "/")
    assert len(peer.seen) <= 100 + 10 + 100 * 0.2


@virtual_time
async def test_a_bulkhead_bounds_who_is_served_and_who_waits() -> None:
    bulkhead, served = Bulkhead("peer", places=2, queue=1), list[int]()

    async def use(number: int) -> None:
        async with bulkhead.place():
            await anyio.sleep(1)
            served.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(use, number)
        await anyio.sleep(0.5)
        with pytest.raises(Unavailable, match="1 requests wait for it already"):
            async with bulkhead.place():
                raise AssertionError("there is no room")
        await anyio.sleep(0.6)
        assert sorted(served) == [0, 1]
    assert served[-1] == 2


@virtual_time
async def test_it_says_for_whom_it_asks() -> None:
    peer = Peer(200)
    await peer.client().request("GET", "/", caller=Caller("eve", token="hers"), namespace="team", params={"a": "b"})
    headers = peer.seen[0].headers
    assert (headers["x-aerekos-on-behalf-of"], headers["x-aerekos-namespace"]) == ("hers", "team")
    assert peer.seen[0].url.query == b"a=b"
