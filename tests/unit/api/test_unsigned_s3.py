"""Which requests without a signature are taken for S3's: never one for a path of the cloud's own."""

from __future__ import annotations

from typing import Any

import pytest
from unit.api.test_every_rest_route import MAY

from api.app import _OWN, LOGS
from api.gateway.gateway import PREFIX
from api.gateway.unsigned_s3 import is_preflight, is_unsigned_s3, source_ip
from api.local_reads import RESOURCE_PATHS
from api.registry_proxy import PREFIX as IMAGES

NAMES = ("cloud.lan", "127.0.0.1")
OWN_PATHS = [*(each.split()[1] for each in MAY), *sorted(_OWN), *RESOURCE_PATHS, LOGS, PREFIX, IMAGES]
OWN_PATHS += ["/", "/ui/", "/ui/services", "/assets/x.js", "/catalog", "/api", "/apis", "/favicon.svg", "/internal/x"]


def taken(path: str, method: str = "GET", host: str = "127.0.0.1:7443", **headers: str) -> bool:
    raw = [(b"host", host.encode()), *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items())]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    return is_unsigned_s3(scope, NAMES)


@pytest.mark.parametrize("path", OWN_PATHS)
def test_a_path_of_our_own_is_never_a_bucket(path: str) -> None:
    assert not any(taken(path, method) for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"))


def test_a_bucket_is_named_by_the_path_or_by_the_host() -> None:
    assert taken("/photos") and taken("/photos/a/b.txt", "HEAD") and taken("/photos", "POST")
    assert taken("/", host="photos.cloud.lan") and taken("/api/x", host="photos.cloud.lan:7443")
    assert (
        not taken("/", host="cloud.lan")
        and not taken("/UPPER/x")
        and not taken("/a/x")
        and not taken("/photos", "PATCH")
    )


def test_who_shows_another_proof_is_somebody_elses_matter() -> None:
    assert not taken("/photos/a", authorization="Bearer x")
    assert not taken("/photos/a", x_aerekos_on_behalf_of="x")
    assert not taken("/photos/a", impersonate_user="admin")


def test_a_preflight_of_a_signed_link_is_asked_by_nobody() -> None:
    def asked(method: str, *headers: bytes) -> bool:
        return is_preflight({"method": method, "headers": [(each, b"x") for each in headers]})

    assert asked("OPTIONS", b"origin") and not asked("GET", b"origin")
    assert not asked("OPTIONS", b"authorization")


def test_where_a_request_comes_from_is_what_the_gateway_saw() -> None:
    assert source_ip({"client": ("192.0.2.1", 5)}) == (b"x-aerekos-source-ip", b"192.0.2.1")
    assert source_ip({"client": ("fe80::1%eth0", 5)}) == (b"x-aerekos-source-ip", b"fe80::1")
