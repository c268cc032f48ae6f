"""How much may wait, and how much is kept: in messages, in bytes, and of the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from services.sdk.testing import virtual_time
from services.webhook_manager import message_store, room
from services.webhook_manager.message import Amount
from services.webhook_manager.tests.in_memory import Webhooks, webhooks_of


async def put(webhooks: Webhooks, endpoint: str = "e", size: int = 1000) -> int:
    body: dict[str, Any] = {"type": "paid", "data": "x" * size}
    return (await webhooks.ask("POST", f"/endpoints/default/{endpoint}/messages", body)).status_code


@pytest.mark.parametrize(
    ("name", "most", "taken"),
    [
        ("MOST", Amount(3, 1 << 20), [202] * 3 + [429]),
        ("MOST", Amount(100, 2500), [202] * 2 + [429] * 2),
        ("MOST_OF_NAMESPACE", Amount(100, 2500), [202] * 2 + [429] * 2),
        ("LEAST_FREE", 1 << 60, [503] * 4),
    ],
)
def test_more_than_may_wait_is_refused(
    name: str, most: Any, taken: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, most)

    @virtual_time
    async def run() -> None:
        async with webhooks_of(tmp_path) as webhooks:
            await webhooks.endpoint()
            await webhooks.endpoint("f")
            webhooks.outside.answer = lambda request: httpx.Response(500)
            endpoints = ("e", "e", "e", "e") if name == "MOST" else ("e", "f", "e", "f")
            assert [await put(webhooks, each) for each in endpoints] == taken
            webhooks.outside.answer = lambda request: httpx.Response(200)
            await webhooks.advance(600)
            assert await put(webhooks) == (503 if name == "LEAST_FREE" else 202), "once some went there is room"

    run()


@virtual_time
async def test_what_is_sent_again_waits_as_well(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(retryDelaySeconds=[])
        since = webhooks.now().isoformat()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "MOST", Amount(3, 1 << 20))
            for _ in range(4):
                assert await put(webhooks) == 202
                await webhooks.advance(2)
            again = {"since": since, "states": ["Delivered"]}
            answer = await webhooks.ask("POST", "/endpoints/default/e/replay", again)
            assert answer.status_code == 429, answer.text
            ids = [each["id"] for each in (await webhooks.messages())["messages"]]
            answer = await webhooks.ask("POST", "/endpoints/default/e/replay", {"ids": ids})
            assert answer.status_code == 429, answer.text
            webhooks.outside.answer = lambda request: httpx.Response(500)
            await webhooks.change(retryDelaySeconds=[3600])
            answer = await webhooks.ask("POST", "/endpoints/default/e/replay", {"ids": ids[:3]})
            assert answer.json() == {"messages": 3}
            assert await put(webhooks) == 429, "they count"


@virtual_time
async def test_what_ended_is_kept_up_to_so_many_bytes(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        for _ in range(5):
            await put(webhooks)
        await webhooks.advance(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(message_store, "ENDED_BYTES_KEPT", 2500)
            await webhooks.advance(3601)
        assert (await webhooks.messages())["counts"]["Delivered"] == 2
