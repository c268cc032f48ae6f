"""A token in the header of a service's own clients counts as Authorization does, and the service does not see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from unit.api.components import ADMIN, House, make_house

from api.gateway.token_headers import with_bearer
from crds.errors import Unauthorized
from services.secrets_manager.manifest import MANIFEST

pytestmark = pytest.mark.anyio
VAULT = b"x-vault-token"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


def taken(house: House, path: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    scope = {"path": path.decode(), "raw_path": path, "query_string": b"", "headers": [*headers]}
    house.gateway.take_token(scope)
    return scope


async def test_the_token_becomes_the_authorization(house: House) -> None:
    token = house.bearer(ADMIN)["authorization"].removeprefix("Bearer ").encode()
    headers = with_bearer([(VAULT, token), (b"accept", b"*/*")], VAULT)
    assert headers == [(b"accept", b"*/*"), (b"authorization", b"Bearer " + token)]
    assert house.authenticator.authenticate({"path": "/services/x", "headers": headers}).name == ADMIN.name
    with pytest.raises(Unauthorized):
        house.authenticator.authenticate({"path": "/services/x", "headers": with_bearer([(VAULT, b"none")], VAULT)})


def test_beside_an_authorization_it_is_only_taken_away() -> None:
    own = (b"authorization", b"Bearer a")
    assert with_bearer([(VAULT, b"other"), own], VAULT) == [own]
    assert with_bearer([own, (VAULT, b"other"), (VAULT, b"third")], VAULT) == [own]
    assert with_bearer([(VAULT, b"first"), (VAULT, b"second")], VAULT) == [(b"authorization", b"Bearer first")]


def test_secrets_manager_says_which_header_its_clients_send() -> None:
    assert MANIFEST.token_header.encode() == VAULT


@pytest.mark.parametrize("path", [b"/services/vault/v1/x", b"/services/key-manager/x", b"/services/"])
async def test_what_others_are_sent_stays(house: House, path: bytes) -> None:
    """People may run a Vault of their own."""
    assert taken(house, path, (b"x-vault-token", b"t"))["headers"] == [(b"x-vault-token", b"t")]
