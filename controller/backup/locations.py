"""Where backups lie: a folder, or a bucket of any S3. Names have `/` in them; a file is whole or not there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from controller.backup.errors import Refused, Unreachable
from controller.kit.files import write_new, write_private

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 5


class Location(Protocol):
    """`name` is what people call it. Blocking; raises Unreachable."""

    name: str

    def read(self, name: str) -> bytes | None:
        """None where there is no such file."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Durable when it returns."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """As `write`; False where there is such a file already, which is left as it is."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """All names that begin so, in order."""
        ...

    def written_at(self, name: str) -> datetime | None:
        """When it was written last, by the clock of whoever keeps it; None where there is no such file."""
        ...

    def remove(self, name: str) -> None:
        """Absent is fine."""
        ...


def open_location(text: str) -> Location:
    """The place that somebody names: a folder, or `s3://bucket/prefix`, which is reached as AWS's own tools reach it
    (AWS_ENDPOINT_URL, AWS_PROFILE and the like). Raises Refused.
    """
    if text.startswith("s3://"):
        found = _S3.fullmatch(text)
        if found is None:
            raise Refused(f"{text} names no bucket; give s3://bucket or s3://bucket/prefix")
        return Bucket(found[1], (found[2] or "").strip("/"))
    if "://" in text:
        raise Refused(f"{text}: only folders and s3://bucket/prefix are known")
    return Folder(Path(text).expanduser().absolute())


class Folder:
    """Files of mode 0600 in one folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, str(root)

    def read(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            return path.read_bytes() if path.is_file() else None  # whoever reads a named pipe waits for ever
        except FileNotFoundError:
            return None
        except OSError as why:
            raise self._unreachable("read", why) from why

    def write(self, name: str, content: bytes) -> None:
        try:
            write_private(self._path(name), content)
        except OSError as why:
            raise self._unreachable("write", why) from why

    def create(self, name: str, content: bytes) -> bool:
        try:
            return write_new(self._path(name), content)
        except OSError as why:
            raise self._unreachable("write", why) from why

    def names(self, prefix: str) -> Iterator[str]:
        try:
            yield from sorted(self._below(self._path(prefix)))
        except OSError as why:
            raise self._unreachable("list", why) from why

    def written_at(self, name: str) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._path(name).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        except OSError as why:
            raise self._unreachable("read", why) from why

    def remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as why:
            raise self._unreachable("remove from", why) from why

    def is_strange(self) -> bool:
        """Whether it holds something else than backups. A folder that is not there is not strange."""
        try:
            there = {each.name for each in self.root.iterdir()}
        except FileNotFoundError:
            return False
        except OSError as why:
            raise self._unreachable("list", why) from why
        half = {each for each in there if each.startswith(".keys.json.")}  # of a first backup that was killed
        return bool(there - half - {"keys.json", "manifests", "chunks", "unused.json", "lost+found"})

    def _below(self, folder: Path) -> Iterator[str]:
        for here, _, files in os.walk(folder):
            # Names with a dot in front are files that a dead writer left half.
            yield from (str((Path(here) / each).relative_to(self.root)) for each in files if not each.startswith("."))

    def _path(self, name: str) -> Path:
        if ".." in name.split("/") or name.startswith("/"):
            raise Refused(f"{name} is no name in {self.name}")
        return self.root / name

    def _unreachable(self, doing: str, why: OSError) -> Unreachable:
        return Unreachable(f"cannot {doing} {self.name}: {why.strerror or why}")


class Bucket:
    """Objects below one prefix. Any S3: aerekos of another cloud, AWS, MinIO, Ceph."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix, self.name = bucket, f"{prefix}/" if prefix else "", f"s3://{bucket}/{prefix}"
        self._client = _client()

    def read(self, name: str) -> bytes | None:
        from botocore.exceptions import BotoCoreError

        for left in reversed(range(ATTEMPTS)):
            found = self._ask("get_object", Key=self._prefix + name)
            try:
                return None if found is None else bytes(found["Body"].read())
            except (BotoCoreError, OSError) as broke:  # botocore repeats a request, not the reading of its answer
                if not left:
                    raise Unreachable(f"{self.name} broke off {name}: {broke}") from broke
        raise AssertionError("unreachable")

    def write(self, name: str, content: bytes) -> None:
        if self._ask("put_object", Key=self._prefix + name, Body=content) is None:
            raise Unreachable(f"cannot write {self.name}: there is no such bucket")

    def create(self, name: str, content: bytes) -> bool:
        if self._ask("head_object", Key=self._prefix + name) is not None:
            return False
        try:
            found = self._ask("put_object", Key=self._prefix + name, Body=content, IfNoneMatch="*")
        except FileExistsError:
            return False
        except NotImplementedError:
            found = self._ask("put_object", Key=self._prefix + name, Body=content)
        if found is None:
            raise Unreachable(f"cannot write {self.name}: there is no such bucket")
        return True

    def names(self, prefix: str) -> Iterator[str]:
        more: dict[str, Any] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=self._prefix + prefix, **more)
            if page is None:
                raise Unreachable(f"cannot list {self.name}: there is no such bucket")
            yield from (each["Key"].removeprefix(self._prefix) for each in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def written_at(self, name: str) -> datetime | None:
        found = self._ask("head_object", Key=self._prefix + name)
        return None if found is None else found["LastModified"]

    def remove(self, name: str) -> None:
        self._ask("delete_object", Key=self._prefix + name)

    def _ask(self, operation: str, **members: Any) -> Any:
        """None for what is not there. Raises FileExistsError for what must not be, and is; NotImplementedError where
        that cannot be asked.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **members)
        except ClientError as refused:
            code = refused.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket", "404"):
                return None
            if code in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise FileExistsError(self.name) from refused
            if code == "NotImplemented" and "IfNoneMatch" in members:
                raise NotImplementedError(self.name) from refused
            raise Unreachable(f"{self.name} refuses {operation}: {refused.response['Error']}") from refused
        except (BotoCoreError, OSError) as why:
            raise Unreachable(f"{self.name} does not answer: {why}") from why


def _client() -> Any:
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return botocore.session.get_session().create_client("s3", config=config)
