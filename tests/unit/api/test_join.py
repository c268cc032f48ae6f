"""Joining a Swarm: what is told to whom, and how a CA proves itself to holders of a token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from unit.api.components import HOW, House

from api.agents.join import SCRIPT, join_routes
from api.auth.join_tokens import JoinTokens
from api.rest import rest_app
from controller.docker.node_info import SwarmNodeInfo
from crds.errors import Unauthorized
from crds.kinds.join_token import JOIN_TOKEN
from crds.model import rfc3339

pytestmark = pytest.mark.anyio
SECRET = "s" * 32
IMAGE = "127.0.0.1:7444/aerekos/agent:1"


class Swarm:
    """A manager whose Docker has one image."""

    async def node(self) -> SwarmNodeInfo:
        return SwarmNodeInfo(
            "n", "192.0.2.1", "active", True, ("192.0.2.1:2377",), "20.10.24", "/var/lib/docker", name="one"
        )

    async def is_encrypted(self, network: str) -> bool:
        return True

    async def join_token(self) -> str:
        return "SWMTKN-1"

    async def has_image(self, name: str) -> bool:
        return name == IMAGE

    async def save(self, name: str) -> AsyncIterator[bytes]:
        yield b"tar "
        yield b"file"


async def with_token(house: House, **more: object) -> JoinTokens:
    spec = {
        "secretSha256": hashlib.sha256(SECRET.encode()).hexdigest(),
        "expiresAt": rfc3339(house.clock.now() + timedelta(hours=1)),
        "uses": 1,
        **more,
    }
    await house.registry.create(JOIN_TOKEN, "", {"metadata": {"name": "t"}, "spec": spec}, HOW)
    return JoinTokens(house.registry, house.clock)


def app(house: House, tokens: JoinTokens, swarm: Swarm | None = None) -> httpx.AsyncClient:
    made: FastAPI = rest_app([join_routes(tokens, house.authenticator, swarm, IMAGE if swarm else "", 7443)])  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="https://x")


async def test_a_cloud_without_a_swarm_says_so(house: House) -> None:
    async with app(house, await with_token(house)) as client:
        assert (await client.get("/join")).json() == {"swarm": False}
        assert (await client.get("/join.sh")).status_code == 404


async def test_the_line_names_the_script_it_will_get(house: House) -> None:
    async with app(house, await with_token(house), Swarm()) as client:
        how = (await client.get("/join")).json()
        script = (await client.get("/join.sh")).content
        assert how["url"] == "https://192.0.2.1:7443"
        assert how["scriptSha256"] == hashlib.sha256(script).hexdigest()
        assert script.decode() == SCRIPT


async def test_only_holders_of_a_token_get_the_image_and_it_is_not_used_up(house: House) -> None:
    tokens = await with_token(house)
    async with app(house, tokens, Swarm()) as client:
        for refused in ({}, {"authorization": "Bearer t.wrong"}, {"authorization": f"Basic t.{SECRET}"}):
            assert (await client.get("/join/agent.tar", headers=refused)).status_code == 401
        held = {"authorization": f"Bearer t.{SECRET}.{'0' * 64}"}
        assert (await client.get("/join/agent", headers=held)).text == IMAGE
        assert (await client.get("/join/agent.tar", headers=held)).content == b"tar file"
    assert tokens.verify(f"t.{SECRET}")[1].status.used == 0


async def test_only_workers_are_told_how_to_join_the_swarm(house: House) -> None:
    async with app(house, await with_token(house), Swarm()) as client:
        assert (await client.post("/agents/swarm")).status_code == 401


async def test_the_ca_proves_itself_to_holders_of_a_token(house: House) -> None:
    tokens = await with_token(house)
    nonce, digest = b"n" * 32, b"d" * 32
    key = hashlib.sha256(SECRET.encode()).digest()
    assert tokens.prove_ca("t", nonce, digest) == hmac.new(key, nonce + digest, hashlib.sha256).hexdigest()
    with pytest.raises(Unauthorized):
        tokens.prove_ca("nobody", nonce, digest)


async def test_a_spent_token_proves_nothing(house: House) -> None:
    tokens = await with_token(house, revoked=True)
    with pytest.raises(Unauthorized):
        tokens.prove_ca("t", b"n" * 32, b"d" * 32)
    with pytest.raises(Unauthorized):
        tokens.verify(f"t.{SECRET}")
