"""How long a list of 10,000 resources takes: whole, and in pages of 500 as kubectl asks for them.

`python bench/listing.py`. Beside it, how fast the same bytes come from a file over the same connection would be
unfair in our favour; so this has no ratio, only a limit people would notice.
"""

from __future__ import annotations

import json
import time
from statistics import median

import uvloop
from cloud import Cloud, a_cloud
from load import Connection, connect, request
from verdicts import Verdict, limit, table

COUNT, PAGE, WRITERS, ROUNDS = 10_000, 500, 64, 5
NAMESPACE = "/api/v1/namespaces"
PATH = f"{NAMESPACE}/crowded/configmaps"


async def _fill(cloud: Cloud, token: str) -> None:
    import asyncio

    connections = [await connect(cloud.port, cloud.ca) for _ in range(WRITERS)]
    room = json.dumps({"metadata": {"name": "crowded"}}).encode()
    await connections[0].ask(request("POST", NAMESPACE, token, room))

    async def make(which: int) -> None:
        for n in range(which, COUNT, WRITERS):
            body = {"metadata": {"name": f"row-{n:05}"}, "data": {"text": "x" * 500}}
            await connections[which].ask(request("POST", PATH, token, json.dumps(body).encode()))

    await asyncio.gather(*(make(which) for which in range(WRITERS)))
    for each in connections:
        each.close()


async def _whole(connection: Connection, token: str) -> int:
    return len(_items(await connection.ask(request("GET", PATH, token))))


async def _paged(connection: Connection, token: str) -> int:
    found, after = 0, ""
    while True:
        answer = await connection.ask(request("GET", f"{PATH}?limit={PAGE}{after}", token))
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        found += len(body["items"])
        if not (more := body["metadata"].get("continue")):
            return found
        after = f"&continue={more}"


def _items(answer: bytes) -> list[object]:
    return list(json.loads(answer.partition(b"\r\n\r\n")[2])["items"])


async def _measured(cloud: Cloud, token: str) -> list[Verdict]:
    await _fill(cloud, token)
    connection = await connect(cloud.port, cloud.ca)
    times: dict[str, list[float]] = {"whole": [], f"in pages of {PAGE}": []}
    for _ in range(ROUNDS):
        for name, how in zip(times, (_whole, _paged), strict=True):
            began = time.perf_counter()
            assert await how(connection, token) == COUNT
            times[name].append((time.perf_counter() - began) * 1000)
    connection.close()
    return [limit(f"list of {COUNT:,}, {name}", median(taken), 1000, " ms") for name, taken in times.items()]


def measure(cloud: Cloud) -> list[Verdict]:
    """Medians of five, with parsing at the client."""
    return uvloop.run(_measured(cloud, cloud.token()))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud)))


if __name__ == "__main__":
    main()
