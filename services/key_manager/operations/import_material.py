"""KMS operations about imported key material.

A key of origin EXTERNAL is usable while all material that was ever used with it is there. What it is
(`KeyMaterialId`) is remembered when it goes, so that only the same can come again. A symmetric key may get more; that
waits for a rotation by hand.

Source: AWS KMS API reference, GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any

from anyio import to_thread

from crds.model import rfc3339_micro
from services.key_manager import errors
from services.key_manager.import_tokens import ALGORITHMS, ExpiredToken, InvalidToken, new_parameters, unwrapped
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_state import material_id, uid_of
from services.key_manager.kinds import KEY, KeyMaterial
from services.key_manager.material import RSA_BITS, BadMaterial, require_material
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.root_key import RootKeyCipher
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
IMPORTED_AT = "aerekos.cloud/importedAt"
LONGEST_VALID = timedelta(days=365)
_LABEL = b"aerekos key material id\x00"
_IMPORT = (
    "KeyId",
    "ImportToken",
    "EncryptedKeyMaterial",
    "ValidTo",
    "ExpirationModel",
    "ImportType",
    "KeyMaterialDescription",
    "KeyMaterialId",
)


class ImportOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, cipher: RootKeyCipher, clock: Clock) -> None:
        self._keys, self._keyring, self._cipher, self._clock = keys, keys.keyring, cipher, clock

    @operation(
        "GetParametersForImport",
        permission=("patch", KEY),
        understands=("KeyId", "WrappingAlgorithm", "WrappingKeySpec"),
    )
    async def get_parameters_for_import(self, call: RequestContext, request: Json) -> Json:
        found = await self._external(call, request)
        algorithm, spec = request["WrappingAlgorithm"], request["WrappingKeySpec"]
        if algorithm not in ALGORITHMS or spec not in RSA_BITS:
            raise errors.unsupported(f"{algorithm} with {spec} is not supported; use one of {', '.join(ALGORITHMS)}")
        uid, now = uid_of(found.key), self._clock.now()
        made = await to_thread.run_sync(new_parameters, self._cipher, uid, algorithm, spec, now)
        return {
            "KeyId": found.arn,
            "ImportToken": made.token,
            "PublicKey": made.public_key,
            "ParametersValidTo": made.valid_to,
        }

    @operation("ImportKeyMaterial", permission=("patch", KEY), understands=_IMPORT)
    async def import_key_material(self, call: RequestContext, request: Json) -> Json:
        found = await self._external(call, request)
        valid_to = self._valid_to(request)
        material = await to_thread.run_sync(self._opened, found, request)
        id = _id_of(material)
        await self._store(found, material, id, valid_to, request)
        await self._touch(call, found)
        return {"KeyId": found.arn, "KeyMaterialId": id}

    @operation("DeleteImportedKeyMaterial", permission=("patch", KEY), understands=("KeyId", "KeyMaterialId"))
    async def delete_imported_key_material(self, call: RequestContext, request: Json) -> Json:
        found = await self._external(call, request)
        known = self._known(found)
        if not known:
            raise errors.pending_import(found.arn)
        current = self._keyring.newest(found.key) or known[-1]
        here = _named(known, request.get("KeyMaterialId") or material_id(current))
        if here is None:
            raise AwsError("NotFoundException", f"Key material {request['KeyMaterialId']} does not exist.")
        if not here.spec.removed:
            await self._keyring.remove_imported(here)
            await self._touch(call, found)
        return {"KeyId": found.arn, "KeyMaterialId": material_id(here)}

    async def _store(
        self, found: ResolvedKey, material: bytes, id: str, valid_to: datetime | None, request: Json
    ) -> None:
        """As new material, or as what was there before. Raises AwsError."""
        known, description = self._known(found), request.get("KeyMaterialDescription")
        fallback = "EXISTING_KEY_MATERIAL" if known else "NEW_KEY_MATERIAL"
        here = _named(known, id)
        if request.get("KeyMaterialId", id) != id:
            raise errors.incorrect_material()
        if request.get("ImportType", fallback) == "EXISTING_KEY_MATERIAL":
            if here is None:
                raise errors.incorrect_material()
            await self._keyring.import_again(here, material, valid_to, description)
            return
        self._require_room(found, known, here, id)
        version = known[-1].spec.version + 1 if known else 1
        await self._keyring.import_material(found.key, version, material, id, valid_to, description or "")

    def _require_room(self, found: ResolvedKey, known: list[KeyMaterial], here: KeyMaterial | None, id: str) -> None:
        """Raises AwsError where no other material may come."""
        if here is not None:
            raise errors.incorrect_material()
        if known and not found.is_symmetric:
            raise errors.unsupported(f"{found.arn} takes one key material alone: it does not rotate")
        if (pending := self._keyring.pending(found.key)) is not None:
            raise errors.wrong_state(
                f"New key material (id: {id}) cannot be imported into KMS key {found.arn}, because another key "
                f"material (id: {material_id(pending)}) is pending rotation."
            )

    def _opened(self, found: ResolvedKey, request: Json) -> bytes:
        """The material in the request, if it is some of the key's spec. Raises AwsError."""
        uid, wrapped = uid_of(found.key), request["EncryptedKeyMaterial"]
        try:
            material = unwrapped(self._cipher, uid, request["ImportToken"], wrapped, self._clock.now())
        except InvalidToken as error:
            raise AwsError("InvalidImportTokenException", str(error)) from error
        except ExpiredToken as error:
            raise AwsError("ExpiredImportTokenException", str(error)) from error
        except BadMaterial as error:
            raise AwsError("InvalidCiphertextException", str(error)) from error
        try:
            return require_material(found.key.spec.key_spec, material)
        except BadMaterial as error:
            raise AwsError("IncorrectKeyMaterialException", str(error)) from error

    def _valid_to(self, request: Json) -> datetime | None:
        model, until = request.get("ExpirationModel", "KEY_MATERIAL_EXPIRES"), request.get("ValidTo")
        if model == "KEY_MATERIAL_EXPIRES" and until is None:
            raise errors.invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        if model != "KEY_MATERIAL_EXPIRES" and until is not None:
            raise errors.invalid(
                "A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
            )
        now = self._clock.now()
        if until is not None and not now < until <= now + LONGEST_VALID:
            raise errors.invalid("validTo must be in the future, and at most 365 days ahead")
        return until

    async def _external(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._keys.require_changeable(call, request)
        if found.key.spec.origin != "EXTERNAL":
            raise errors.wrong_origin(found.arn, found.key.spec.origin)
        return found

    def _known(self, found: ResolvedKey) -> list[KeyMaterial]:
        """All material, that which is pending last."""
        pending = self._keyring.pending(found.key)
        return [*self._keyring.history(found.key), *([pending] if pending else [])]

    async def _touch(self, call: RequestContext, found: ResolvedKey) -> None:
        """The reconciler tells the key's state when it looks at it, which a change makes it do."""
        noted = {IMPORTED_AT: rfc3339_micro(self._clock.now())}
        await self._keys.patch(call, found, {"metadata": {"annotations": noted}})


def _named(known: list[KeyMaterial], id: str) -> KeyMaterial | None:
    return next((each for each in known if material_id(each) == id), None)


def _id_of(material: bytes) -> str:
    """The same for the same material, wherever it is imported; it tells nothing of material nobody can guess."""
    return hmac.digest(material, _LABEL, "sha256").hex()
