"""Keys that sign tokens take turns while the cloud runs: nothing breaks, and old ones do not stay for ever."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from unit.api.components import ADMIN, House, make_house

from api.auth.principal import AUTHENTICATED, Principal
from api.auth.tokens import ROTATE_EVERY, TokenKeys
from api.gateway.server_tls import ServerTls
from api.tls import LEAF_DAYS, RENEW_DAYS, CertificateAuthority
from controller.main.certificates import renew
from crds.errors import Unauthorized
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password=PASSWORD)
    yield made
    await made.close()


def kids(house: House) -> set[str]:
    return {str(key["kid"]) for key in house.tokens.keys.jwks()["keys"]}


async def test_a_new_key_signs_and_the_old_one_goes_with_its_last_token(house: House) -> None:
    pair = await house.accounts.log_in("ann", PASSWORD)
    first = house.tokens.keys.newest
    async with house.client(house.bearer(ADMIN)) as client:
        made = (await client.post("/auth/keys/rotate", json={})).json()
    assert house.tokens.keys.newest == made["kid"] != first and kids(house) == {first, made["kid"]}
    assert house.authenticator.by_token(pair.access_token).name == "ann", "what was signed before goes on"
    again = await house.accounts.refresh(pair.refresh_token)
    for _ in range(14):
        house.clock.forward(3600)
        house.tokens.keys.look_after(house.clock.now())
    assert kids(house) == {made["kid"]}, "the last token it signed has ended"
    with pytest.raises(Unauthorized):
        house.authenticator.by_token(pair.access_token)
    assert again.refresh_token


async def test_a_key_stays_as_long_as_a_robot_s_token_of_a_year(house: House, tmp_path: Path) -> None:
    first = house.tokens.keys.newest
    await house.robot()
    who = Principal("system:serviceaccount:default:robot", frozenset({AUTHENTICATED}))
    house.tokens.issue(who, seconds=300 * 86400, uid="x")
    house.tokens.keys.rotate()
    house.clock.forward(299 * 86400)
    restarted = TokenKeys(tmp_path / "jwt")
    restarted.look_after(house.clock.now() - timedelta(days=299) + timedelta(days=299))
    assert first in {str(key["kid"]) for key in restarted.jwks()["keys"]}
    restarted.look_after(house.clock.now() + timedelta(days=2))
    assert first not in {str(key["kid"]) for key in restarted.jwks()["keys"]}


async def test_it_happens_by_itself(house: House) -> None:
    first = house.tokens.keys.newest
    house.tokens.keys.look_after(house.clock.now() + ROTATE_EVERY - timedelta(hours=1))
    assert house.tokens.keys.newest == first
    house.tokens.keys.look_after(house.clock.now() + ROTATE_EVERY + timedelta(hours=1))
    assert house.tokens.keys.newest != first


async def test_a_key_that_leaked_is_worth_nothing_at_once(house: House) -> None:
    pair = await house.accounts.log_in("ann", PASSWORD)
    assert house.authenticator.by_token(pair.access_token).name == "ann"  # remembered, too
    async with house.client(house.bearer(ADMIN)) as client:
        assert (await client.post("/auth/keys/rotate", json={"revoke": True})).status_code == 200
    with pytest.raises(Unauthorized, match="does not know"):
        house.authenticator.by_token(pair.access_token)
    with pytest.raises(Unauthorized):
        await house.accounts.refresh(pair.refresh_token)


async def test_a_certificate_about_to_end_is_replaced_without_a_restart(house: House, tmp_path: Path) -> None:
    folder, names = tmp_path / "tls", ["localhost", "127.0.0.1"]
    began = datetime.now(UTC) - timedelta(days=LEAF_DAYS - RENEW_DAYS + 1)
    authority = CertificateAuthority(folder, now=began)
    authority.client("admin", "local-admin", ["system:masters"])
    authority.server(names)
    admin, tls = (folder / "admin.crt").read_bytes(), ServerTls(folder)
    server = HttpServer(house.door, await listen("127.0.0.1", 0, 8), tls.context, ConnectionLimits())
    server.start()
    port = server.sockets[0].getsockname()[1]
    first = await shown(port, authority.ca_file)
    assert not renew(folder, names, began + timedelta(days=LEAF_DAYS - RENEW_DAYS - 1))
    assert not tls.refresh() and await shown(port, authority.ca_file) == first
    assert renew(folder, names, began + timedelta(days=LEAF_DAYS - RENEW_DAYS + 1))
    assert tls.refresh() and await shown(port, authority.ca_file) != first
    assert (folder / "admin.crt").read_bytes() != admin
    await server.stop(AT_ONCE)


async def test_a_certificate_that_does_not_fit_its_key_is_not_shown(tmp_path: Path) -> None:
    """As between the two writes of a renewal; what was shown goes on, and the next look takes what fits."""
    folder, now = tmp_path / "tls", datetime.now(UTC)
    certificate, key = CertificateAuthority(folder, now=now).server(["one.lan"])
    tls, was = ServerTls(folder), key.read_bytes()
    other, _ = CertificateAuthority(tmp_path / "other", now=now).server(["two.lan"])
    key.write_bytes(other.with_name("server.key").read_bytes())
    assert not tls.refresh() and tls.names == ("one.lan",)
    key.write_bytes(was)
    assert tls.refresh() and tls.names == ("one.lan",) and certificate.exists()


async def shown(port: int, ca: Path) -> object:
    """The serial number of what the server at that port shows to somebody who trusts our authority."""
    context = ssl.create_default_context(cafile=str(ca))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    found = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return found


async def test_only_admins_rotate(house: House) -> None:
    await house.add_user("ed", "editor")
    async with house.client(house.bearer(Principal("ed", frozenset()))) as client:
        assert (await client.post("/auth/keys/rotate", json={})).status_code == 403
