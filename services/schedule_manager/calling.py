"""The way out of this service: calls of AWS under the roles of schedules, and posts to addresses."""

from __future__ import annotations

from typing import Any

import httpx

from services.schedule_manager.delivery import DeliveryFault, Occasion, time_text
from services.schedule_manager.planning import moment
from services.sdk.aws.role_calls import CallFault, OwnCalls, RoleCalls, RoleUse
from services.sdk.outbound import OutboundFault, OutboundHttp, is_public

POST_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 3600.0
"""What a `Retry-After` may ask for at most."""
_TRIED_AGAIN = frozenset({408, 409, 425, 429})


class OutsideCaller:
    """As `delivery.Caller`."""

    def __init__(self, calls: RoleCalls, rules: RoleCalls, own: OwnCalls, http: httpx.AsyncClient) -> None:
        """`calls`: as who calls for schedules; `rules`: for event rules; `own`: for targets of rules that have no
        role, to which their own policies let us.
        """
        self._calls, self._rules, self._own, self._http = calls, rules, own, OutboundHttp(http)

    async def call(
        self, occasion: Occasion, service: str, region: str, operation: str, request: dict[str, Any]
    ) -> None:
        role, namespace = occasion.spec.target.role_arn, occasion.namespace
        use = RoleUse(role, namespace, occasion.source_arn)
        try:
            if occasion.spec.bus and not role:
                await self._own.call(occasion.source_arn, namespace, service, region, operation, request)
                return
            calls = self._rules if occasion.spec.bus else self._calls
            await calls.call(use, service, region, operation, request)
        except CallFault as fault:
            raise DeliveryFault(fault.code, fault.message, lasting=fault.lasting) from fault

    async def post(self, occasion: Occasion, url: str, body: bytes) -> None:
        """Whoever is posted to knows a call that comes twice by `webhook-id`."""
        headers = {
            "content-type": "application/json" if body[:1] in (b"{", b"[") else "text/plain; charset=utf-8",
            "user-agent": "aerekos-schedule",
            "webhook-id": occasion.firing.id,
            "x-rule-arn" if occasion.spec.bus else "x-schedule-arn": occasion.arn,
            "x-scheduled-time": time_text(moment(occasion.firing.due)),
        }
        try:
            answer = await self._http.post(url, body, headers, seconds=POST_SECONDS, is_allowed=is_public)
        except OutboundFault as fault:
            raise DeliveryFault("Unreachable", str(fault)) from fault
        if not 200 <= answer.status < 300:
            lasting = 300 <= answer.status < 500 and answer.status not in _TRIED_AGAIN
            raise DeliveryFault(
                f"HTTP{answer.status}",
                f"the address answered {answer.status}",
                lasting=lasting,
                retry_after=min(answer.retry_after or 0.0, LONGEST_WAIT_SECONDS),
            )
