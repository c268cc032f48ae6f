"""From what a caller writes as KeyId to the Key it means: key id, key ARN, alias name, alias ARN, resource name.

`alias/aws/<service>` belongs to the house: the managed service of that name gets its key at the first use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

from crds.errors import AlreadyExists
from crds.names import subdomain_fault
from services.key_manager import faults
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, KEY_ALIAS, Key, KeyAliasSpec, KeySpec
from services.key_manager.states import alias_arn, alias_resource_name, key_arn, key_id
from services.sdk.aws.errors import AwsError
from services.sdk.aws.router import Call, account_of
from services.sdk.resources import Resources

RESERVED = "alias/aws/"
_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]*):([0-9]{12}):((?:key|alias)/.+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A key, and where it is: services may ask for keys of other namespaces than their own."""

    key: Key
    namespace: str
    arn: str

    @property
    def id(self) -> str:
        return key_id(self.key)


class Resolver:
    """`own`: the service's own resources, for the keys it makes for the house."""

    def __init__(self, keyring: Keyring, own: Resources) -> None:
        self._keyring, self._own = keyring, own

    async def find(self, call: Call, wanted: str) -> Found:
        """Raises AwsError NotFoundException, InvalidArnException."""
        name, account = wanted, call.account
        if wanted.startswith("arn:"):
            parts = _ARN.fullmatch(wanted)
            if parts is None:
                raise AwsError("InvalidArnException", f"Invalid arn {wanted}")
            _, account, name = parts.groups()
        namespace = self._namespace(call, account)
        if namespace is None:
            raise faults.no_key(wanted)
        if name.startswith("alias/"):
            return await self._by_alias(call, name, namespace)
        id = name.removeprefix("key/") if wanted.startswith("arn:") else name
        key = None if subdomain_fault(id) else await self._keyring.key_by_id(id, namespace)
        if key is None:
            raise faults.no_key(key_arn(account, id, call.region))
        return self.found(call, key)

    def found(self, call: Call, key: Key) -> Found:
        """`key` with its ARN."""
        namespace = key.metadata.namespace or "default"
        return Found(key, namespace, key_arn(account_of(namespace), key_id(key), call.region))

    def _namespace(self, call: Call, account: str) -> str | None:
        if account == call.account:
            return call.namespace
        if not call.caller.service:
            return None  # people reach the keys of their own namespace only
        known = {each.metadata.namespace or "default" for each in self._keyring.keys.all()} | {"default"}
        return next((each for each in known if account_of(each) == account), None)

    async def _by_alias(self, call: Call, name: str, namespace: str) -> Found:
        alias = await self._keyring.alias(name, namespace)
        if alias is not None:
            key = await self._keyring.key(alias.spec.key, namespace)
            if key is not None:
                return self.found(call, key)
        elif name.startswith(RESERVED) and call.caller.service:
            return self.found(call, await self._house_key(name, namespace))
        raise faults.no_alias(alias_arn(account_of(namespace), name, call.region))

    async def _house_key(self, alias: str, namespace: str) -> Key:
        """The key behind `alias/aws/s3`, made once. Whoever loses a race takes the winner's and leaves no spare."""
        spec = KeySpec(description=f"Default key of {alias.removeprefix(RESERVED)}", rotate_every=365)
        key = await self._own.create(KEY, KEY.new(str(uuid4()), namespace=namespace, spec=spec))
        pointer = KeyAliasSpec(key=key.metadata.name, alias_name=alias)
        resource = KEY_ALIAS.new(alias_resource_name(alias), namespace=namespace, spec=pointer)
        try:
            self._keyring.aliases.put(await self._own.create(KEY_ALIAS, resource))
            return self._keyring.keys.put(key)
        except AlreadyExists:
            await self._own.delete(KEY, key.metadata.name, namespace, uid=key.metadata.uid)
            winner = await self._own.get(KEY_ALIAS, resource.metadata.name, namespace)
            self._keyring.aliases.put(winner)
            return self._keyring.keys.put(await self._own.get(KEY, winner.spec.key, namespace))
