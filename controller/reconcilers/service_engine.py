"""Services that are engines: what is known of the engine fills in what the Service leaves out, and the superuser's
password is in a Secret, which is made where there is none.

The Secret belongs to the Service. Who deletes it gets another password; who makes one of that name first, their own.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

from controller.reconcile.reconciler import Lister, World
from controller.reconcilers import service_files
from controller.reconcilers.service_env import sealed_digest
from controller.reconcilers.service_files import FileMissing
from controller.runtime.driver import File
from crds.engines import SUPERUSER_FILE
from crds.errors import AlreadyExists
from crds.event_reasons import EventReason
from crds.kind import KubeObject, key_of
from crds.kinds.secret import SECRET, Secret
from crds.kinds.service import SERVICE, EngineStatus, Port, Service, Volume
from crds.kinds.service_engines import DATA_VOLUME, superuser_secret
from crds.meta import ObjectKey, ObjectMeta, OwnerReference
from crds.probes import Probes

USERNAME, PASSWORD = "username", "password"
_BYTES = 24
_USUAL_GRACE_SECONDS = 10.0
"""Too short for a database, and what there is without a word: whoever says less means it."""


def with_engine(service: Service) -> Service:
    """The service with all it leaves to its engine; another one as it is."""
    if service.spec.engine is None:
        return service
    spec, engine = service.spec, service.spec.engine.engine
    given = spec.probes or Probes()
    ports = spec.ports or [Port(port=engine.port, name=engine.port_name)]
    volumes = list(spec.volumes)
    if engine.volume and not any(each.name == DATA_VOLUME for each in volumes):
        volumes.insert(0, Volume(name=DATA_VOLUME, path=engine.volume))
    probes = Probes(
        liveness=given.liveness or engine.probes.liveness, readiness=given.readiness or engine.probes.readiness
    )
    grace = spec.stop_grace_seconds
    grace = grace if grace < _USUAL_GRACE_SECONDS else max(grace, engine.stop_seconds)
    filled = {"ports": ports, "volumes": volumes, "probes": probes, "stop_grace_seconds": grace}
    return service.model_copy(update={"spec": spec.model_copy(update=filled)})


async def superuser_file(service: Service, world: World) -> tuple[File, ...]:
    """The password, as its program finds it; nothing for an engine without. Raises FileMissing for a Secret that has
    none that can be used.
    """
    engine = service.spec.engine.engine if service.spec.engine else None
    if engine is None or not engine.superuser:
        return ()
    name, namespace = superuser_secret(service.metadata.name), service.metadata.namespace or "default"
    found = world.seen.get(SECRET, name, namespace) or await _made(service, name, engine.superuser, world)
    password = base64.b64decode((found.data or {}).get(PASSWORD, ""))
    if not password or b"\n" in password or b"\0" in password:
        raise FileMissing(f"{PASSWORD} of the secret {name} to be one line of text")
    return (File(SUPERUSER_FILE, password, secret=True, digest=sealed_digest(found, password)),)


async def _made(service: Service, name: str, user: str, world: World) -> Secret:
    namespace = service.metadata.namespace or "default"
    owner = OwnerReference(
        api_version=SERVICE.api_version,
        kind=SERVICE.name,
        name=service.metadata.name,
        uid=service.metadata.uid or "",
        controller=True,
    )
    secret = Secret(
        api_version="v1",
        kind="Secret",
        metadata=ObjectMeta(name=name, namespace=namespace, owner_references=[owner]),
        type="kubernetes.io/basic-auth",
        string_data={USERNAME: user, PASSWORD: secrets.token_urlsafe(_BYTES)},
    )
    try:
        made = await world.resources.create(SECRET, secret)
    except AlreadyExists:  # somebody was quicker, or we have not seen it yet
        return await world.resources.get(SECRET, name, namespace)
    world.events.record(service, EventReason.SUPERUSER_CREATED, f"the password of {user} is in the secret {name}")
    return made


def note_engine(service: Service, *, version: str = "", program: str = "") -> None:
    """What was found of its engine; what was known before stays where nothing was."""
    if service.spec.engine is None:
        service.status.engine = None
        return
    engine, before = service.spec.engine.engine, service.status.engine
    service.status.engine = EngineStatus(
        name=engine.name,
        version=version or (before.version if before else ""),
        program=program or (before.program if before else ""),
        secret=superuser_secret(service.metadata.name) if engine.superuser else "",
    )


def users_of_secret(changed: KubeObject, seen: Lister) -> Iterator[ObjectKey]:
    """The services that have a file or a variable out of that Secret, and the engine whose superuser is in it."""
    yield from service_files.users_of_secret(changed, seen)
    name, _, rest = changed.metadata.name.rpartition("-")
    if rest == "superuser" and (service := seen.get(SERVICE, name, changed.metadata.namespace)) is not None:
        yield key_of(SERVICE, service)
