"""Every path outside the resource API, asked by everybody: who gets in is written down here, and only here.

A new route fails until it is written down; a route nobody thought about would be open to all who have a name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from unit.api.components import CA, COOKIE, HOW, House

import api
from api.agents.container_events import news_routes
from api.agents.join import join_routes
from api.agents.overlay import overlay_routes
from api.agents.registration import agent_routes
from api.agents.role_credentials import role_credential_routes
from api.audit import Audit
from api.audit.routes import audit_routes
from api.auth.join_tokens import JoinTokens
from api.auth.principal import AUTHENTICATED, SERVICES, WORKERS, Principal
from api.auth.routes.access_keys import access_key_routes
from api.auth.routes.certificates import certificate_routes
from api.auth.routes.identities import identity_routes
from api.auth.routes.oidc import oidc_routes
from api.auth.routes.policies import policy_routes
from api.auth.routes.root_key import root_key_routes
from api.auth.routes.sessions import session_routes
from api.auth.routes.sts import sts_routes
from api.auth.routes.totp import totp_routes
from api.cloud import CloudIdentity, cloud_routes
from api.cloud_metrics import CloudMetrics
from api.gateway.unsigned_s3 import OWN_SEGMENTS
from api.health import health_routes
from api.history import history_routes
from api.instance_logs import instance_log_routes
from api.instance_metrics import InstanceMetrics, instance_metrics_routes
from api.loop_health import LoopHealth, loop_health_routes
from api.rest import log_routes, rest_app
from api.swarm_services import swarm_routes
from api.templates.routes import template_routes
from api.tls import CertificateAuthority
from api.traffic_routes import traffic_routes
from api.watch_metrics import WatchMetrics
from controller.health.report import Health
from controller.kit.threads import Inline
from crds.kinds.worker import WORKER
from services.sdk.certificate import new_request

pytestmark = pytest.mark.anyio
ROLES = ("viewer", "editor", "admin")
KNOWN = {
    **{role: Principal(role, frozenset({f"aerekos:{role}", AUTHENTICATED})) for role in ROLES},
    "worker": Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED})),
    "service": Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED})),
}
EVERYBODY, ALL_KNOWN = {"nobody", *KNOWN}, set(KNOWN)
READERS, ADMINS, AGENTS = {"viewer", "editor", "admin"}, {"admin"}, {"worker"}
MAY = {
    # what one needs before one has a name
    "POST /auth/login": EVERYBODY,
    "POST /auth/refresh": EVERYBODY,
    "GET /auth/oidc": EVERYBODY,
    "POST /auth/oidc": EVERYBODY,
    "POST /auth/totp": EVERYBODY,
    "POST /auth/totp/confirm": EVERYBODY,
    "POST /auth/logout": EVERYBODY,
    "POST /auth/token": EVERYBODY,
    "POST /auth/join": EVERYBODY,
    "GET /auth/ca.pem": EVERYBODY,
    "GET /cloud": EVERYBODY,
    "GET /auth/jwks": EVERYBODY,
    "GET /join": EVERYBODY,
    "GET /join.sh": EVERYBODY,
    # join tokens open these, and nothing else does
    "GET /join/agent": set[str](),
    "GET /join/agent.tar": set[str](),
    # about oneself
    "GET /auth/whoami": ALL_KNOWN,
    "GET /auth/totp": ALL_KNOWN,
    "POST /auth/totp/remove": ADMINS,  # somebody else's; the own one asks for password and code
    "GET /auth/access-key": ALL_KNOWN,
    "GET /auth/sessions": ALL_KNOWN,
    # of people; machines and masters are told that they have none
    "GET /auth/access-keys": ALL_KNOWN,
    "GET /auth/policies": ALL_KNOWN,
    "POST /auth/sts/assume-role": set(),  # only whom a role trusts, and here is none
    "POST /auth/sts/service-role": set(),  # only services whose manifest says which AWS service they stand for
    "POST /auth/sts/web-identity": EVERYBODY,
    "POST /auth/sts/session-token": READERS & ALL_KNOWN,
    "POST /auth/sts/federation-token": READERS,
    "POST /auth/sts/decode-message": READERS,
    "GET /auth/sts/access-keys/{key_id}": ALL_KNOWN,
    "GET /auth/sts/credentials": ALL_KNOWN,
    "DELETE /auth/sts/credentials/{key_id}": ALL_KNOWN,
    "POST /auth/access-keys": ALL_KNOWN,
    "PATCH /auth/access-keys/{key_id}": ALL_KNOWN,
    "DELETE /auth/access-keys/{key_id}": ALL_KNOWN,
    "DELETE /auth/sessions/{sid}": ALL_KNOWN,
    "POST /auth/logout-all": ALL_KNOWN,
    "POST /auth/keys/rotate": ADMINS,
    "POST /auth/password": ADMINS,  # somebody else's; the own one asks for the current one
    # between the parts of the house
    "POST /auth/certificates": {"service"},
    "POST /auth/root-key": {"service"},
    "POST /auth/signing-keys": set(),  # not even for a service, unless it holds a signed request's identity
    "POST /agents/register": AGENTS,
    "POST /agents/overlay": AGENTS,
    "POST /agents/swarm": AGENTS,
    "POST /agents/container-events": AGENTS,
    "POST /agents/role-credentials": AGENTS,
    # what is to be seen
    "GET /agents/leases": {*READERS, "worker"},
    "GET /traffic": READERS,
    "GET /health/report": ALL_KNOWN,  # of the objects they may read: tests/unit/health/test_report.py
    "GET /health/loop": READERS,
    "GET /metrics/targets": ADMINS,
    "GET /metrics/cloud": ADMINS,
    "GET /metrics/instances/{namespace}/{service}/{instance}": ADMINS,
    "GET /templates": ALL_KNOWN,
    "POST /templates/{name}": ALL_KNOWN,
    "GET /logs/{namespace}/{service}": READERS,
    "GET /logs/instances": READERS,
    "GET /logs/instances/{namespace}/{service}/{instance}": READERS,
    "GET /history": ALL_KNOWN,
    "GET /history/{group}/{path:path}": READERS,
    "GET /audit": ADMINS,
    "GET /swarm/services/{name}": ADMINS,
    "POST /swarm/services/{name}/adoption": ADMINS,
}
BODIES: dict[str, Any] = {
    "POST /auth/sts/web-identity": {
        "roleArn": "arn:aws:iam::000000000000:role/x",
        "roleSessionName": "me",
        "webIdentityToken": "no token",
    },
    "POST /auth/sts/assume-role": {"roleArn": "arn:aws:iam::000000000000:role/x", "roleSessionName": "me"},
    "POST /auth/sts/service-role": {
        "roleArn": "arn:aws:iam::000000000000:role/x",
        "roleSessionName": "me",
        "principal": "scheduler.amazonaws.com",
        "namespace": "default",
        "sourceArn": "arn:aws:scheduler:us-east-1:000000000000:schedule-group/default",
    },
    "POST /auth/sts/federation-token": {"name": "me"},
    "POST /auth/sts/decode-message": {"message": "x"},
    "PATCH /auth/access-keys/{key_id}": {"state": "Inactive"},
    "POST /auth/login": {"username": "x", "password": "x"},
    "POST /auth/refresh": {"refreshToken": "x"},
    "POST /auth/token": {"clientId": "x", "clientSecret": "x"},
    "POST /auth/join": {"token": "x", "name": "x"},
    "POST /auth/oidc": {"idToken": "x"},
    "POST /auth/totp": {"username": "x", "password": "x"},
    "POST /auth/totp/confirm": {"username": "x", "password": "x", "code": "1"},
    "POST /auth/totp/remove": {"username": "x"},
    "POST /auth/password": {"username": "other", "password": "long-enough-to-take"},
    "POST /auth/certificates": {"request": new_request()[1]},
    "POST /auth/signing-keys": {"accessKeyId": "x", "date": "20260101", "region": "x", "service": "x"},
    "POST /agents/register": {"capacity": {}},
    "POST /agents/overlay": {"peers": {}},
    "POST /agents/container-events": {"services": []},
    "POST /agents/role-credentials": {"namespace": "default", "name": "x", "token": "x"},
    "POST /templates/{name}": {"name": "x"},
}
# These judge what the body proves, not who sends it.
PROVED_BY_THE_BODY = {
    *("POST /auth/login", "POST /auth/refresh", "POST /auth/token", "POST /auth/join"),
    *("POST /auth/oidc", "POST /auth/totp", "POST /auth/totp/confirm"),
}


class IdleLoop:
    """A loop without reconcilers."""

    def controllers(self) -> list[Any]:
        return []

    def informers(self) -> list[Any]:
        return []


class Quiet:
    """A driver nothing of which ever wrote a line."""

    async def log_marks(self) -> list[Any]:
        return []


def routers(house: House, folder: Path) -> list[APIRouter]:
    registry, authenticator, authorizer, clock = house.registry, house.authenticator, house.authorizer, house.clock
    tokens = JoinTokens(registry, clock)
    nothing: Any = None
    quiet: Any = Quiet()
    return [
        cloud_routes(CloudIdentity("attic", "ab" * 32)),
        session_routes(house.accounts, authenticator, COOKIE),
        access_key_routes(house.accounts, authenticator),
        policy_routes(house.security.policies, authenticator),
        sts_routes(house.security, authenticator, authorizer),
        totp_routes(house.accounts, authenticator),
        oidc_routes(None, authenticator, COOKIE),
        identity_routes(house.accounts, authenticator, house.tokens.keys, tokens, CA, clock, {}),
        root_key_routes(authenticator, ["key-manager"], lambda: b"", Inline()),
        certificate_routes(CertificateAuthority(folder / "tls", now=clock.now()), authenticator, clock),
        agent_routes(registry, house.leases, authenticator, authorizer, clock),
        log_routes(registry, nothing, authenticator, authorizer, clock),
        instance_log_routes(registry, quiet, authenticator, authorizer),
        history_routes(registry, authenticator, authorizer, clock),
        traffic_routes(house.gateway.traffic, authenticator, authorizer),
        health_routes(Health(registry, house.leases, clock, ()), authenticator, authorizer),
        loop_health_routes(LoopHealth(IdleLoop(), house.store, WatchMetrics(), clock), authenticator, authorizer),
        instance_metrics_routes(
            InstanceMetrics(registry, house.endpoints, nothing),
            CloudMetrics(house.store, house.leases, house.gateway.traffic, folder / "tls"),
            authenticator,
            authorizer,
        ),
        audit_routes(Audit(folder / "audit.log", clock), authenticator, authorizer),
        template_routes(frozenset({"process"}), authenticator),
        join_routes(tokens, authenticator, None, "", 443),
        swarm_routes(None, None, authenticator, authorizer),
        overlay_routes(registry, authenticator, clock),
        role_credential_routes(authenticator, house.security.workloads),
        news_routes(authenticator, lambda _: None),
    ]


def routes(house: House, folder: Path) -> Iterator[str]:
    for router in routers(house, folder):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from (f"{method} {route.path}" for method in route.methods)


async def test_every_route_is_written_down(house: House, tmp_path: Path) -> None:
    assert sorted(routes(house, tmp_path)) == sorted(MAY)


async def test_no_route_is_taken_for_a_bucket(house: House, tmp_path: Path) -> None:
    """What the gateway does not know as a path of the cloud's own is answered by S3."""
    firsts = {route.split()[1].split("/")[1] for route in routes(house, tmp_path)}
    assert sorted(firsts - OWN_SEGMENTS) == []


async def test_every_router_is_asked(house: House, tmp_path: Path) -> None:
    modules = [importlib.import_module(each.name) for each in pkgutil.walk_packages(api.__path__, "api.")]
    made = {name for module in modules for name in vars(module) if name.endswith("_routes")}
    assert len(made) == len(routers(house, tmp_path))


def concrete(path: str, namespace: str = "default") -> str:
    """With something for each of its parameters, and the query it cannot do without."""
    resource = f"aerekos.cloud/v1/namespaces/{namespace}/services/nowhere"
    parts = {
        "service": "nowhere",
        "name": "web",
        "instance": "web-0",
        "sid": "nobody",
        "key_id": "nobody",
        "group": "apis",
    }
    path = path.replace("{path:path}", resource).format(namespace=namespace, **parts)
    return path + {"/history": "?at=2026-01-02T03:04:05Z"}.get(path, "?to=x" if path.endswith("/adoption") else "")


@pytest.mark.parametrize("who", sorted(EVERYBODY))
async def test_who_gets_in(house: House, tmp_path: Path, who: str) -> None:
    for role in ROLES:
        await house.add_user(role, role)
    await house.add_user("other")
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    headers = house.bearer(KNOWN[who]) if who in KNOWN else {}
    transport = httpx.ASGITransport(app=rest_app(routers(house, tmp_path)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test", headers=headers) as client:
        for route, admitted in MAY.items():
            method, path = route.split()
            code = (await client.request(method, concrete(path), json=BODIES.get(route, {}))).status_code
            if route in PROVED_BY_THE_BODY:
                assert code == 401, (who, route, code)
            elif who in admitted:
                assert code not in (401, 403, 422) and code < 500, (who, route, code)
            else:
                assert code == (401 if who == "nobody" or "/join/" in path else 403), (who, route, code)
