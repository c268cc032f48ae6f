"""/join: what the line of `aerekos token create` fetches, and what a machine needs to join the Swarm."""

import hashlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from api.agents.heartbeats import worker_of
from api.auth.authentication import Authenticator
from api.auth.join_tokens import JoinTokens
from controller.docker.swarm_admin import SwarmAdmin
from controller.runtime.driver import DriverError
from crds.errors import NotFound, Unauthorized, Unavailable
from crds.model import Model

SCRIPT = (Path(__file__).parent / "join.sh").read_text(encoding="utf-8")


class JoinInfoRequest(Model):
    """`joining`: this machine is in no Swarm, and is about to join ours."""

    joining: bool = False


def join_routes(
    tokens: JoinTokens,
    authenticator: Authenticator,
    swarm: SwarmAdmin | None,
    image: str,
    port: int,
    control: str = "",
) -> APIRouter:
    """`image`: the agent's. `port`: the API's, as other machines reach it. `control`: the network they all share.
    Without a Swarm, joining is by hand.
    """
    router = APIRouter()

    def holder(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("send the join token as a bearer token")
        tokens.verify(token.strip())

    def ours() -> SwarmAdmin:
        if swarm is None or not image:
            raise NotFound("this cloud runs no Swarm; there: AEREKOS_AGENT_TOKEN=TOKEN aerekos-agent --api URL")
        return swarm

    @router.get("/join")
    async def how() -> dict[str, Any]:
        """Whether there is a line for other machines, and what it must check."""
        if swarm is None or not image:
            return {"swarm": False}
        node = await _asked(swarm)
        digest = hashlib.sha256(SCRIPT.encode()).hexdigest()
        return {"swarm": True, "url": f"https://{node}:{port}", "scriptSha256": digest}

    @router.get("/join.sh")
    async def script() -> PlainTextResponse:
        ours()
        return PlainTextResponse(SCRIPT)

    @router.get("/join/agent", dependencies=[Depends(holder)])
    async def agent() -> PlainTextResponse:
        ours()
        return PlainTextResponse(image)

    @router.get("/join/agent.tar", dependencies=[Depends(holder)])
    async def agent_tar() -> StreamingResponse:
        manager = ours()
        if not await manager.has_image(image):
            raise Unavailable(f"the conductor's machine does not keep {image}; try: make swarm-up", retry_after=10)
        return StreamingResponse(manager.save(image), media_type="application/x-tar")

    @router.post("/agents/swarm")
    async def membership(request: Request, asked: JoinInfoRequest | None = None) -> dict[str, Any]:
        name = worker_of(authenticator.authenticate(request.scope))
        manager = ours()
        try:
            if asked is not None and asked.joining:
                await manager.remove_stale_node(name)
            node = await manager.node()
            encrypted = bool(control) and await manager.is_encrypted(control)
            return {"token": await manager.join_token(), "managers": list(node.managers), "encrypted": encrypted}
        except DriverError as refused:
            raise Unavailable(str(refused), retry_after=1) from refused

    return router


async def _asked(swarm: SwarmAdmin) -> str:
    try:
        return (await swarm.node()).address
    except DriverError as refused:
        raise Unavailable(str(refused), retry_after=1) from refused
