"""Bootstrap: what must exist before a cloud can work, the first namespaces, users and services. Safe to repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from api.auth.accounts import Accounts
from api.auth.password_policy import fault
from api.auth.passwords import one_time_password
from controller.kit.files import write_private
from controller.main.errors import UserError
from controller.main.settings import SeededUser, Settings
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.errors import AlreadyExists
from crds.kind import Kind
from crds.kinds.join_token import JOIN_TOKEN
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.kinds.user import CREDENTIAL, USER
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.model import rfc3339
from crds.protecting import CONDUCTOR_LABEL

SYSTEM_CONDUCTOR = "system:conductor"
NAMESPACES = ("default", "aerekos-system")
_HOW = WriteOptions(by=SYSTEM_CONDUCTOR, validation="Strict")
# Renewed by every conductor when it starts and each day while it runs; no longer when there is none.
AGENT_TOKEN_DAYS, AGENT_TOKEN_USES = 30, 1000
_SHORTEST_SECRET = 32


async def bootstrap(
    settings: Settings,
    registry: Registry,
    accounts: Accounts,
    services: Iterable[ManagedService],
    worker: str,
    now: datetime,
) -> None:
    """Make what is missing. What exists stays as people have changed it.

    Raises UserError where a cloud was and its records are gone: half of it would be made anew.
    """
    marker = settings.run / "founded"
    _refuse_lost_records(settings, marker, registry)
    for name in NAMESPACES:
        await _ensure(registry, NAMESPACE, "", {"metadata": {"name": name}})
    for record in registry.store.list(NAMESPACE.group, NAMESPACE.plural).records:
        # Those of earlier versions get the label of their name.
        await registry.merge(NAMESPACE, record.key, {}, _HOW)
    if settings.stack is None:
        await ensure_worker(registry, worker)
    else:
        await let_agents_join(registry, settings.stack.agent_token_file, now)
    for user in settings.users:
        await _seed(settings, user, registry, accounts)
    await make_missing(marker, registry, services)


def _refuse_lost_records(settings: Settings, marker: Path, registry: Registry) -> None:
    if registry.store.revision or not marker.exists():
        return
    raise UserError(
        f"{settings.store or settings.store_file} is empty, but this cloud has been at work before",
        hint=f"put a backup in its place, or say where the store is (AEREKOS_STORE); to begin anew without what was"
        f" there: rm {marker}",
    )


async def ensure_worker(registry: Registry, name: str) -> None:
    """The record of the conductor's own machine."""
    labels = {CONDUCTOR_LABEL: "true"}
    await _ensure(registry, WORKER, "", {"metadata": {"name": name, "labels": labels}})
    await registry.update(WORKER, WORKER.key(name), lambda worker: _labelled(worker, labels), _HOW)
    # A home that was moved to another machine leaves the one before.
    for record in registry.store.list(WORKER.group, WORKER.plural, None).records:
        if record.key.name != name and CONDUCTOR_LABEL in (record.object["metadata"].get("labels") or {}):
            await registry.update(WORKER, record.key, _unlabelled, _HOW)


def _labelled(resource: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    meta = resource["metadata"]
    return {**resource, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **labels}}}


def _unlabelled(resource: dict[str, Any]) -> dict[str, Any]:
    meta = resource["metadata"]
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != CONDUCTOR_LABEL}
    return {**resource, "metadata": {**meta, "labels": labels}}


async def let_agents_join(registry: Registry, file: Path, now: datetime) -> None:
    """A join token of the secret that stack.yml gives to every agent. Whoever changes the secret changes the token.

    It lets in nodes of the Swarm alone, so many, for so many days from now; one that somebody revoked stays so.
    Raises UserError when the secret is no token.
    """
    name, _, secret = _read(file).partition(".")
    if not name or len(secret) < _SHORTEST_SECRET:
        hint = 'echo "agents.$(openssl rand -hex 24)" | docker secret create aerekos_agent_token_2 -'
        raise UserError(f"{file} must hold <name>.<secret of {_SHORTEST_SECRET} characters or more>", hint=hint)
    spec = {
        "secretSha256": hashlib.sha256(secret.encode()).hexdigest(),
        "expiresAt": rfc3339(now + timedelta(days=AGENT_TOKEN_DAYS)),
        "uses": AGENT_TOKEN_USES,
        "membersOnly": True,
    }
    await _ensure(registry, JOIN_TOKEN, "", {"metadata": {"name": name}, "spec": spec})
    known = JOIN_TOKEN.decode(registry.get(JOIN_TOKEN, JOIN_TOKEN.key(name)).body)
    if known.spec.secret_sha256 != spec["secretSha256"]:
        spec["revoked"] = False
    spec["uses"] = known.status.used + AGENT_TOKEN_USES
    await registry.merge(JOIN_TOKEN, JOIN_TOKEN.key(name), {"spec": spec}, _HOW)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()


async def make_missing(marker: Path, registry: Registry, services: Iterable[ManagedService]) -> None:
    """Each managed service that starts by itself is there: whatever took it away, its data is found again by it.

    Whoever does not want it says `enabled: false`. `marker` remembers that this cloud has been at work.
    """
    wanted = [each for each in services if each.starts_enabled]
    for service in wanted:
        body = {"metadata": {"name": service.service_name}, "spec": service.default_spec}
        await _ensure(registry, SERVICE, "default", body)
    known = _enabled_before(marker)
    if new := [each.name for each in wanted if each.name not in known]:
        write_private(marker, orjson.dumps([*known, *new]))


def _enabled_before(marker: Path) -> list[str]:
    return list(orjson.loads(marker.read_bytes())) if marker.exists() else []


async def _seed(settings: Settings, user: SeededUser, registry: Registry, accounts: Accounts) -> None:
    spec = {"roles": list(user.roles), "namespace": user.namespace, "displayName": user.display_name}
    if user.namespace not in NAMESPACES:
        await _ensure(registry, NAMESPACE, "", {"metadata": {"name": user.namespace}})
    await _ensure(registry, USER, "", {"metadata": {"name": user.name}, "spec": spec})
    if registry.store.get(CREDENTIAL.key(user.name)) is not None:
        return
    given = user.password or (settings.admin_password if "admin" in user.roles else None)
    password = given or one_time_password()
    if why := fault(password, user.name):
        raise UserError(
            f"the password the settings give {user.name} is not taken: {why}",
            hint="give a better one, or none: then the first start makes one and shows it",
        )
    if given is None:
        # Written first: a password nobody was told would lock everybody out.
        _note_first_login(settings.run / "first-login.json", user.name, password)
    await accounts.set_password(user.name, password, one_time=given is None, by=SYSTEM_CONDUCTOR)


def _note_first_login(file: Path, username: str, password: str) -> None:
    write_private(file, orjson.dumps({"username": username, "password": password}))


async def _ensure(registry: Registry, kind: Kind[Any], namespace: str, body: dict[str, Any]) -> None:
    if registry.store.get(kind.key(body["metadata"]["name"], namespace)) is not None:
        return
    try:
        await registry.create(kind, namespace, body, _HOW)
    except AlreadyExists:
        return
