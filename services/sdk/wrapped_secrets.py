"""A root key that a PKCS#11 token wrapped: its file says so, and the conductor, whose token it is, opens it."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING

import httpx

from controller.kit.generations import parse
from crds.errors import ApiError
from services.sdk.conductor_client import fetch_json

if TYPE_CHECKING:
    from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
ROOT_KEY, PATH = "root-key", "/auth/root-key"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


async def open_wrapped(context: ServiceContext) -> None:
    """Returns once every secret can be read: nothing can be done before. Asks again while the conductor is away."""
    if ROOT_KEY not in context.secrets or not is_wrapped(context.secrets[ROOT_KEY].read_bytes()):
        return
    pause = FIRST_PAUSE
    while True:
        try:
            answer = await fetch_json(context.client, "POST", PATH, {})
            context.opened[ROOT_KEY] = base64.b64decode(answer["content"], validate=True)
            return
        except (ApiError, OSError, httpx.HTTPError) as error:
            log.warning("the root key is not opened yet: %s", error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def is_wrapped(content: bytes) -> bool:
    """Whether a token is needed to read that key file. What is no key file at all, its reader says."""
    try:
        return any(each.wrapped for each in parse(content, closed=True))
    except OSError:
        return False
