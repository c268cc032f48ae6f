"""May they? Asked of the conductor in their own name (SelfSubjectAccessReview), remembered for a second. While no
conductor runs nobody's rights change, so what it said last holds for some minutes: calls of AWS tools go on.

A service asks this for things that are no resource write, such as encrypting with a Key. Writes are made in the
caller's own name instead (`Instance.acting_for`), and the conductor decides there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from controller.kit.clock import Clock
from crds.errors import CONDUCTOR_AWAY, Forbidden, Unavailable
from services.sdk.identity import Caller

REMEMBER_SECONDS = 1.0  # who lost a right must not use it two seconds later
HOLDS_SECONDS = 300.0
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_REMEMBERED = 8192
Question = tuple[Caller, str, str, str, str, str]


class AccessReviewer:
    """`ask` posts one review with the identity token of whom it is about, and returns its answer."""

    def __init__(self, ask: Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._known: dict[Question, tuple[bool, float]] = {}
        self._asking: dict[Question, asyncio.Task[bool]] = {}

    async def require(
        self,
        caller: Caller,
        verb: str,
        resource: str,
        group: str = "aerekos.cloud",
        name: str = "",
        namespace: str = "",
    ) -> None:
        """Raises Forbidden in Kubernetes's words; ApiError when the conductor cannot be asked."""
        if await self.allows(caller, verb, resource, group, name, namespace):
            return
        named = f' "{name}"' if name else ""
        raise Forbidden(
            f'{resource}.{group}{named} is forbidden: User "{caller.name}" cannot {verb} resource "{resource}" '
            f'in API group "{group}" in the namespace "{namespace}"'
        )

    async def allows(
        self, caller: Caller, verb: str, resource: str, group: str, name: str = "", namespace: str = ""
    ) -> bool:
        """Whether the caller may. The answer is at most `REMEMBER_SECONDS` old where there is a conductor to ask."""
        question = (caller, verb, resource, group, name, namespace)
        known = self._known.get(question)
        if known and known[1] > self._clock.monotonic():
            return known[0]
        asking = self._asking.get(question)
        if asking is None:  # who comes while the same is asked already waits for that answer
            asking = self._asking[question] = asyncio.create_task(self._answer(question))
            asking.add_done_callback(lambda ended: self._asked(question, ended))
        return await asyncio.shield(asking)

    def _asked(self, question: Question, ended: asyncio.Task[bool]) -> None:
        del self._asking[question]
        if not ended.cancelled():
            ended.exception()  # seen, also where everybody who waited for it has left

    async def _answer(self, question: Question) -> bool:
        caller, *wanted = question
        until = self._clock.monotonic() + REMEMBER_SECONDS
        try:
            answer = await self._ask(_review(*wanted), caller.token)
        except Unavailable as error:
            known = self._known.get(question)
            if known is None or known[1] + HOLDS_SECONDS < until or not is_away(error):
                raise
            return known[0]
        allowed = (answer.get("status") or {}).get("allowed") is True
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[question] = (allowed, until)
        return allowed


def is_away(error: Unavailable) -> bool:
    """Whether the gateway itself says that nobody is there; one that only takes long may be about to say no."""
    return any(each.reason == CONDUCTOR_AWAY for each in error.causes)


def _review(verb: str, resource: str, group: str, name: str, namespace: str) -> dict[str, Any]:
    wanted = {"verb": verb, "group": group, "resource": resource, "name": name, "namespace": namespace}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
