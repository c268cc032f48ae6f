"""Lookup of the Key that a caller means by KeyId: key id, key ARN, alias name, alias ARN, resource name.

`alias/aws/<service>` belongs to the platform: the managed service of that name gets its key at the first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from crds.errors import AlreadyExists
from crds.names import subdomain_fault
from services.key_manager import errors
from services.key_manager.grants import is_for, is_of
from services.key_manager.invariants import RESERVED
from services.key_manager.key_specs import SYMMETRIC
from services.key_manager.key_state import alias_arn, alias_resource_name, is_key_id, key_arn, key_id
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, KEY_ALIAS, Key, KeyAlias, KeyAliasSpec, KeySpec
from services.key_manager.regions import is_in, replica_name
from services.key_manager.requester import requester_of
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.resources import Resources


@dataclass(frozen=True, slots=True)
class ResolvedKey:
    """A key, and where it is: services may ask for keys of other namespaces than their own."""

    key: Key
    namespace: str
    arn: str

    @property
    def id(self) -> str:
        return key_id(self.key)

    @property
    def is_symmetric(self) -> bool:
        return self.key.spec.key_spec == SYMMETRIC


def asked_region(call: RequestContext) -> str:
    """The region a signature names; services ask in none, and get keys of all."""
    return "" if call.caller.service or call.caller.through else call.region


class Resolver:
    """`own`: the service's own resources, for the keys it makes for the platform."""

    def __init__(self, keyring: Keyring, own: Resources) -> None:
        self._keyring, self._own = keyring, own

    async def find(self, call: RequestContext, wanted: str) -> ResolvedKey:
        """Raises AwsError NotFoundException, InvalidArnException."""
        name, account, region = wanted, call.account, asked_region(call)
        if wanted.startswith("arn:"):
            arn = parse_arn(wanted)
            if arn is None or arn.service != "kms" or arn.partition != "aws" or arn.kind not in ("key", "alias"):
                raise AwsError("InvalidArnException", f"Invalid arn {wanted}")
            if region and arn.region != region:
                raise AwsError("NotFoundException", f"Invalid arn {arn.region}")
            account, name, region = arn.account, arn.resource, arn.region
        namespace = self._namespace(call, account)
        if namespace is None:
            raise errors.no_key(wanted)
        if name.startswith("alias/"):
            return self._require_reachable(call, await self._by_alias(call, name, namespace), wanted, region)
        id = name.removeprefix("key/") if wanted.startswith("arn:") else name
        key = None if subdomain_fault(id) else await self._keyring.key_by_id(id, namespace)
        if key is not None and not is_in(key, region):
            key = await self.sibling(key, region)
        if key is None:
            raise errors.no_key(key_arn(account, id, call.region)) if is_key_id(id) else errors.no_key_id(wanted)
        return self._require_reachable(call, self.resolved(call, key), wanted, region)

    async def sibling(self, key: Key, region: str) -> Key | None:
        """The key of the same multi-Region family in that region."""
        if not key.spec.multi_region:
            return None
        id, namespace = key_id(key), key.metadata.namespace or "default"
        for name in (id, replica_name(id, region)):
            found = await self._keyring.key(name, namespace)
            if found is not None and found.spec.region == region and key_id(found) == id:
                return found
        return None

    def is_reachable(self, call: RequestContext, key: Key) -> bool:
        """Return whether a caller sees that key at all: people their own account's, and what is granted to them."""
        if call.caller.service or (key.metadata.namespace or "default") == call.namespace:
            return True
        who = requester_of(call)
        return any(
            is_of(each, key) and is_for(each, who) for each in self._keyring.grants.all(key.metadata.namespace)
        )

    def _require_reachable(self, call: RequestContext, found: ResolvedKey, wanted: str, region: str) -> ResolvedKey:
        if not self.is_reachable(call, found.key) or not is_in(found.key, region):
            raise errors.no_alias(wanted) if "alias/" in wanted else errors.no_key(wanted)
        return found

    def resolved(self, call: RequestContext, key: Key) -> ResolvedKey:
        """Return `key` with its namespace and ARN."""
        namespace = key.metadata.namespace or "default"
        region = key.spec.region or call.region
        return ResolvedKey(key, namespace, key_arn(account_of(namespace), key_id(key), region))

    def is_platform(self, found: ResolvedKey) -> bool:
        """Return whether an `alias/aws/...` points to that key."""
        aliases = self._keyring.aliases.all(found.namespace)
        name = found.key.metadata.name
        return any(each.spec.key == name and each.spec.alias_name.startswith(RESERVED) for each in aliases)

    def _namespace(self, call: RequestContext, account: str) -> str | None:
        if account == call.account:
            return call.namespace
        if not call.caller.service:
            who = requester_of(call)
            given = (each.metadata.namespace or "default" for each in self._keyring.grants.all() if is_for(each, who))
            return next((each for each in given if account_of(each) == account), None)
        known = {each.metadata.namespace or "default" for each in self._keyring.keys.all()} | {"default"}
        return next((each for each in known if account_of(each) == account), None)

    async def _by_alias(self, call: RequestContext, name: str, namespace: str) -> ResolvedKey:
        alias = await self._keyring.alias(name, namespace)
        if alias is None and name.startswith(RESERVED) and call.caller.service:
            alias = await self._platform_alias(name, namespace)
        if alias is not None:
            key = await self._keyring.key(alias.spec.key, namespace)
            if key is None and name.startswith(RESERVED) and call.caller.service:
                key = await self._platform_key(alias, namespace)
            if key is not None:
                return self.resolved(call, key)
        raise errors.no_alias(alias_arn(account_of(namespace), name, call.region))

    async def _platform_alias(self, name: str, namespace: str) -> KeyAlias:
        """The alias comes first: whoever loses a race takes the winner's, and its key was never anybody else's."""
        spec = KeyAliasSpec(key=str(uuid4()), alias_name=name)
        resource = KEY_ALIAS.new(alias_resource_name(name), namespace=namespace, spec=spec)
        try:
            return self._keyring.aliases.put(await self._own.create(KEY_ALIAS, resource))
        except AlreadyExists:
            return self._keyring.aliases.put(await self._own.get(KEY_ALIAS, resource.metadata.name, namespace))

    async def _platform_key(self, alias: KeyAlias, namespace: str) -> Key:
        """The key behind `alias/aws/s3`, made by the first who needs it."""
        service = alias.spec.alias_name.removeprefix(RESERVED)
        spec = KeySpec(description=f"Default key of {service}", rotate_every=365)
        try:
            made = await self._own.create(KEY, KEY.new(alias.spec.key, namespace=namespace, spec=spec))
        except AlreadyExists:
            made = await self._own.get(KEY, alias.spec.key, namespace)
        return self._keyring.keys.put(made)
