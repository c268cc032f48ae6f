"""Engines are programs of the machine with a password: what an editor may ask of one, who else may look at it, and
what its process finds inside its walls.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from security.test_isolation import PACKAGES, _able
from security.test_roles import ANN, bound
from unit.kube.conftest import ADMIN, SERVICES, Wire
from unit.kube.conftest import wire as wire

from api.auth.principal import AUTHENTICATED, Principal
from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import File, Workload
from controller.runtime.process import live_files, programs
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.sandbox import landlock, seccomp
from crds.engines import SUPERUSER_FILE
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
VIEWER = Principal("vera", frozenset({AUTHENTICATED, "aerekos:viewer"}))
SECRETS = "/api/v1/namespaces/{}/secrets"
RUN = ["sh", "-c", "id"]
# One attempt for each field nobody may set of a database, and what may be set.
REFUSED: dict[str, Any] = {
    "managed": "key_manager",
    "image": "evil:1",
    "command": RUN,
    "args": ["-c", "shared_preload_libraries=/config/evil"],
    "mode": "daemon",
    "networks": ["default"],
    "env": [{"name": "LD_PRELOAD", "value": "/config/evil.so"}],
    "files": [{"path": "/usr/lib/postgresql/15/bin/postgres", "content": "#!/bin/sh"}],
    "volumes": [{"name": "data", "path": "/etc"}],
    "replicas": 2,
    "ports": [{"port": 22, "published": 22}],
    "activation": "onDemand",
    "role": "anybody",
}
TAKEN: dict[str, Any] = {
    "engine": {"name": "postgresql", "version": "15"},
    "enabled": False,
    "needs": ["cache"],
    "resources": {"limits": {"memory": "1Gi"}},
    "placement": {"workerSelector": {"disk": "fast"}},
    "probes": {"readiness": {"tcpSocket": {}}},
    "stopGraceSeconds": 60,
    "update": {"onFailure": "pause"},
    "timeouts": {"requestSeconds": 30.0},
    "idleSeconds": 30.0,
}
FIELDS = sorted(SERVICE.schema["properties"]["spec"]["properties"])


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


def database(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "db"}, "spec": {"engine": {"name": "postgresql"}, **spec}}


def test_every_field_of_the_schema_was_decided_about() -> None:
    assert set(FIELDS) == set(REFUSED) | set(TAKEN), "decide: may people set the new field of an engine?"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("door", ["create", "merge", "apply"])
async def test_every_field_times_editor(wire: Wire, field: str, door: str) -> None:
    value = REFUSED.get(field, TAKEN.get(field))
    place = f"{SERVICES}/db"
    if door == "create":
        reply = await wire.ask("POST", SERVICES, database(**{field: value}), who=EDITOR)
    elif door == "merge":
        await wire.ok("POST", SERVICES, database(), who=EDITOR)
        patch = {"spec": {field: value}}
        reply = await wire.ask("PATCH", place, patch, content_type="application/merge-patch+json", who=EDITOR)
    else:
        body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", **database(**{field: value})}
        whole = f"{place}?fieldManager=ed&force=true"
        reply = await wire.ask("PATCH", whole, body, content_type="application/apply-patch+yaml", who=EDITOR)
    code = 403 if field == "role" else 422  # who may not give a role hears that first
    assert (reply.code == code) == (field in REFUSED), reply.json


async def test_what_was_a_program_cannot_take_over_the_data_of_an_engine(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, database(), who=EDITOR)
    swap = {"spec": {"engine": None, "command": ["sh", "-c", "cp -r /var/lib/postgresql /srv"]}}
    for who in (EDITOR, ADMIN):
        reply = await wire.ask("PATCH", f"{SERVICES}/db", swap, content_type="application/merge-patch+json", who=who)
        assert reply.code == 422 and "spec.engine.name" in reply.json["message"]


async def test_an_image_policy_lets_no_engine_run(wire: Wire) -> None:
    policy = {"metadata": {"name": "ours"}, "spec": {"allow": [{"images": ["registry.example/team/*"]}]}}
    await wire.ok("POST", "/apis/aerekos.cloud/v1/imagepolicies", policy)
    reply = await wire.ask("POST", SERVICES, database(), who=EDITOR)
    assert reply.code == 403 and "does not let a program of the machine run" in reply.json["message"]


async def test_an_editor_of_another_namespace_reaches_neither_it_nor_its_password(wire: Wire) -> None:
    await bound(wire, namespace="other")
    await wire.ok("POST", SERVICES, database())
    secret = {"metadata": {"name": "db-superuser"}, "stringData": {"username": "postgres", "password": "hunter2"}}
    await wire.ok("POST", SECRETS.format("default"), secret)
    for path in (f"{SERVICES}/db", f"{SECRETS.format('default')}/db-superuser", SECRETS.format("default")):
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"spec": {"files": []}})):
            if method == "GET" or path.endswith(("/db", "-superuser")):
                reply = await wire.ask(method, path, body, who=ANN, content_type="application/merge-patch+json")
                assert reply.code == 403, (method, path, reply.json)
    # A Service of the same name next door has a Secret of its own.
    assert (await wire.ask("POST", SERVICES.replace("default", "other"), database(), who=ANN)).code == 201
    assert (await wire.ask("GET", f"{SECRETS.format('default')}/db-superuser", who=VIEWER)).code == 403


WISH = Workload(
    ObjectKey("aerekos.cloud", "services", "acme", "db"), "uid", "one", 1, program=True, account="postgres",
    reload_signal="SIGHUP",
    files=(File("/config/postgresql.conf", b"a = 1\n", live=True), File(SUPERUSER_FILE, b"hunter2", secret=True)),
)  # fmt: skip
# Whatever succeeds and should not writes a line.
ATTEMPTS = """
id -un
cat /config/postgresql.conf
for file in /config/postgresql.conf /config/new /secrets/superuser /secrets/new /etc/passwd; do
  echo x >"$file" 2>/dev/null && echo "wrote $file"
done
rm -f /config/postgresql.conf 2>/dev/null && echo "removed its configuration"
ls "$1" 2>/dev/null && echo "sees the home"
stat -c '%a' /secrets/superuser
"""


@pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls")
@pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")
def test_inside_its_walls_it_has_a_name_reads_its_files_and_changes_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    sandbox = Sandbox(home, PACKAGES, ())
    sandbox._abilities = _able("root", users=True)
    sandbox.prepare(WISH, "acme.db-0")
    env = programs.environment(WISH, "acme.db-0", {})
    command = ("/bin/sh", "-c", ATTEMPTS, "sh", str(home))
    inside = sandbox.command(WISH, "acme.db-0", command, ports=(), env=env)
    outer = programs.outer_environment()
    done = subprocess.run(inside, env=outer, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["postgres", "a", "=", "1", "400"], done
    kept = [each for each in home.rglob("*") if each.is_file() and b"hunter2" in each.read_bytes()]
    assert kept == [], "its password is in memory only"
    file = live_files.folder(home, "acme.db-0") / "postgresql.conf"
    assert file.stat().st_mode & 0o777 == 0o400 and file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_uid >= 1_900_000_000, "of its own user, and no other Service's"
