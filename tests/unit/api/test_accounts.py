"""Logging in: what is proven, what is refused, and that guessing does not pay."""

from __future__ import annotations

import anyio
import pytest
from unit.api.components import HOW, House

import api.auth.passwords as passwords
from api.auth.accounts import ACCESS_SECONDS, REFRESH_SECONDS
from crds.errors import NotFound, TooManyRequests, Unauthorized
from crds.kinds.user import CREDENTIAL, USER
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse"


async def test_a_login_gives_a_token_of_the_user_and_their_roles(house: House) -> None:
    await house.add_user("ann", "editor", password=PASSWORD, namespace="team-a")
    pair = await house.accounts.log_in("ann", PASSWORD)
    who = house.tokens.read(pair.access_token)
    assert (who.name, who.namespace) == ("ann", "team-a")
    assert who.groups == {"aerekos:editor", "system:authenticated"}
    assert pair.expires_in == ACCESS_SECONDS


async def test_every_reason_for_refusal_sounds_the_same(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    await house.add_user("bob", password=PASSWORD, disabled=True)
    await house.add_user("eve")  # has no password at all
    said = set()
    for name, password in (("ann", "wrong"), ("bob", PASSWORD), ("eve", ""), ("nobody", PASSWORD)):
        with pytest.raises(Unauthorized) as refused:
            await house.accounts.log_in(name, password)
        said.add(str(refused.value))
    assert len(said) == 1


async def test_ten_wrong_passwords_make_the_guesser_wait_and_close_nothing(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    for _ in range(10):
        with pytest.raises(Unauthorized):
            await house.accounts.log_in("ann", "wrong", address="203.0.113.9")
    assert house.clock.slept[-1] >= 8
    assert await house.accounts.log_in("ann", PASSWORD, address="192.0.2.1")


async def test_guessing_in_parallel_gains_nothing(house: House) -> None:
    """They take turns, so the last of thirty waits as if the others had been one after another."""
    await house.add_user("ann", password=PASSWORD)

    async def guess(password: str) -> None:
        with pytest.raises(Unauthorized):
            await house.accounts.log_in("ann", password)

    async with anyio.create_task_group() as group:
        for n in range(30):
            group.start_soon(guess, f"wrong-{n}")
    assert sum(house.clock.slept) > 150


async def test_a_good_login_forgives_earlier_failures(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    for _ in range(3):
        for _ in range(9):
            with pytest.raises(Unauthorized):
                await house.accounts.log_in("ann", "wrong")
        await house.accounts.log_in("ann", PASSWORD)


async def test_many_people_may_log_in_at_once(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(house.accounts.log_in, "ann", PASSWORD)


async def test_a_flood_of_logins_is_told_to_wait_and_leaves_the_disk_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", (2**14, 8, 1))
    judged = turned_away = 0

    async def one(name: str) -> None:
        nonlocal judged, turned_away
        try:
            await house.accounts.log_in(name, PASSWORD, address=name)
        except Unauthorized:
            judged += 1
        except TooManyRequests:
            turned_away += 1

    async with anyio.create_task_group() as group:
        for number in range(80):
            group.start_soon(one, f"name-{number}")
        await anyio.lowlevel.checkpoint()
        await house.add_user("written-meanwhile")
        meanwhile = judged
        group.cancel_scope.cancel()
    assert turned_away >= 10
    assert meanwhile < (80 - turned_away) / 2, "it did not wait for all the hashes before it"


async def test_a_refresh_token_opens_nothing_but_the_next_pair(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    pair = await house.accounts.log_in("ann", PASSWORD)
    with pytest.raises(Unauthorized):
        house.tokens.read(pair.refresh_token)
    with pytest.raises(Unauthorized):
        await house.accounts.refresh(pair.access_token)
    assert house.tokens.read((await house.accounts.refresh(pair.refresh_token)).access_token).name == "ann"
    house.clock.forward(REFRESH_SECONDS)
    with pytest.raises(Unauthorized, match="expired"):
        await house.accounts.refresh(pair.refresh_token)


async def test_a_changed_password_ends_every_refresh_token(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    stolen = (await house.accounts.log_in("ann", PASSWORD)).refresh_token
    house.clock.forward(2)
    await house.accounts.set_password("ann", "another one to use", one_time=False, by="ann")
    with pytest.raises(Unauthorized, match="changed"):
        await house.accounts.refresh(stolen)
    with pytest.raises(Unauthorized):
        await house.accounts.log_in("ann", PASSWORD)
    fresh = await house.accounts.log_in("ann", "another one to use")
    assert await house.accounts.refresh(fresh.refresh_token)


async def test_a_refreshed_token_has_the_roles_of_now(house: House) -> None:
    await house.add_user("ann", "admin", password=PASSWORD)
    pair = await house.accounts.log_in("ann", PASSWORD)
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"roles": ["viewer"]}}, HOW)
    assert (
        "aerekos:admin"
        not in house.tokens.read((await house.accounts.refresh(pair.refresh_token)).access_token).groups
    )
    await house.registry.merge(USER, USER.key("ann"), {"spec": {"disabled": True}}, HOW)
    with pytest.raises(Unauthorized):
        await house.accounts.refresh(pair.refresh_token)


async def test_a_password_is_kept_as_a_hash_that_goes_with_its_user(house: House) -> None:
    await house.add_user("ann", password=PASSWORD)
    record = house.store.get(CREDENTIAL.key("ann"))
    assert record is not None
    assert PASSWORD.encode() not in record.body
    owner = record.object["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("User", "ann")
    with pytest.raises(NotFound):
        await house.accounts.set_password("nobody", PASSWORD, one_time=False, by="test")


async def test_an_identity_is_proven_by_a_secret_that_dies_with_the_resource(house: House) -> None:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    secret = house.accounts.client_secret("worker:oak", WORKER.key("oak"))
    who = house.tokens.read(house.accounts.identity_token("worker:oak", secret, "api"))
    assert (who.worker, "system:workers" in who.groups) == ("oak", True)
    await house.registry.delete(WORKER, WORKER.key("oak"), HOW)
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    with pytest.raises(Unauthorized):
        house.accounts.identity_token("worker:oak", secret, "api")


@pytest.mark.parametrize("client", ["worker:oak", "worker:", "service:oak", "user:ann", "oak", "", "worker:oak:x"])
async def test_no_identity_without_its_secret(house: House, client: str) -> None:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    for secret in ("", "é", house.accounts.client_secret("service:oak", WORKER.key("oak"))):
        with pytest.raises(Unauthorized):
            house.accounts.identity_token("worker:oak" if client == "service:oak" else client, secret, "api")


async def test_an_access_key_finds_its_owner_until_they_are_disabled(house: House) -> None:
    await house.add_user("ann")
    await house.add_user("bob")
    pair = house.accounts.access_key("bob")
    user, found = house.accounts.owner_of(pair.id)
    assert (user.metadata.name, found) == ("bob", pair)
    assert (len(pair.id), len(pair.secret), pair.id[:4]) == (20, 40, "AKIA")
    await house.registry.merge(USER, USER.key("bob"), {"spec": {"disabled": True}}, HOW)
    with pytest.raises(NotFound):
        house.accounts.owner_of(pair.id)
    with pytest.raises(NotFound):
        house.accounts.owner_of("AKIAUNKNOWN")
