"""GetRandomPassword. Source: AWS Secrets Manager API reference, GetRandomPassword."""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.operations.secret_access import SecretAccess
from services.secrets_manager.passwords import LENGTH, PasswordFault, classes_of, random_password

Json = dict[str, Any]
_MEMBERS = (
    "PasswordLength",
    "ExcludeCharacters",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "ExcludeLowercase",
    "IncludeSpace",
    "RequireEachIncludedType",
)


class RandomPasswordOperations:
    """One declared method per operation. It is about no secret, and kept nowhere."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("GetRandomPassword", permission=None, understands=_MEMBERS)
    async def get_random_password(self, call: RequestContext, request: Json) -> Json:
        """For all whom no policy denies it."""
        self._secrets.authorizer.refuse_denied(call)
        classes = classes_of(
            lowercase=not request.get("ExcludeLowercase"),
            uppercase=not request.get("ExcludeUppercase"),
            numbers=not request.get("ExcludeNumbers"),
            punctuation=not request.get("ExcludePunctuation"),
            space=bool(request.get("IncludeSpace")),
        )
        each = request.get("RequireEachIncludedType")
        try:
            made = random_password(
                int(request.get("PasswordLength", LENGTH)),
                classes,
                request.get("ExcludeCharacters") or "",
                each_class=each is None or bool(each),
            )
        except PasswordFault as fault:
            raise errors.invalid_parameter(str(fault)) from fault
        return {"RandomPassword": made}
