"""Every operation and route of every managed service, by every role: whoever may not gets nothing.

What there is, and what it asks for, is read off the services; who may what, off the rules of the roles. Nothing here
names a service: one that is added is in the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import httpx
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import Shape
from clouds import eventually

from api.auth.authorizer import role_rules
from api.auth.rules import Action, Rule
from crds.managed import ManagedService
from services.sdk.aws.model import called
from services.sdk.discovery import catalog_of, managed_service, managed_services
from services.sdk.permissions import Permission
from services.sdk.service import create_service
from services.sdk.testing import ServiceHarness, User, serving

NAME = "matrix"
ROLES = ("aerekos:admin", "aerekos:editor", "aerekos:viewer", "")
DENIED = {"AccessDenied", "AccessDeniedException", "403"}
ENDING = ("DELETE", "SCHEDULE", "DISABLE")
"""What ends or closes something comes last, so that the others meet it."""


def as_asked(manifest: ManagedService) -> ManagedService:
    """A service as its callers ask it: one that stands in for another one speaks what that speaks."""
    other = managed_service(manifest.stands_in_for) if manifest.stands_in_for else None
    return replace(manifest, speaks=other.speaks, protocol=other.protocol) if other is not None else manifest


SERVICES = tuple(as_asked(each) for each in managed_services())


@cache
def rules() -> Mapping[str, tuple[Rule, ...]]:
    return role_rules(catalog_of(managed_services()))


def may(role: str, verb: str, group: str, resource: str) -> bool:
    return any(rule.allows(Action(verb, group, resource)) for rule in rules().get(role, ()))


def judge(user: str, wanted: dict[str, str]) -> bool:
    """The users of these tests are called like their roles; services may all that they ask for."""
    return user.startswith("system:") or may(user, wanted["verb"], wanted["group"], wanted["resource"])


def absent() -> httpx.AsyncClient:
    """A service that this one asks where it is there, and does without."""
    return httpx.AsyncClient(
        base_url="http://absent", transport=httpx.MockTransport(lambda _: httpx.Response(503, json={}))
    )


@contextmanager
def running(manifest: ManagedService) -> Iterator[ServiceHarness]:
    """That service beside all it needs, with one resource of each kind that says all by its name."""
    with ExitStack() as stack:
        peers: dict[str, ServiceHarness] = {}
        for need in manifest.needs:
            needed = managed_service(need)
            assert needed is not None
            peers[needed.service_name] = stack.enter_context(running(needed))
        secrets = dict.fromkeys(manifest.secrets, bytes(32))
        house = stack.enter_context(
            serving(
                manifest,
                secrets=secrets,
                peer=lambda name: peers[name].peer_client(manifest.service_name) if name in peers else absent(),
            )
        )
        house.conductor.judge = judge
        for kind in manifest.kinds:
            if not (kind.internal or kind.model.model_fields["spec"].is_required()):
                house.run(house.resources.create(kind, kind.new(NAME, namespace="default")))
        eventually(lambda: is_ready(house), f"{manifest.name} is ready")
        yield house


def is_ready(house: ServiceHarness) -> bool:
    """A copy answers no read before it has caught up with what it is one of."""
    return httpx.get(f"{house.url}/ready").status_code == 200


@pytest.fixture(scope="module", params=SERVICES, ids=lambda each: each.name)
def house(request: pytest.FixtureRequest) -> Iterator[tuple[ManagedService, ServiceHarness]]:
    with running(request.param) as house:
        yield request.param, house


def declared(manifest: ManagedService, house: ServiceHarness) -> dict[str, Permission | None]:
    """Read off a second application, whose folder is its own: some let one process at a time at their data."""

    async def read(folder: str) -> dict[str, Permission | None]:
        return create_service(manifest, replace(house.context, data=Path(folder))).permissions()

    with TemporaryDirectory() as folder:
        found: dict[str, Permission | None] = house.run(read(folder))
    return found


def user(role: str, number: int) -> User:
    return User(role or "nobody", (role,) if role else (), access_key=f"AKIAMATRIXMATRIXMA{number:02}")


def outcome_of_route(http: httpx.Client, name: str) -> str:
    method, _, path = name.partition(" ")
    segments = (NAME if each.startswith("{") else each for each in path.split("/"))
    answer = http.request(method, "/".join(segments).replace(f"/namespaces/{NAME}", "/namespaces/default"))
    assert answer.status_code < 500, (name, answer.text)
    return "denied" if answer.status_code == 403 else "done" if answer.status_code < 300 else "refused"


def outcome_of_operation(client: Any, name: str) -> str:
    shape = client.meta.service_model.operation_model(name).input_shape
    try:
        answer = getattr(client, xform_name(name))(**(minimal(shape) if shape is not None else {}))
    except ClientError as error:
        code = error.response["ResponseMetadata"]["HTTPStatusCode"]
        undone = {"NotImplemented", "ServiceUnavailable"}  # what a copy does not do
        assert code < 500 or error.response["Error"]["Code"] in undone, (name, error)
        return "denied" if error.response["Error"]["Code"] in DENIED else "refused"
    # Of several things in one call each has its own answer.
    return "denied" if any(each["Code"] in DENIED for each in answer.get("Errors", ())) else "done"


def minimal(shape: Shape) -> Any:
    """The least of that shape: members that must be there, names that lead somewhere."""
    kind: Any = shape
    if shape.type_name == "structure":
        return {name: minimal(kind.members[name]) for name in kind.required_members}
    if shape.type_name == "list":
        return [minimal(kind.member)]
    if shape.type_name == "string":
        return kind.enum[0] if kind.enum else NAME.ljust(kind.metadata.get("min", 1), "x")
    return {"blob": b"x", "boolean": False, "map": {}}.get(shape.type_name, max(kind.metadata.get("min", 1), 1))


def outcomes(manifest: ManagedService, house: ServiceHarness, who: User) -> dict[str, str]:
    """What comes of everything that is declared."""
    house.conductor.add(who)
    names, found = declared(manifest, house), {}
    operations = {name for signing in manifest.speaks for name in modelled(signing)}
    clients = [house.boto3_client(signing, who) for signing in manifest.speaks]
    with house.http(who) as http:
        for name in sorted(names, key=lambda each: (each.upper().startswith(ENDING), each)):
            if name in operations:
                client = next(c for c in clients if name in c.meta.service_model.operation_names)
                found[name] = outcome_of_operation(client, name)
            else:
                found[name] = outcome_of_route(http, name)
    return found


@cache
def modelled(signing: str) -> frozenset[str]:
    return frozenset(boto3.client(called(signing), region_name="us-east-1").meta.service_model.operation_names)


def test_whoever_may_not_gets_nothing(house: tuple[ManagedService, ServiceHarness]) -> None:
    manifest, served = house
    asks = declared(manifest, served)
    assert asks, f"{manifest.name} serves nothing"
    wrong = []
    for number, role in enumerate(reversed(ROLES)):
        for name, outcome in outcomes(manifest, served, user(role, number)).items():
            wanted = asks[name]
            allowed = wanted is None or may(role, wanted.verb, wanted.kind.group, wanted.kind.plural)
            if (outcome == "denied" and allowed) or (outcome == "done" and not allowed):
                wrong.append((role, name, outcome))
    assert not wrong


def test_nothing_is_done_that_was_not_asked_about(house: tuple[ManagedService, ServiceHarness]) -> None:
    manifest, served = house
    admin = user("aerekos:admin", 90)
    asks = declared(manifest, served)
    done = [name for name, outcome in outcomes(manifest, served, admin).items() if outcome == "done"]
    reviewed = {(verb, plural) for who, verb, plural in served.conductor.reviews if who == admin.name}
    for name in done:
        wanted = asks[name]
        assert wanted is None or (wanted.verb, wanted.kind.plural) in reviewed, name
    assert done, "a matrix in which nothing ever succeeds proves nothing"


def test_nobody_gets_anything_without_an_identity(house: tuple[ManagedService, ServiceHarness]) -> None:
    manifest, served = house
    with httpx.Client(base_url=served.url) as http:
        for name in declared(manifest, served):
            method, _, path = name.partition(" ")
            answer = http.request(method, path) if path else http.post("/", headers={"x-amz-target": f"X.{name}"})
            refusals = (400, 401, 403, 405, *((503,) if manifest.stands_in_for else ()))  # writes, of anybody's
            assert answer.status_code in refusals, (name, answer.text)


def test_the_roles_of_this_matrix_are_those_of_the_cloud() -> None:
    assert may("aerekos:editor", "create", "", "configmaps") and not may("aerekos:viewer", "create", "", "configmaps")
    assert set(filter(None, ROLES)) <= set(rules()) and not may("", "get", "", "configmaps")
