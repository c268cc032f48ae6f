"""IAM operations about the SSH public keys of users. Nobody logs in with them here: they are kept for who asks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
    load_ssh_public_key,
)

from crds.kinds.iam import IAM_USER, IamUser, SshPublicKey
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.identities import user_meant
from services.iam_manager.pages import PAGED, page
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import unique_id
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
MOST_KEYS = 5
FEWEST_BITS = 2048
_KEY = ("UserName", "SSHPublicKeyId")


class SshPublicKeyOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory, self._clock = directory, clock

    @operation("UploadSSHPublicKey", permission=("patch", IAM_USER), understands=("UserName", "SSHPublicKeyBody"))
    async def upload_ssh_public_key(self, call: RequestContext, request: Json) -> Json:
        name, body = request["UserName"], _body(request["SSHPublicKeyBody"])
        await self._directory.allow(call, name)
        user = await self._directory.user(call, name)
        id = unique_id("APKA", f"{user.metadata.uid} {body}")
        made = SshPublicKey(id=id, body=body, uploaded_at=self._clock.now().replace(microsecond=0))

        def change(user: IamUser) -> None:
            if any(each.body == body for each in user.spec.ssh_keys):
                raise AwsError("DuplicateSSHPublicKey", f"SSH public key {id} is this user's already.", 400)
            if len(user.spec.ssh_keys) >= MOST_KEYS:
                raise errors.limit(f"Cannot exceed quota for SSHPublicKeysPerUser: {MOST_KEYS}")
            user.spec.ssh_keys = [*user.spec.ssh_keys, made]

        changed = await self._directory.change_user(call, name, change)
        return {"SSHPublicKey": _shown(changed, made, "SSH")}

    @operation("GetSSHPublicKey", permission=("get", IAM_USER), understands=(*_KEY, "Encoding"))
    async def get_ssh_public_key(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["UserName"])
        user = await self._directory.user(call, request["UserName"])
        return {"SSHPublicKey": _shown(user, _one(user, request["SSHPublicKeyId"]), request["Encoding"])}

    @operation("ListSSHPublicKeys", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_ssh_public_keys(self, call: RequestContext, request: Json) -> Json:
        name = user_meant(call, request)
        await self._directory.allow(call, name)
        user = await self._directory.user(call, name)

        def shown(key: SshPublicKey) -> Json:
            return _metadata(user, key)

        return page(call, request, "SSHPublicKeys", user.spec.ssh_keys, lambda each: each.id, shown)

    @operation("UpdateSSHPublicKey", permission=("patch", IAM_USER), understands=(*_KEY, "Status"))
    async def update_ssh_public_key(self, call: RequestContext, request: Json) -> None:
        if request["Status"] not in ("Active", "Inactive"):
            raise errors.validation("A key is Active or Inactive; delete one that is to end.")

        def change(user: IamUser) -> None:
            _one(user, request["SSHPublicKeyId"]).active = request["Status"] == "Active"

        await self._change(call, request, change)

    @operation("DeleteSSHPublicKey", permission=("patch", IAM_USER), understands=_KEY)
    async def delete_ssh_public_key(self, call: RequestContext, request: Json) -> None:
        def change(user: IamUser) -> None:
            gone = _one(user, request["SSHPublicKeyId"])
            user.spec.ssh_keys = [each for each in user.spec.ssh_keys if each is not gone]

        await self._change(call, request, change)

    async def _change(self, call: RequestContext, request: Json, change: Callable[[IamUser], None]) -> None:
        await self._directory.change_user(call, request["UserName"], change)


def _body(given: str) -> str:
    """The key as OpenSSH writes it. Raises InvalidPublicKey, UnrecognizedPublicKeyEncoding."""
    text = given.strip()
    try:
        if text.startswith("-----BEGIN "):
            key = load_pem_public_key(text.encode())
        elif text.startswith("ssh-"):
            key = load_ssh_public_key(text.encode())
        else:
            raise AwsError("UnrecognizedPublicKeyEncoding", "A public key is ssh-rsa, or PEM.", 400)
    except (ValueError, UnsupportedAlgorithm):
        raise AwsError("InvalidPublicKey", "The public key cannot be read.", 400) from None
    if not isinstance(key, RSAPublicKey) or key.key_size < FEWEST_BITS:
        raise AwsError("InvalidPublicKey", f"A public key is RSA, of {FEWEST_BITS} bits at least.", 400)
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _one(user: IamUser, id: str) -> SshPublicKey:
    for each in user.spec.ssh_keys:
        if each.id == id:
            return each
    raise errors.no_entity(f"The Public Key with id {id} cannot be found.")


def _metadata(user: IamUser, key: SshPublicKey) -> Json:
    return {
        "UserName": user.spec.user_name,
        "SSHPublicKeyId": key.id,
        "Status": "Active" if key.active else "Inactive",
        "UploadDate": key.uploaded_at,
    }


def _shown(user: IamUser, key: SshPublicKey, encoding: str) -> Json:
    body = key.body
    if encoding == "PEM":
        loaded = load_ssh_public_key(body.encode())
        body = loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {**_metadata(user, key), "SSHPublicKeyBody": body, "Fingerprint": _fingerprint(key.body)}


def _fingerprint(body: str) -> str:
    """MD5 of the key, as AWS and older programs show it."""
    return hashlib.md5(base64.b64decode(body.split()[1]), usedforsecurity=False).digest().hex(":")
