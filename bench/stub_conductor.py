"""What a gateway needs of a conductor, and nothing else: `python bench/stub_conductor.py HOME SMALL LARGE CONTAINER`.

Makes the home: keys, certificates, a user with an AWS key and a session, and three Services, which answer at those
addresses: `key-manager`, `storage-manager`, and the container `origin`. Then it serves the channel of `api.channel`
on the home's socket, as the conductor does; reports are read and counted, but no audit log is written: what that
costs the conductor is no matter of the gateway. Prints one JSON object once a gateway may start.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import uvloop

from api.asgi import Receive, Scope, Send, json_answer, send_answer
from api.auth.accounts import Accounts
from api.auth.derived_secrets import DerivedSecrets
from api.auth.tokens import TokenKeys, Tokens
from api.channel.conductor import Channel
from api.channel.replication import Replication
from api.channel.reports import Reports
from api.gateway_metrics import GatewayCounts
from api.server import make_socket_server
from api.tls import CertificateAuthority
from controller.kit import generations
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.kit.unix_sockets import listen_on
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.sql import open_store
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.kinds.user import USER
from services.sdk.certificate import new_request
from services.sdk.discovery import catalog_of, managed_services

NAME, HOW = "bench", WriteOptions(by="bench")
SMALL, LARGE, CONTAINER = "key-manager", "storage-manager", "origin"


class Counted:
    """Takes every report, and says how many came."""

    keeps_bodies = False

    def __init__(self) -> None:
        self.lines = 0

    def check(self, scope: Scope) -> None:
        return

    def note(self, *_: Any, **__: Any) -> None:
        self.lines += 1

    def used(self, access_key_id: str, service: str) -> None:
        return


class Conductor:
    """Everything a gateway asks for, in one home."""

    def __init__(self, home: Path, registry: Registry, endpoints: Endpoints) -> None:
        self._home, self._registry, self._endpoints = home, registry, endpoints
        self._clock, self.audit = SystemClock(), Counted()
        self._authority = CertificateAuthority(home / "tls", now=self._clock.now())

    def certify(self) -> None:
        """Certificates of the port, and of the instances of both managed Services."""
        tls = self._home / "tls"
        certificate, key = self._authority.server(["localhost", "127.0.0.1"])
        (tls / "server.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        for service in (SMALL, LARGE):
            private, request = new_request()
            signed = self._authority.for_instance(request.encode(), service, "default", self._clock.now())
            (tls / f"{service}.pem").write_bytes(signed + private)
        (tls / "gateway.pem").write_bytes(self._authority.for_gateway(self._clock.now()))

    async def fill(self, small: str, large: str, container: str) -> dict[str, str]:
        """A user who may everything, and the Services: how that user asks."""
        tokens = Tokens(TokenKeys(self._home / "secrets" / "jwt"), self._clock)
        master = generations.keep(self._home / "secrets" / "master-key", self._clock.now())
        accounts = Accounts(self._registry, tokens, DerivedSecrets(master), self._clock, Threads(1))
        await self._registry.create(NAMESPACE, "", {"metadata": {"name": "default"}}, HOW)
        await self._registry.create(USER, "", {"metadata": {"name": NAME}, "spec": {"roles": ["admin"]}}, HOW)
        for service, spec, address in (
            (SMALL, {"managed": "key_manager"}, small),
            (LARGE, {"managed": "storage_manager"}, large),
            (CONTAINER, {"image": "origin:1"}, container),
        ):
            body = {"metadata": {"name": service}, "spec": spec}
            made = await self._registry.create(SERVICE, "default", body, HOW)
            assert made.record is not None
            self._endpoints.put(made.record.key, made.record.uid, [Endpoint(f"{service}-0", *address.split("@"))])
        user = accounts.user(NAME)
        assert user is not None
        session = await accounts.sessions.open(user, longest=timedelta(hours=1))
        pair = accounts.access_key(NAME)
        return {"access_key": pair.id, "secret": pair.secret, "token": session.access_token}

    async def serve(self) -> None:
        """The channel, until the process is ended."""
        reports = Reports(self.audit, self.audit, self.audit, self.audit.used, GatewayCounts(time.monotonic))
        channel = Channel(self._answer, Replication(self._registry.store, self._endpoints), reports)
        await make_socket_server(channel).serve(sockets=[listen_on(self._home / "run" / "conductor.sock")])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, json_answer(200, {"reported": self.audit.lines}))


async def run(home: Path, *addresses: str) -> None:
    for each in ("run", "secrets", "tls"):
        (home / each).mkdir(parents=True, exist_ok=True, mode=0o700)
    clock = SystemClock()
    store = await open_store(f"sqlite:///{home}/records.db", threads=Threads(2), clock=clock)
    registry, endpoints = Registry(store, catalog_of(managed_services()), clock), Endpoints()
    conductor = Conductor(home, registry, endpoints)
    conductor.certify()
    told = await conductor.fill(*addresses)
    serving = asyncio.create_task(conductor.serve())
    print(orjson.dumps(told).decode(), flush=True)
    await serving


def main() -> None:
    uvloop.run(run(Path(sys.argv[1]), *sys.argv[2:]))


if __name__ == "__main__":
    main()
