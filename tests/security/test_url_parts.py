"""A name never becomes a path: not when we build a URL, not when we take one apart.

`../../../namespaces/x/keys/y` as a KeyId once reached the key of another account.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import ADMIN, House, make_house

from api.kube.request import find_target
from cli.resources.kinds import Served
from controller.client.remote import RemoteResources, path_of
from controller.main.errors import Misuse
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import ApiError, Invalid
from crds.kinds.service import SERVICE
from crds.names import path_segment_fault, url_path
from services.sdk.testing import ServiceHarness as Running
from services.sdk.testing import serving

EVIL = (
    "../../../namespaces/x/keys/y", "..", ".", "a/b", "a/../b", "%2e%2e", "a%2fb", "a\x00b", "a\nb", "/", "",
)  # fmt: skip
CATALOG = Catalog(CORE_KINDS)


@pytest.mark.parametrize("name", EVIL)
def test_what_is_no_name_makes_no_url(name: str) -> None:
    with pytest.raises(Invalid):
        url_path("apis", name)


@given(st.text(min_size=1, max_size=80))
def test_a_segment_stays_one_and_comes_back_as_it_was(name: str) -> None:
    try:
        path = url_path("a", name, "b")
    except Invalid:
        assert path_segment_fault(name) is not None
        return
    before, segment, after = path.split("/")
    assert (before, unquote(segment), after) == ("a", name, "b")
    assert str(httpx.URL(f"https://x/{path}").raw_path, "ascii") == f"/{path}"  # no client resolves it away


@pytest.mark.parametrize("name", [each for each in EVIL if each])
@pytest.mark.anyio
async def test_no_request_leaves_for_such_a_name(name: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    async with httpx.AsyncClient(base_url="https://x", transport=httpx.MockTransport(never)) as client:
        resources = RemoteResources(client)
        with pytest.raises(Invalid):
            await resources.get(SERVICE, name, "default")
        with pytest.raises(Invalid):
            await resources.get(SERVICE, "web", name)


@pytest.mark.parametrize("name", [each for each in EVIL if each])
def test_the_command_line_refuses_it_too(name: str) -> None:
    kind = Served("aerekos.cloud", "v1", "services", "service", "Service", True)
    with pytest.raises(Misuse):
        kind.path("default", name)


@pytest.mark.parametrize(
    "path",
    [
        "/apis/aerekos.cloud/v1/namespaces/default%2f..%2fother/services/web",
        "/apis/aerekos.cloud/v1/namespaces/default/services/..%2fweb",
        "/apis/aerekos.cloud/v1/namespaces/default/services/web%2fstatus",
        "/apis/aerekos.cloud/v1/namespaces/default/services/../services/web",
        "/apis/aerekos.cloud/v1/namespaces/default/services/%2e%2e/keys",
        "/apis/aerekos.cloud/v1/namespaces/./services/web",
        "/apis/aerekos.cloud/v1/namespaces/default/services/web%00",
        "/apis/aerekos.cloud/v1/namespaces/default/services/a%252fb",
        "/api/v1/namespaces/default/secrets/%25252e",
    ],
)
def test_the_api_refuses_encoded_slashes_and_dots(path: str) -> None:
    with pytest.raises(ApiError) as refused:
        find_target(path, CATALOG)
    assert refused.value.code in (400, 404)


@given(st.text(alphabet="abc.%2/-fFeE\x00é", max_size=60))
def test_whatever_is_asked_no_part_of_a_target_holds_a_slash(tail: str) -> None:
    try:
        target = find_target(f"/apis/aerekos.cloud/v1/namespaces/default/services/{tail}", CATALOG)
    except ApiError:
        return
    assert all(part in ("", None) or path_segment_fault(part) is None for part in target[1:])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


@pytest.mark.anyio
async def test_the_door_refuses_them_over_http(house: House) -> None:
    """As a server tells them: `path` decoded, `raw_path` as it came."""
    raw = b"/apis/aerekos.cloud/v1/namespaces/default/services/..%252f..%252fx"
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    token = house.bearer(ADMIN)["authorization"].encode()
    scope = {"type": "http", "method": "GET", "path": unquote(raw.decode()), "raw_path": raw, "query_string": b"",
             "headers": [(b"authorization", token)], "client": ("127.0.0.1", 1)}  # fmt: skip
    await house.door(scope, receive, send)
    assert told[0]["status"] == 400


@pytest.fixture(scope="module")
def kms() -> Iterator[Running]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as running:
        yield running


@pytest.mark.parametrize("name", ["../../../namespaces/x/keys/y", "key/../x", "..", "%2e%2e", "A" * 300])
def test_a_key_id_is_no_path(kms: Running, name: str) -> None:
    client = kms.boto3_client("kms")
    for operation in (client.describe_key, client.disable_key, client.schedule_key_deletion):
        with pytest.raises(ClientError) as refused:
            operation(KeyId=name)
        assert refused.value.response["Error"]["Code"] == "NotFoundException"


def test_names_of_roles_may_hold_colons() -> None:
    assert path_of(SERVICE, "default", "a:b") == "apis/aerekos.cloud/v1/namespaces/default/services/a%3Ab"
