"""The Gate: who calls, proven by AWS signature or by a managed service's identity (`services.sdk.aws.gate`)."""

from __future__ import annotations

from services.sdk.aws.errors import SignatureFault
from services.sdk.aws.gate import Admitted, AwsGate, raw_request
from services.storage_manager.chunked import Signing
from services.storage_manager.faults import S3Fault
from services.storage_manager.ports import Caller, Scope


class SdkGate:
    """Header-signed, presigned, or stated by the gateway for bearer callers."""

    def __init__(self, gate: AwsGate) -> None:
        self._gate = gate

    async def admit(self, scope: Scope) -> Caller:
        """Raises S3Fault in S3's own words. The body is not read: `bodies` checks it against what was signed."""
        try:
            admitted = await self._gate.admit(raw_request(scope), scope["state"]["caller"])
        except SignatureFault as fault:
            error = fault.as_error("s3")
            raise S3Fault(error.code, error.message) from fault
        who = admitted.caller
        return Caller(who.name, who.namespace, _signing(admitted), who.groups)


def _signing(admitted: Admitted) -> Signing | None:
    found = admitted.signature
    if found is None or found.presigned:
        return None
    return Signing(admitted.key, found.timestamp, found.scope, found.value)
