"""The addresses of a Database with members: HAProxy, which leads to the one that takes writes, and to those that
follow it. Pure.

It only passes bytes on. A connection stays with the server it was opened to, and ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from crds.engines import ENGINES
from crds.engines.haproxy import CONFIG
from crds.kinds.service import File, KeyOf, Port, ServiceSpec
from crds.kinds.service_engines import EngineRef
from crds.probes import Probe, Probes, TcpSocket
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.names import routes_config

WRITES, READS = "rw", "ro"
ROUTES = (WRITES, READS)

# Connections of databases may be idle for days. Keepalives of TCP tell of a client that is gone.
_HEAD = """defaults
  mode tcp
  timeout connect 5s
  timeout client 24d
  timeout server 24d
  option clitcpka
  option srvtcpka
  balance leastconn
listen database
  bind "${HOST}:${PORT}"
"""
# Each time a server is asked, it starts a process.
_PROBES = Probes(readiness=Probe(tcp_socket=TcpSocket(), period_seconds=10, timeout_seconds=5))


def route_configuration(servers: Mapping[str, Endpoint]) -> str:
    """The text of haproxy.cfg. Without a server, whoever connects is sent away at once."""
    lines = (f"  server {name} {_address(at)}\n" for name, at in sorted(servers.items()))
    return _HEAD + "".join(lines)


def wanted_route(database: Database, route: str) -> ServiceSpec:
    """The Service with HAProxy."""
    engine = ENGINES[database.spec.engine]
    published = database.spec.exposure.port if database.spec.exposure and route == WRITES else None
    source = KeyOf(name=routes_config(database.metadata.name), key=route_key(route))
    return ServiceSpec(
        engine=EngineRef(name="haproxy"),
        enabled=database.spec.enabled,
        probes=_PROBES,
        ports=[Port(port=engine.port, name=engine.port_name, published=published)],
        files=[File(path=CONFIG, config_map=source)],
    )


def route_key(route: str) -> str:
    """The key of the ConfigMap that says where it leads."""
    return f"{route}.cfg"


def _address(at: Endpoint) -> str:
    host = f"[{at.host}]" if ":" in at.host else at.host
    return f"{host}:{at.port}"
