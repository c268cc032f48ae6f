"""Images of the cloud's own are named by digest, also while the registry does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn

from api.tls import CertificateAuthority
from controller.kit.clock import SystemClock
from controller.main.image_resolver import ImageResolver, RegistryUnavailable
from controller.runtime.driver import DriverError

pytestmark = pytest.mark.anyio
WEB = "127.0.0.1:7444/web:1"
DIGEST = "sha256:" + "0" * 64


class Swarm:
    def __init__(self) -> None:
        self.pushed: list[str] = []

    async def push(self, name: str, user: str, password: str) -> None:
        self.pushed.append(name)


@asynccontextmanager
async def registry(known: dict[str, str], folder: Path) -> AsyncIterator[str]:
    """Answers manifests as a registry does, with a certificate of the CA in `folder`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        digest = known.get(scope["path"])
        headers = [(b"docker-content-digest", digest.encode())] if digest else []
        await send({"type": "http.response.start", "status": 200 if digest else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    certificate, key = CertificateAuthority(folder, now=datetime.now(UTC)).server(["registry"])
    tls = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", **tls))  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve)
        with anyio.fail_after(60):
            while not server.started:
                await anyio.lowlevel.checkpoint()
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True


def images(address: str, folder: Path) -> ImageResolver:
    return ImageResolver(
        "127.0.0.1:7444",
        address,
        folder / "ca.crt",
        folder / "images.json",
        Swarm(),
        SystemClock(),
        lambda: "t",  # type: ignore[arg-type]
    )


async def test_ours_are_named_by_digest_and_others_left_alone(tmp_path: Path) -> None:
    async with registry({"/v2/web/manifests/1": DIGEST}, tmp_path) as address:
        made = images(address, tmp_path)
        assert await made.pinned(WEB) == f"{WEB}@{DIGEST}"
        assert await made.pinned("nginx:1") == "nginx:1"
        with pytest.raises(DriverError, match=r"docker push 127\.0\.0\.1:7444/other:1") as refused:
            await made.pinned("127.0.0.1:7444/other:1")
        assert refused.value.reason == "ImageNotFound"


async def test_what_was_known_stays_true_while_the_registry_is_away(tmp_path: Path) -> None:
    async with registry({"/v2/web/manifests/1": DIGEST}, tmp_path) as address:
        await images(address, tmp_path).pinned(WEB)
    later = images(address, tmp_path)
    assert await later.pinned(WEB) == f"{WEB}@{DIGEST}"
    with pytest.raises(RegistryUnavailable):
        await later.pinned("127.0.0.1:7444/other:1")


async def test_what_is_missing_is_pushed(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    async with registry(known, tmp_path) as address:
        made = images(address, tmp_path)
        assert await made._kept(WEB)
        known["/v2/web/manifests/1"] = DIGEST
        assert await made._kept(WEB)
        assert made._swarm.pushed == [WEB]  # type: ignore[attr-defined]


async def test_one_that_only_this_machine_s_docker_has_is_pushed_when_it_is_asked_for(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    async with registry(known, tmp_path) as address:
        made = images(address, tmp_path)

        class Pushes(Swarm):
            async def push(self, name: str, user: str, password: str) -> None:
                known["/v2/web/manifests/1"] = DIGEST

        made._swarm = Pushes()  # type: ignore[assignment]
        assert await made.offered(WEB) == f"{WEB}@{DIGEST}"

        class Lacks(Swarm):
            async def push(self, name: str, user: str, password: str) -> None:
                raise DriverError("no such image")

        made._swarm = Lacks()  # type: ignore[assignment]
        with pytest.raises(DriverError, match="not among the cloud's images"):
            await made.offered("127.0.0.1:7444/other:1")
