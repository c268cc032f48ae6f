"""Clients that ask a service through the gateway, one request after the other, while something happens to it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from swarm.stack import Deployed

CLIENTS = 4


class Load:
    """What was answered: how often each text came with 200, and everything else."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.stop = threading.Event()

    def ask(self, cloud: Deployed, path: str) -> None:
        """Until told to stop."""
        with cloud.http() as api:
            while not self.stop.is_set():
                try:
                    answer = api.get(path)
                except httpx.HTTPError as lost:
                    self.failures.append(repr(lost))
                    continue
                if answer.status_code == 200:
                    self.answers[answer.text.strip()] += 1
                else:
                    self.failures.append(f"{answer.status_code} {answer.text}")


@contextmanager
def loaded(cloud: Deployed, service: str) -> Iterator[Load]:
    """Four clients ask for the first page of the service, until the block ends."""
    load = Load()
    clients = [threading.Thread(target=load.ask, args=(cloud, f"/services/{service}/")) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        yield load
    finally:
        load.stop.set()
        for each in clients:
            each.join()
