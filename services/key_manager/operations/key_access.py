"""The key an operation is about: found by any of its names, with the caller's right to it, its state and usage."""

from __future__ import annotations

from typing import Any

from services.key_manager import errors
from services.key_manager.authorization import KeyAuthorizer
from services.key_manager.ciphertext import BadCiphertext, key_version_of
from services.key_manager.key_lookup import ResolvedKey, Resolver, asked_region
from services.key_manager.key_specs import Usage, algorithms_of
from services.key_manager.key_state import uid_of
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, Key
from services.key_manager.material import BadMaterial
from services.key_manager.regions import is_in
from services.key_manager.root_key import NotYetOurs, RootKeyCipher, Unsealable
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.resources import Clock

Json = dict[str, Any]


class KeyAccess:
    """What every operation on a key begins with."""

    def __init__(
        self, keyring: Keyring, resolver: Resolver, access: CallerAccess, cipher: RootKeyCipher, clock: Clock
    ) -> None:
        self.keyring, self.resolver, self.access, self.clock = keyring, resolver, access, clock
        self.authorizer = KeyAuthorizer(keyring, access, cipher)

    async def resolve(self, call: RequestContext, request: Json) -> ResolvedKey:
        """The key, whatever state it is in. Raises AwsError, Forbidden."""
        found = await self.resolver.find(call, request["KeyId"])
        await self.authorizer.require(call, found, request)
        return found

    async def require_changeable(self, call: RequestContext, request: Json) -> ResolvedKey:
        """A key that may still be changed, by this caller: others do not hear what state it is in."""
        if str(request["KeyId"]).startswith("alias/"):
            raise errors.no_key_id(request["KeyId"])
        found = await self.resolve(call, request)
        if self.resolver.is_platform(found):
            raise errors.platform(found.arn)
        self.require_unscheduled(found)
        return found

    def require_unscheduled(self, found: ResolvedKey) -> None:
        """Raises AwsError for a key that is about to go."""
        if found.key.spec.deletion_date is not None:
            raise errors.pending_deletion(found.arn)

    async def require_usable(self, call: RequestContext, request: Json, usage: Usage) -> ResolvedKey:
        """The key of the request, enabled and for that usage. Raises AwsError, Forbidden."""
        found = await self.permitted(call, await self.resolver.find(call, request["KeyId"]), request)
        return self.require_fit(call, found, usage)

    def require_fit(self, call: RequestContext, found: ResolvedKey, usage: Usage) -> ResolvedKey:
        """The key, if it is enabled and for that usage. Raises AwsError."""
        self.require_enabled(found)
        if found.key.spec.usage != usage:
            raise errors.wrong_usage(found.arn, found.key.spec.usage, call.operation)
        return found

    async def permitted(
        self,
        call: RequestContext,
        found: ResolvedKey,
        request: Json,
        action: str = "",
        encryption: Json | None = None,
    ) -> ResolvedKey:
        """The key, if the caller may use it. The platform's own keys serve people only through a service; a service
        in its own name uses no others.
        """
        await self.authorizer.require(call, found, request, action, encryption)
        platform = self.resolver.is_platform(found)
        if platform and not call.caller.service and not call.caller.through:
            raise errors.platform(found.arn)
        if call.caller.service and not platform:
            text = f"{call.caller.service} uses keys of people only in the name of who asks it"
            raise AwsError("AccessDeniedException", text)
        return found

    async def key_of_ciphertext(
        self,
        call: RequestContext,
        blob: bytes,
        wanted: str | None,
        request: Json,
        action: str = "",
        encryption: Json | None = None,
    ) -> ResolvedKey:
        """The key that made `blob`, checked against the one the caller expects; for RSA the caller has to say."""
        if wanted is not None:
            named = await self.resolver.find(call, wanted)
            found = await self.permitted(call, named, request, action, encryption)
            if found.key.spec.usage != "ENCRYPT_DECRYPT":
                raise errors.incorrect_key()
            if found.is_symmetric and _uid_in(blob) != uid_of(found.key):
                raise errors.incorrect_key()
        else:
            key = await self.keyring.key_by_uid(_uid_in(blob), call.namespace, anywhere=True)
            if key is None or not self.resolver.is_reachable(call, key):
                raise errors.invalid_ciphertext()
            if not is_in(key, asked_region(call)):
                key = await self.resolver.sibling(key, call.region)
                if key is None:
                    raise errors.invalid_ciphertext()
            found = await self.permitted(call, self.resolver.resolved(call, key), request, action, encryption)
        self.require_enabled(found)
        return found

    def require_enabled(self, found: ResolvedKey) -> None:
        """Raises AwsError for a key that cannot be used now."""
        spec = found.key.spec
        if spec.deletion_date is not None or found.key.metadata.deletion_timestamp is not None:
            raise errors.pending_deletion(found.arn)
        if not spec.enabled:
            raise errors.disabled(found.arn)
        if spec.origin == "EXTERNAL" and not self.keyring.is_imported(found.key, self.clock.now()):
            raise errors.pending_import(found.arn)

    async def private_key(self, found: ResolvedKey) -> Any:
        """The private key of an asymmetric key. Raises AwsError."""
        try:
            return await self.keyring.private_key(found.key)
        except NotYetOurs as error:
            raise errors.root_key_on_its_way(error) from error
        except (Unsealable, BadMaterial) as error:
            raise errors.unavailable(error) from error

    async def change(self, call: RequestContext, found: ResolvedKey, spec: Json) -> Key:
        """Patch the key's spec in the caller's name."""
        return await self.patch(call, found, {"spec": spec})

    async def patch(self, call: RequestContext, found: ResolvedKey, change: Json) -> Key:
        """Patch the key in the caller's name."""
        name = found.key.metadata.name
        acting = await self.access.resources_for(call, name, found.namespace)
        return self.keyring.keys.put(await acting.patch(KEY, name, change, found.namespace))


def require_algorithm(found: ResolvedKey, algorithm: str) -> str:
    """The algorithm, if the key takes it. Raises AwsError."""
    spec = found.key.spec
    if algorithm not in algorithms_of(spec.key_spec, spec.usage):
        raise errors.wrong_algorithm(algorithm, spec.key_spec)
    return algorithm


def required_bytes(request: Json, name: str) -> bytes:
    """A member without which nothing can be done, though the model calls it optional. Raises AwsError."""
    if not request.get(name):
        raise errors.invalid(f"{name} is required.")
    return bytes(request[name])


def refuse_dry_run(request: Json) -> None:
    """Raises what AWS answers a rehearsal that would have succeeded."""
    if request.get("DryRun"):
        text = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", text)


def refuse_recipient(request: Json) -> None:
    """Raises AwsError for an answer that is wanted for a Nitro enclave."""
    if request.get("Recipient"):
        raise errors.unsupported("Recipient (attestation) is not supported")


def _uid_in(blob: bytes) -> str:
    try:
        return key_version_of(blob).uid
    except BadCiphertext:
        raise errors.invalid_ciphertext() from None
