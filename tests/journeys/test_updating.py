"""A changed configuration is rolled out copy by copy, and callers notice nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from clouds import Cloud, eventually

PATH = "/services/key-manager/"
# A POST: nobody may quietly try it a second time.
LIST_KEYS = {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}


@contextmanager
def calling(cloud: Cloud) -> Iterator[Counter[int]]:
    """Asks the service through the gateway without a pause; counts the answers by code."""
    codes: Counter[int] = Counter()
    enough = threading.Event()

    def call() -> None:
        with cloud.http() as client:
            while not enough.is_set():
                codes[client.post(PATH, headers=LIST_KEYS, content=b"{}").status_code] += 1

    callers = [threading.Thread(target=call) for _ in range(2)]
    for each in callers:
        each.start()
    try:
        yield codes
    finally:
        enough.set()
        for each in callers:
            each.join()


def revisions(cloud: Cloud) -> set[str]:
    instances = cloud.get("services", "key-manager")["status"]["instances"]
    return {each["revision"] for each in instances if each["ready"]} if len(instances) == 2 else set()


def test_no_request_fails_while_two_copies_are_replaced(cloud: Cloud) -> None:
    cloud.do("scale", "key-manager", "--replicas", "2")
    eventually(lambda: len(revisions(cloud)) == 1, "two copies are ready")
    before, ready = revisions(cloud), [True]
    with calling(cloud) as codes:
        cloud.do("apply", "-f", "-", text=CHANGED)
        eventually(lambda: all_new(cloud, before, ready), "both copies are new")
    assert all(ready), "one of two always served"
    assert set(codes) == {200} and codes[200] > 20


def all_new(cloud: Cloud, before: set[str], ready: list[bool]) -> bool:
    """Also notes whether the service is Ready at this moment."""
    now = revisions(cloud)
    ready.append(cloud.is_ready("key-manager"))
    return bool(now) and not now & before


CHANGED = """
apiVersion: aerekos.cloud/v1
kind: Service
metadata: {name: key-manager}
spec:
  managed: key_manager
  replicas: 2
  resources: {limits: {memory: 2Gi}}
"""
