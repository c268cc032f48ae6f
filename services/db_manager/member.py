"""One server of a Database as a Service: what is wanted of it, and where it answers. Pure."""

from __future__ import annotations

from crds.conditions import ConditionType
from crds.engines import CONFIG_FOLDER, ENGINES
from crds.kinds.service import File, KeyOf, Port, Service, ServiceSpec, Volume
from crds.kinds.service_engines import DATA_VOLUME, EngineRef
from crds.meta import condition
from crds.probes import Probe, Probes, TcpSocket
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.names import parameters_config

CONFIGURATION = "postgresql.conf"
CONFIGURATION_FILE = f"{CONFIG_FOLDER}/{CONFIGURATION}"

# Cheap, so it can be often. Whether it takes writes is asked by the reconciler, in SQL.
_PROBES = Probes(readiness=Probe(tcp_socket=TcpSocket(), period_seconds=1, timeout_seconds=1))


def wanted_server(database: Database) -> ServiceSpec:
    """The Service with the engine. Its parameters are a file that the engine reads again without a restart."""
    spec, engine = database.spec, ENGINES[database.spec.engine]
    published = spec.exposure.port if spec.exposure else None
    source = KeyOf(name=parameters_config(database.metadata.name), key=CONFIGURATION)
    return ServiceSpec(
        engine=EngineRef(name=spec.engine, version=spec.version or _restored_major(database)),
        enabled=spec.enabled,
        resources=spec.resources,
        probes=_PROBES,
        ports=[Port(port=engine.port, name=engine.port_name, published=published)],
        volumes=[Volume(name=DATA_VOLUME, path=engine.volume, size=spec.storage)],
        files=[File(path=CONFIGURATION_FILE, config_map=source)],
    )


def _restored_major(database: Database) -> str | None:
    """The data of one major version is nothing to another."""
    restore = database.status.restore
    return restore.version.partition(".")[0] or None if restore else None


def endpoint_of(server: Service) -> Endpoint | None:
    """Where its one copy answers; None while it is not ready."""
    for each in server.status.instances:
        host, _, port = each.address.rpartition(":")
        if each.ready and port.isdigit():
            return Endpoint(host=host.strip("[]"), port=int(port))
    return None


def fault_of(server: Service) -> tuple[str, str]:
    """Reason and message of why it is not ready, as it says them itself; empty when it says nothing."""
    ready = condition(server.status.conditions, ConditionType.READY)
    return (ready.reason, ready.message) if ready is not None and ready.status != "True" else ("", "")
