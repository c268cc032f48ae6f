"""Rotation by somebody's webhook: the event that AWS hands to a Lambda function, posted to an HTTPS address.

    {"Step": "createSecret", "SecretId": "arn:...", "ClientRequestToken": "..."}

Whoever listens there does the step through this API, with credentials of its own: the event holds nothing secret and
is no proof of anything. Any 2xx means done. Answers are not read, redirects not followed, certificates verified;
addresses of this machine and of its link are refused, also behind a name.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import orjson

from services.sdk.outbound import OutboundFault, OutboundHttp, Resolve, is_outside, resolved
from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret

# All four of them within one pass of the reconciler.
STEP_SECONDS = 12.0


class WebhookRotator:
    """`http`: a client without credentials. `resolve`: names to addresses. `is_allowed`: whether one may be called;
    what is outside of this machine, if nothing else is said.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        resolve: Resolve = resolved,
        is_allowed: Callable[[str], bool] | None = None,
    ) -> None:
        self._outbound, self._is_allowed = OutboundHttp(http, resolve), is_allowed or is_outside

    async def carry_out(self, step: str, found: FoundSecret, token: str) -> None:
        """Raises RotationFailure."""
        assert found.spec.rotation is not None
        event = orjson.dumps({"Step": step, "SecretId": found.arn, "ClientRequestToken": token})
        try:
            answer = await self._outbound.post(
                found.spec.rotation.target,
                event,
                {"content-type": "application/json"},
                seconds=STEP_SECONDS,
                is_allowed=self._is_allowed,
            )
        except OutboundFault as fault:
            raise RotationFailure(f"the webhook was not called: {fault}") from None
        if not 200 <= answer.status < 300:
            raise RotationFailure(f"the webhook answered {answer.status}")
