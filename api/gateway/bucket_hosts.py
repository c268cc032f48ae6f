"""Buckets as host names: `first.cloud.lan` is the bucket `first` where `cloud.lan` is a name of this cloud.

The signature covers the Host header as it came and is verified before; only then the bucket moves to the front of the
path, which is all that the service knows. `first.s3-website.cloud.lan` is the website in that bucket: an origin of
its own, where nothing but what everybody may read is served.
Source: Amazon S3, "Virtual hosting of general purpose buckets", "Website endpoints".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from api.asgi import Scope
from services.sdk.aws.errors import AwsError

S3, WEBSITE = "s3", ".s3-website."
OwnNames = Callable[[], Sequence[str]]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def bucket_of(host: str, own_names: Sequence[str]) -> str:
    """The bucket a Host header names before the longest own name; empty when it is an own name, or none of ours.

    Raises AwsError when what stands there can be no bucket.
    """
    name = _without_port(host.lower()).removesuffix(".")
    if name in own_names:
        return ""
    before = [name.removesuffix(f".{own}") for own in own_names if name.endswith(f".{own}")]
    if not before:
        return ""
    bucket = min(before, key=len)
    if not _BUCKET.fullmatch(bucket):
        raise AwsError("InvalidBucketName", f"The host {name} names no bucket that could be.")
    return bucket


def website_of(scope: Scope, own_names: Sequence[str]) -> str:
    """The bucket whose website is asked: `photos.s3-website.cloud.lan`. Empty for what is none."""
    name = _without_port(host_of(scope).lower()).removesuffix(".")
    bucket, mark, own = name.rpartition(WEBSITE)
    return bucket if mark and own in own_names and _BUCKET.fullmatch(bucket) else ""


def is_buckets_host(scope: Scope, own_names: Sequence[str]) -> bool:
    """Whether the host is a bucket's or that of its website, or would be if such a bucket could be: an origin where
    people's pages run.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    try:
        return any(bucket_of(host.decode("latin-1"), own_names) for host in hosts)
    except AwsError:
        return True


def with_bucket(scope: Scope, target: bytes, own_names: Sequence[str]) -> bytes:
    """Path and query as they are asked of the service."""
    bucket = bucket_of(host_of(scope), own_names)
    if not bucket:
        return target
    path, mark, query = target.partition(b"?")
    return b"/" + bucket.encode() + (b"" if path == b"/" else path) + mark + query


def host_of(scope: Scope) -> str:
    """The Host header; empty where there is none, or more than one."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return hosts[0].decode("latin-1") if len(hosts) == 1 else ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
