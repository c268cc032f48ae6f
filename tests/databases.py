"""Databases of a test's cloud: made, waited for, asked."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

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
