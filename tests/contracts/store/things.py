"""Records to write, and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from controller.store.records import Change, Record, Store, StoreEvent
from crds.meta import ObjectKey

Reopen = Callable[..., Awaitable[Store]]


def key(name: str, namespace: str = "default", plural: str = "things") -> ObjectKey:
    return ObjectKey("test.dev", plural, namespace, name)


def body(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "Thing", "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "spec": spec}


async def put(store: Store, where: ObjectKey, **spec: Any) -> Record:
    head = store.get(where)
    expect = head.revision if head else 0
    (record,) = await store.write([Change(where, body(where.name, **spec), expect)], by="ada")
    return record


async def remove(store: Store, where: ObjectKey) -> Record:
    head = store.get(where)
    assert head is not None
    (record,) = await store.write([Change(where, None, head.revision)], by="ada")
    return record


async def take(follower: Any, count: int) -> list[StoreEvent]:
    found: list[StoreEvent] = []
    with anyio.fail_after(60):
        async for batch in follower:
            found.extend(batch)
            if len(found) >= count:
                break
    return found


async def history_of(store: Store) -> list[StoreEvent]:
    async with store.follow("", "*", after=store.oldest) as follower:
        return await take(follower, store.revision - store.oldest)


async def until(so: Callable[[], bool]) -> None:
    """What another process or thread does, and nothing here can tell."""
    with anyio.fail_after(120):
        while not so():  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.01)


def head_of(store: Store, name: str) -> int:
    head = store.get(key(name))
    return head.revision if head else 0
