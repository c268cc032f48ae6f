"""May they? Asked of the conductor in their own name (SelfSubjectAccessReview), remembered for a second.

A service asks this for things that are no resource write, such as encrypting with a Key. Writes are made in the
caller's own name instead (`Instance.acting_for`), and the conductor decides there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from controller.kit.clock import Clock
from crds.errors import Forbidden
from services.sdk.identity import Caller
from services.sdk.remembered import RememberedAnswers

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Question = tuple[Caller, str, str, str, str, str]


class AccessReviewer:
    """`ask` posts one review with the identity token of whom it is about, and returns its answer."""

    def __init__(self, ask: Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self._ask = ask
        self._answers: RememberedAnswers[Question, bool] = RememberedAnswers(self._answer, clock)

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
        """Whether the caller may. Raises ApiError when the conductor cannot be asked."""
        return await self._answers.of((caller, verb, resource, group, name, namespace))

    async def _answer(self, question: Question) -> bool:
        caller, *wanted = question
        answer = await self._ask(_review(*wanted), caller.token)
        return (answer.get("status") or {}).get("allowed") is True


def _review(verb: str, resource: str, group: str, name: str, namespace: str) -> dict[str, Any]:
    wanted = {"verb": verb, "group": group, "resource": resource, "name": name, "namespace": namespace}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
