"""KMS operations about grants. A grant is a KeyGrant resource; its id is the resource's name.

Source: AWS KMS API reference, CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from crds.meta import OwnerReference
from services.key_manager import errors
from services.key_manager.grants import entry_of, is_for, is_of, token_of, wrong_operations
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.kinds import KEY, KEY_GRANT, KeyGrant, KeyGrantSpec
from services.key_manager.operations.key_access import KeyAccess, refuse_dry_run
from services.key_manager.pages import Pages
from services.key_manager.requester import requester_of
from services.key_manager.root_key import RootKeyCipher
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.policy import Requester

Json = dict[str, Any]
_CREATE = (
    "KeyId",
    "GranteePrincipal",
    "RetiringPrincipal",
    "Operations",
    "Constraints",
    "GrantTokens",
    "Name",
    "DryRun",
)


class GrantOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, cipher: RootKeyCipher, pages: Pages) -> None:
        self._keys, self._keyring, self._cipher, self._pages = keys, keys.keyring, cipher, pages

    @operation("CreateGrant", permission=("create", KEY_GRANT), understands=_CREATE)
    async def create_grant(self, call: RequestContext, request: Json) -> Json:
        found = await self._found(call, request)
        self._keys.require_unscheduled(found)
        spec = _wanted_spec(found, request)
        refuse_dry_run(request)
        grant = self._same(found, spec) or await self._created(call, found, spec)
        return {"GrantId": grant.metadata.name, "GrantToken": token_of(self._cipher, grant)}

    @operation(
        "ListGrants",
        permission=("list", KEY_GRANT),
        understands=("KeyId", "GrantId", "GranteePrincipal", "Limit", "Marker"),
    )
    async def list_grants(self, call: RequestContext, request: Json) -> Json:
        found = await self._found(call, request)
        chosen = [each for each in self._keyring.grants.all(found.namespace) if is_of(each, found.key)]
        if wanted := request.get("GrantId"):
            chosen = [each for each in chosen if each.metadata.name == wanted]
        if grantee := request.get("GranteePrincipal"):
            chosen = [each for each in chosen if each.spec.grantee == grantee]
        rows = [entry_of(each, found.arn, account_of(found.namespace)) for each in chosen]
        return self._listed(call, rows, request)

    @operation(
        "ListRetirableGrants",
        permission=("list", KEY_GRANT),
        understands=("RetiringPrincipal", "Limit", "Marker"),
    )
    async def list_retirable_grants(self, call: RequestContext, request: Json) -> Json:
        await self._keys.access.require(call)
        if not (principal := request.get("RetiringPrincipal")):
            raise errors.invalid("RetiringPrincipal is required.")
        rows = []
        for each in self._keyring.grants.all(call.namespace):
            key = self._keyring.keys.get(each.spec.key, call.namespace)
            if each.spec.retiring == principal and key is not None:
                rows.append(entry_of(each, self._keys.resolver.resolved(call, key).arn, call.account))
        return self._listed(call, rows, request)

    @operation("RevokeGrant", permission=("delete", KEY_GRANT), understands=("KeyId", "GrantId", "DryRun"))
    async def revoke_grant(self, call: RequestContext, request: Json) -> Json:
        found = await self._found(call, request, request["GrantId"])
        grant = await self._grant(found, request["GrantId"])
        refuse_dry_run(request)
        acting = await self._keys.access.resources_for(call, grant.metadata.name, found.namespace)
        await acting.delete(KEY_GRANT, grant.metadata.name, found.namespace, uid=grant.metadata.uid)
        self._keyring.grants.drop(grant)
        return {}

    @operation(
        "RetireGrant", permission=("delete", KEY_GRANT), understands=("GrantToken", "KeyId", "GrantId", "DryRun")
    )
    async def retire_grant(self, call: RequestContext, request: Json) -> Json:
        """By whom the grant names for it, by its grantee where that is among its operations, and by role; but not
        against the Deny of a policy.
        """
        namespace, name, key = await self._retired(call, request)
        grant, who = await self._keyring.grants.read(name, namespace), requester_of(call)
        found = key or await self._key_of(call, grant)
        self._keys.access.judge(call._replace(resource=found.arn if found else ""))
        by_role = await self._keys.access.allows(call, name, namespace)
        if not by_role and (grant is None or not _may_retire(grant, who)):
            raise AwsError("AccessDeniedException", f"{who} may not retire the grant {name}")
        if grant is None or (key is not None and not is_of(grant, key.key)):
            raise errors.no_grant(name)
        refuse_dry_run(request)
        await self._keyring.delete_grant(grant)
        return {}

    async def _found(self, call: RequestContext, request: Json, grant: str = "") -> ResolvedKey:
        """The key, by a caller whom its policy lets do this, and a role on grants."""
        found = await self._keys.resolver.find(call, request["KeyId"])
        await self._keys.authorizer.require(call, found, request, resource=grant)
        if self._keys.resolver.is_platform(found):
            raise errors.platform(found.arn)
        return found

    async def _retired(self, call: RequestContext, request: Json) -> tuple[str, str, ResolvedKey | None]:
        """Namespace and name of the grant that is meant, and its key where that was said."""
        if token := request.get("GrantToken"):
            return (*self._keys.authorizer.grant_named(token), None)
        if not request.get("KeyId") or not request.get("GrantId"):
            raise errors.invalid("Either a grant token, or a key id and a grant id, is required.")
        found = await self._keys.resolver.find(call, request["KeyId"])
        return found.namespace, request["GrantId"], found

    async def _key_of(self, call: RequestContext, grant: KeyGrant | None) -> ResolvedKey | None:
        key = grant and await self._keyring.key(grant.spec.key, grant.metadata.namespace or "default")
        return self._keys.resolver.resolved(call, key) if key else None

    async def _grant(self, found: ResolvedKey, id: str) -> KeyGrant:
        grant = await self._keyring.grants.read(id, found.namespace)
        if grant is None or not is_of(grant, found.key):
            raise errors.no_grant(id)
        return grant

    def _same(self, found: ResolvedKey, spec: KeyGrantSpec) -> KeyGrant | None:
        """The grant of that name that says the same: asking twice makes one."""
        if not spec.name:
            return None
        return next((each for each in self._keyring.grants.all(found.namespace) if each.spec == spec), None)

    async def _created(self, call: RequestContext, found: ResolvedKey, spec: KeyGrantSpec) -> KeyGrant:
        acting = await self._keys.access.resources_for(call, "", found.namespace)
        wanted = KEY_GRANT.new(secrets.token_hex(32), namespace=found.namespace, spec=spec)
        meta = found.key.metadata
        owner = OwnerReference(api_version=KEY.api_version, kind=KEY.name, name=meta.name, uid=meta.uid or "")
        wanted.metadata.owner_references = [owner]
        return self._keyring.grants.put(await acting.create(KEY_GRANT, wanted))

    def _listed(self, call: RequestContext, rows: list[Json], request: Json) -> Json:
        answer = self._pages.page(call, rows, "GrantId", request, 50)
        return {"Grants": answer.pop("items"), **answer}


def _may_retire(grant: KeyGrant, who: Requester) -> bool:
    itself = is_for(grant, who) and "RetireGrant" in grant.spec.operations
    return itself or grant.spec.retiring == who.arn


def _wanted_spec(found: ResolvedKey, request: Json) -> KeyGrantSpec:
    """The grant that is asked for. Raises AwsError."""
    constraints, operations = request.get("Constraints") or {}, request["Operations"]
    if wrong := wrong_operations(found.key, operations):
        raise errors.invalid(f"Grant operations [{', '.join(wrong)}] are not valid for {found.arn}.")
    if constraints and not found.is_symmetric:
        raise errors.invalid("Grant constraints are only for symmetric encryption keys.")
    if "GranteePrincipal" not in request:  # the model has one of services in its place
        raise AwsError("ValidationException", "GranteePrincipal is missing: users, roles and sessions get grants")
    retiring = request.get("RetiringPrincipal", "")
    return KeyGrantSpec(
        key=found.key.metadata.name,
        grantee=_principal(request["GranteePrincipal"]),
        retiring=_principal(retiring) if retiring else "",
        operations=sorted(set(operations)),
        name=request.get("Name", ""),
        encryption_context_equals=constraints.get("EncryptionContextEquals"),
        encryption_context_subset=constraints.get("EncryptionContextSubset"),
    )


def _principal(arn: str) -> str:
    if not re.fullmatch(r"arn:aws:(iam|sts)::[0-9]{12}:(user|role|assumed-role|federated-user)/[^\s]+", arn):
        raise AwsError("InvalidArnException", f"{arn[:200]} is not the ARN of a user, role or session")
    return arn
