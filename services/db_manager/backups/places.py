"""Where the backups of a Database lie, and the key they are sealed with: the Secret `database-backups` of its
namespace, made when it is first needed. Whoever loses that key loses the backups.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from contextlib import suppress

from crds.errors import AlreadyExists, NotFound
from crds.kinds.secret import SECRET, Secret
from services.db_manager.backups.base_backups import Archive, SealedArchive
from services.db_manager.backups.sealing import KEY_BYTES, Sealer
from services.db_manager.backups.stores import BackupStore, BucketStore, FolderStore
from services.db_manager.conditions import DatabaseReason
from services.sdk.context import ServiceContext
from services.sdk.reconcile import Temporary

KEY_SECRET = "database-backups"  # noqa: S105 - its name
FOLDER = "backups"
"""Of our data folder, where a Database has no bucket."""
_KEY = "key"
_STORAGE = "storage-manager"
_LOOK_AGAIN_SECONDS = 60.0


_UID = r"[0-9a-f-]{36}"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PATH = re.compile(rf"databases/([a-z0-9.-]+)/{_UID}")


def archive_folder(namespace: str, uid: str) -> str:
    """Of one Database, in its bucket or in our own folder."""
    return f"databases/{namespace}/{uid}"


class BackupPlaces:
    """One per process."""

    def __init__(self, context: ServiceContext) -> None:
        self._context, self._own = context, context.resources
        self._folder = FolderStore(context.data / FOLDER)

    async def archive(self, namespace: str, bucket: str, folder: str) -> Archive:
        """`bucket`: empty for our own folder. Raises Temporary as `sealed` does, and while its key cannot be had."""
        store = self.sealed(namespace, bucket, folder).store
        return Archive(store, folder, await self._sealer(namespace))

    def sealed(self, namespace: str, bucket: str, folder: str) -> SealedArchive:
        """The same without its key, which may be lost, or gone before it with the namespace. Raises Temporary for a
        folder of another namespace: statuses say where something lies, and a mistake in one opens nobody else's.
        """
        named = _PATH.fullmatch(folder)
        if named is None or named.group(1) != namespace or (bucket and not _BUCKET.fullmatch(bucket)):
            raise Temporary(
                f"{bucket or 'the folder'} has no archive {folder} of the namespace {namespace}",
                after=_LOOK_AGAIN_SECONDS,
            )
        return SealedArchive(self._store(namespace, bucket), folder)

    def _store(self, namespace: str, bucket: str) -> BackupStore:
        if not bucket:
            return self._folder
        return BucketStore(self._context.service_client(_STORAGE), bucket, namespace)

    async def _sealer(self, namespace: str) -> Sealer:
        with suppress(NotFound):
            return Sealer(_key_in(await self._own.get(SECRET, KEY_SECRET, namespace)))
        text = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        made = SECRET.new(KEY_SECRET, namespace=namespace, string_data={_KEY: text})
        try:
            return Sealer(_key_in(await self._own.create(SECRET, made)))
        except AlreadyExists as error:
            raise Temporary("the Secret with the key of backups was made meanwhile", after=0.2) from error


def _key_in(secret: Secret) -> bytes:
    """Raises Temporary."""
    text = base64.b64decode((secret.data or {}).get(_KEY, ""))
    with suppress(binascii.Error, ValueError):
        key = base64.b64decode(text, validate=True)
        if len(key) == KEY_BYTES:
            return key
    fault = f"the Secret {KEY_SECRET} must have 32 bytes as base64 in its {_KEY}: put the key back"
    raise Temporary(fault, reason=DatabaseReason.KEY_INVALID, after=15.0)
