"""Where backups lie: a folder of this service, or a bucket of storage-manager. Names are paths of ASCII signs.

What `put` has returned from is durable. Everything raises StoreError, whose text is for people.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import unescape

from anyio import to_thread

from crds.errors import ApiError
from services.sdk.clients.service_client import ServiceClient
from services.sdk.resources import write_private

_DEADLINE_SECONDS = 60.0
_KEY = re.compile(r"<Key>([^<]{1,2048})</Key>")
_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")


class StoreError(Exception):
    """The store did not do it. Trying again may help."""


class Missing(StoreError):
    """There is no object of that name."""


class MissingBucket(StoreError):
    """There is no bucket of that name, and nothing in it."""


class BackupStore(Protocol):
    """Objects by name."""

    async def put(self, name: str, content: bytes) -> None: ...

    async def get(self, name: str) -> bytes: ...

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Those that begin so, in order; with `after`, those behind that name alone."""
        ...

    async def delete(self, name: str) -> None:
        """Also where there is none."""
        ...


class FolderStore:
    """Files below a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, content: bytes) -> None:
        await self._done(lambda: write_private(self._folder / name, content))

    async def get(self, name: str) -> bytes:
        try:
            return await to_thread.run_sync((self._folder / name).read_bytes)
        except FileNotFoundError:
            raise Missing(f"{name} is missing") from None
        except OSError as error:
            raise StoreError(f"{name} cannot be read: {error.strerror}") from error

    async def names(self, prefix: str, after: str = "") -> list[str]:
        return await to_thread.run_sync(self._names, prefix, after)

    async def delete(self, name: str) -> None:
        await self._done(lambda: (self._folder / name).unlink(missing_ok=True))

    def _names(self, prefix: str, after: str) -> list[str]:
        folder = (self._folder / prefix) if prefix.endswith("/") else (self._folder / prefix).parent
        found = (each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
        names = (each.relative_to(self._folder).as_posix() for each in found)
        return sorted(each for each in names if each.startswith(prefix) and each > after)

    async def _done(self, work: object) -> None:
        try:
            await to_thread.run_sync(work)  # type: ignore[arg-type]
        except OSError as error:
            raise StoreError(f"the folder of backups cannot be written: {error.strerror}") from error


class BucketStore:
    """A Bucket of a namespace, asked in the service's own name. `page`: names asked for at once."""

    def __init__(self, client: ServiceClient, bucket: str, namespace: str, page: int = 1000) -> None:
        self._client, self._bucket, self._namespace, self._page = client, bucket, namespace, page

    async def put(self, name: str, content: bytes) -> None:
        await self._ask("PUT", f"/{self._bucket}/{name}", content=content)

    async def get(self, name: str) -> bytes:
        return await self._ask("GET", f"/{self._bucket}/{name}")

    async def delete(self, name: str) -> None:
        await self._ask("DELETE", f"/{self._bucket}/{name}")

    async def names(self, prefix: str, after: str = "") -> list[str]:
        found: list[str] = []
        while True:
            wanted = {"list-type": "2", "prefix": prefix, "max-keys": str(self._page)} | (
                {"start-after": after} if after else {}
            )
            said = (await self._ask("GET", f"/{self._bucket}", params=wanted)).decode()
            page = [unescape(each) for each in _KEY.findall(said)]
            found += page
            if not page or "<IsTruncated>true</IsTruncated>" not in said:
                return found
            after = page[-1]

    async def _ask(
        self, method: str, path: str, *, content: bytes | None = None, params: dict[str, str] | None = None
    ) -> bytes:
        try:
            answer = await self._client.request(
                method, path, namespace=self._namespace, content=content, params=params, deadline=_DEADLINE_SECONDS
            )
        except ApiError as away:
            raise StoreError(f"the bucket {self._bucket}: {away.message}") from away
        if answer.status_code < 300:
            return answer.content
        said = _CODE.search(answer.text[:4096])
        code = said.group(1) if said else str(answer.status_code)
        if code == "NoSuchKey":
            raise Missing(f"{path} is missing")
        if code == "NoSuchBucket":
            raise MissingBucket(f"there is no bucket {self._bucket} ({code})")
        raise StoreError(f"the bucket {self._bucket} refuses {method}: {code}")
