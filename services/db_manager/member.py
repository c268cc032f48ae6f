"""One server of a Database as a Service: what is wanted of it, and where it answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from crds.conditions import ConditionType
from crds.engines import CONFIG_FOLDER, ENGINES
from crds.kinds.service import File, KeyOf, Port, Service, ServiceSpec, Volume
from crds.kinds.service_engines import DATA_VOLUME, EngineRef
from crds.meta import condition
from crds.probes import Probe, Probes, TcpSocket
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.names import member_name, parameters_config

CONFIGURATION = {"postgresql": "postgresql.conf", "valkey": "valkey.conf"}
"""What the configuration of each engine is called."""
CONFIGURATION_FILE = f"{CONFIG_FOLDER}/{CONFIGURATION['postgresql']}"
"""Of PostgreSQL."""

# Cheap, so it can be often. Whether it takes writes is asked by the reconciler, in SQL.
_PROBES = Probes(readiness=Probe(tcp_socket=TcpSocket(), period_seconds=1, timeout_seconds=1))


# A replica takes the place of a primary that does not end in good order within so long.
_GRACE_WITH_MEMBERS = 3.0


def configuration_key(database: Database, index: int) -> str:
    """The key of the ConfigMap with that member's configuration."""
    return CONFIGURATION[database.spec.engine] if index == 0 else f"{index}.conf"


def wanted_server(database: Database, index: int = 0) -> ServiceSpec:
    """The Service with the engine. Its parameters are a file that the engine reads again without a restart."""
    spec, engine = database.spec, ENGINES[database.spec.engine]
    alone, switch = spec.members == 1, database.status.switch
    published = spec.exposure.port if spec.exposure and alone else None
    source = KeyOf(name=parameters_config(database.metadata.name), key=configuration_key(database, index))
    more = {} if alone else {"stop_grace_seconds": _GRACE_WITH_MEMBERS}
    gives_way = switch is not None and switch.old == member_name(database.metadata.name, index)
    return ServiceSpec(
        engine=EngineRef(name=spec.engine, version=_version(database, index)),
        enabled=spec.enabled and not gives_way,
        resources=spec.resources,
        probes=_PROBES,
        ports=[Port(port=engine.port, name=engine.port_name, published=published)],
        volumes=[Volume(name=DATA_VOLUME, path=engine.volume, size=spec.storage)],
        files=[File(path=f"{CONFIG_FOLDER}/{CONFIGURATION[spec.engine]}", config_map=source)],
        **more,
    )


def _version(database: Database, index: int) -> str | None:
    """The data of one major version is nothing to another, where it is PostgreSQL's."""
    restore, spec = database.status.restore, database.spec
    known = restore.version if restore else database.status.version if index else ""
    if database.is_valkey:
        return spec.version
    return spec.version or known.partition(".")[0] or None


def endpoint_of(server: Service) -> Endpoint | None:
    """Where its one copy answers; None while it is not ready."""
    return _first(each.address for each in server.status.instances if each.ready)


def address_of(server: Service) -> Endpoint | None:
    """Where its one copy listens, or will; None while it has none."""
    return _first(each.address for each in server.status.instances)


def read_address(address: str) -> Endpoint | None:
    """Of `127.0.0.1:5432` or `[::1]:5432`; None of what names no port."""
    host, _, port = address.rpartition(":")
    return Endpoint(host=host.strip("[]"), port=int(port)) if port.isdigit() else None


def _first(addresses: Iterable[str]) -> Endpoint | None:
    return next(filter(None, map(read_address, addresses)), None)


def fault_of(server: Service) -> tuple[str, str]:
    """Reason and message of why it is not ready, as it says them itself; empty when it says nothing."""
    ready = condition(server.status.conditions, ConditionType.READY)
    return (ready.reason, ready.message) if ready is not None and ready.status != "True" else ("", "")
