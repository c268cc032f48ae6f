"""Databases of a test's cloud: made, waited for, asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from clouds import Cloud, eventually

from controller.runtime.engines.finder import EngineFinder
from controller.runtime.sandbox import landlock, seccomp
from crds.engines import ENGINES

FOUND = EngineFinder().find(ENGINES["postgresql"])
NEEDED = [
    pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls"),
    pytest.mark.skipif(FOUND is None, reason="no PostgreSQL: aerekos engine install postgresql"),
]
PLACE = "/apis/aerekos.cloud/v1/namespaces/{}/{}"
MERGE = {"content-type": "application/merge-patch+json"}


def apply(cloud: Cloud, kind: str, name: str, spec: dict[str, Any], namespace: str = "default") -> None:
    body = {"apiVersion": "aerekos.cloud/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    cloud.do("apply", "-f", "-", text=json.dumps({**body, "spec": spec}))


def make(cloud: Cloud, name: str, namespace: str = "default", **spec: Any) -> None:
    apply(cloud, "Database", name, {"engine": "postgresql", **spec}, namespace)


def database(cloud: Cloud, name: str, namespace: str = "default") -> dict[str, Any]:
    with cloud.http() as http:
        return dict(http.get(f"{PLACE.format(namespace, 'databases')}/{name}").raise_for_status().json())


def condition(cloud: Cloud, name: str, kind: str, namespace: str = "default") -> dict[str, Any]:
    said = database(cloud, name, namespace)["status"].get("conditions", [])
    return next((each for each in said if each["type"] == kind), {})


def ready(cloud: Cloud, name: str, namespace: str = "default") -> None:
    eventually(lambda: condition(cloud, name, "Ready", namespace).get("status") == "True", f"{name} is ready")


def credentials(cloud: Cloud, name: str, namespace: str = "default") -> dict[str, str]:
    with cloud.http() as http:
        held = http.get(f"/api/v1/namespaces/{namespace}/secrets/{name}-credentials").raise_for_status().json()
    return {key: base64.b64decode(value).decode() for key, value in held["data"].items()}


def patch(cloud: Cloud, name: str, body: dict[str, Any], plural: str = "databases") -> int:
    with cloud.http() as http:
        return http.patch(f"{PLACE.format('default', plural)}/{name}", json=body, headers=MERGE).status_code


def program(name: str) -> str:
    assert FOUND
    return str(Path(FOUND.folder) / name)


def asked(uri: str, query: str) -> str:
    """What it answers; empty while it cannot be reached."""
    try:
        with psycopg.connect(uri, connect_timeout=5) as connection:
            row = connection.execute(query).fetchone()  # type: ignore[arg-type]
            return str(row[0]) if row else ""
    except psycopg.OperationalError:
        return ""


def processes(cloud: Cloud, member: str) -> list[psutil.Process]:
    """All of a server's, the first one first."""
    first = psutil.Process(cloud.instances()[f"{member}-0"])
    return [first, *first.children(recursive=True)]


def primary_of(cloud: Cloud, name: str) -> str:
    """Who takes writes, once nobody is about to take its place."""
    status = database(cloud, name)["status"]
    return "" if status.get("switch") else str(status["primary"])


class Writer:
    """Writes one row after another, over a connection that it opens again, and remembers which were acknowledged."""

    def __init__(self, uri: str) -> None:
        self._uri, self._over = uri, threading.Event()
        self.acknowledged: list[int] = []
        self.longest = 0.0
        self._last = time.monotonic()
        with psycopg.connect(uri) as connection:
            connection.execute("create table if not exists acknowledged (n int primary key)")
            ((self._first,),) = connection.execute("select coalesce(max(n), 0) from acknowledged").fetchall()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def missing(self) -> set[int]:
        """Those that were acknowledged and are not there."""
        told = list(self.acknowledged)
        with psycopg.connect(self._uri, connect_timeout=10) as connection:
            there = {row[0] for row in connection.execute("select n from acknowledged").fetchall()}
        return set(told) - there

    def gap(self) -> float:
        """The longest time without an acknowledged row since this was asked last, in seconds."""
        found = max(self.longest, time.monotonic() - self._last)
        self.longest = 0.0
        return found

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _write(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        number = int(self._first)
        while not self._over.is_set():
            number += 1
            try:
                if connection is None:
                    connection = psycopg.connect(self._uri, connect_timeout=3, autocommit=True)
                connection.execute("insert into acknowledged values (%s)", (number,))
            except psycopg.Error:
                with suppress(psycopg.Error):
                    if connection is not None:
                        connection.close()
                connection = None
                time.sleep(0.05)
                continue
            self.acknowledged.append(number)
            now = time.monotonic()
            self.longest, self._last = max(self.longest, now - self._last), now
