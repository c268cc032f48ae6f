"""Everything that can be asked, by everybody: what the app answers is written down here a second time, as a small
table, and compared with what it does. What is asked is read off the app itself: a new kind, verb, part or route that
no row speaks of fails.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest
from unit.api.components import HOW, House, make_house
from unit.api.test_every_rest_route import BODIES, PROVED_BY_THE_BODY, concrete, routers, routes

from api.auth.principal import AUTHENTICATED, SERVICES, WORKERS, Principal
from api.auth.service_accounts import principal_of
from api.rest import rest_app
from controller.resources.strategy import WriteOptions
from crds.kind import GROUP, Kind
from crds.kinds.namespace import NAMESPACE
from crds.kinds.rbac import ROLE_BINDING
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.user import USER
from crds.kinds.worker import WORKER
from services.sdk.discovery import managed_services

pytestmark = pytest.mark.anyio
READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "patch", "delete", "deletecollection"})
METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
METHODS |= {"delete": "DELETE", "deletecollection": "DELETE"}

# The policy, in words of its own. A kind that is new belongs to one of these, or the test says so.
INTERNAL = {"credentials", "accesskeys", "clientcredentials", "keymaterials", "sessions", "temporarycredentials"}
INTERNAL |= {"secretversions"}
HIDDEN_FROM_VIEWERS = {"secrets", "jointokens"}
FOR_ADMINS = {"users", "jointokens", "workers", "customresourcedefinitions"}
FOR_ADMINS |= {"roles", "clusterroles", "rolebindings", "clusterrolebindings"}
FOR_ADMINS |= {"resourcequotas", "limitranges", "imagepolicies"}
FOR_ADMINS |= {"validatingadmissionpolicies", "validatingadmissionpolicybindings"}
FOR_ADMINS |= {"backups", "backupschedules"}
FOR_ADMINS |= {"iamusers", "iamgroups", "iamroles", "iampolicies", "iamaccounts", "instanceprofiles", "oidcproviders"}
EVERYDAY = {"namespaces", "events", "services", "configmaps", "secrets", "serviceaccounts", "leases"}
EVERYDAY |= {"keys", "keyaliases", "keygrants", "buckets", "managedsecrets", "queues"}
EVERYDAY |= {"databases", "databaseusers", "databaseparametergroups", "databasebackups"}
EVERYDAY |= {"schedules", "schedulegroups", "eventbuses", "eventrules"}
EVERYDAY |= {"topics", "subscriptions"}
EVERYDAY |= {"webhookendpoints", "webhooksources"}
EVERYDAY |= {"scrapetargets", "alertrules", "alertchannels", "alertsilences", "metricalarms"}
EVERYDAY |= {"loggroups"}
VIEWS = {"pods", "nodes", "deployments", "replicasets", "endpoints"}
VIEWS |= {"persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "daemonsets", "statefulsets"}
VIEWS |= {"jobs", "cronjobs", "ingresses"}
CLUSTER_WIDE = {"nodes", "namespaces", "persistentvolumes"} | {
    "users",
    "credentials",
    "jointokens",
    "workers",
    "customresourcedefinitions",
}
CLUSTER_WIDE |= {"clusterroles", "clusterrolebindings", "imagepolicies", "backups", "backupschedules"}
CLUSTER_WIDE |= {"validatingadmissionpolicies", "validatingadmissionpolicybindings"}
EDITORS_WRITE = EVERYDAY | {"pods", "pods/eviction", "deployments", "deployments/scale"}
EDITORS_WRITE |= {f"{each}/scale" for each in EVERYDAY}
ADMINS_ONLY = {"pods/exec", "serviceaccounts/token", "namespaces/finalize"}


@dataclass(frozen=True)
class Somebody:
    """`role`: what they may do, everywhere or (`room`) in one namespace only. `known`: whether they are let in.
    `user`: whether IAM knows them.
    """

    role: str
    room: str = ""
    known: bool = True
    user: bool = True


PEOPLE = {
    "nobody": Somebody("", known=False),
    "admin": Somebody("admin"),
    "viewer": Somebody("viewer"),
    "editor": Somebody("editor"),
    "namespace-editor": Somebody("edit", room="team-a"),
    "namespace-viewer": Somebody("view", room="team-a"),
    "roleless": Somebody(""),
    "account": Somebody("view", room="team-a", user=False),
    "service": Somebody("service", user=False),
    "worker": Somebody("worker", user=False),
    "deleted": Somebody("", known=False),
    "disabled": Somebody("", known=False),
    "deleted-account": Somebody("", known=False),
    "wrong-audience": Somebody("", known=False),
}


def may(who: Somebody, verb: str, resource: str, namespace: str) -> bool:
    """What docs, role names and Kubernetes promise. `namespace`: empty for all, and for what lives in none."""
    plural = resource.partition("/")[0]
    assert plural in INTERNAL | FOR_ADMINS | EVERYDAY | VIEWS, f"no row of the policy speaks of {plural}"
    if plural in INTERNAL or not who.role:
        return False
    if resource.endswith("/status") and verb in WRITE:  # what was seen is told by those who saw it
        return False
    if who.role == "worker":
        return resource == "workers" and verb in READ
    if who.role == "service":  # what its manifest asks for in the test's house: configmaps; and what all may
        own = resource.startswith("configmaps") and verb in ("get", "list")
        events = resource == "events" and verb in ("create", "patch", *READ)
        return own or events or (resource == "namespaces" and verb in READ)
    if who.role == "admin":
        return True
    if who.room and (namespace != who.room or plural in CLUSTER_WIDE):
        return resource == "namespaces" and namespace == who.room and verb in READ
    if resource in ADMINS_ONLY:
        return False
    if verb in READ:
        return (who.role in ("editor", "edit") and plural == "secrets") or plural not in HIDDEN_FROM_VIEWERS
    return who.role in ("editor", "edit") and resource in EDITORS_WRITE


@dataclass(frozen=True)
class Question:
    verb: str
    kind: Kind[Any]
    sub: str
    namespace: str | None

    @property
    def resource(self) -> str:
        return f"{self.kind.plural}/{self.sub}" if self.sub else self.kind.plural

    @property
    def room(self) -> str:
        """The namespace it is about: a Namespace is inside itself."""
        if self.kind is NAMESPACE and self.is_named:
            return "team-a"
        return self.namespace or ""

    @property
    def is_named(self) -> bool:
        return bool(self.sub) or self.verb in ("get", "update", "patch", "delete")

    @property
    def path(self) -> str:
        root = f"/apis/{self.kind.group}/{self.kind.version}" if self.kind.group else f"/api/{self.kind.version}"
        room = f"/namespaces/{self.namespace}" if self.namespace else ""
        name = "/team-a" if self.kind is NAMESPACE else "/nowhere"
        path = (
            f"{root}{room}/{self.kind.plural}"
            + (name if self.is_named else "")
            + (f"/{self.sub}" if self.sub else "")
        )
        if self.verb == "watch":
            return path + "?watch=1&timeoutSeconds=1"
        return path if self.verb in READ else path + "?dryRun=All&labelSelector=no%3Dwhere"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for kind in (kind for service in managed_services() for kind in service.kinds):
        made.registry.catalog.add(kind)
    for room in ("team-a", "team-b"):
        await made.registry.create(NAMESPACE, "", {"metadata": {"name": room}}, HOW)
    yield made
    await made.close()


async def headers_of(house: House, name: str) -> dict[str, str]:
    """The credentials of one of PEOPLE, got before what happened to them happened."""

    def person(who: str, *roles: str) -> Principal:
        return Principal(who, frozenset({AUTHENTICATED, *(f"aerekos:{role}" for role in roles)}))

    match name:
        case "nobody":
            return {}
        case "admin" | "viewer" | "editor":
            await house.add_user(name, name)
            return house.bearer(person(name, name))
        case "namespace-editor" | "namespace-viewer" | "roleless":
            await add_roleless(house, name)
            if name != "roleless":
                await bind(house, name.removeprefix("namespace-")[:4], {"kind": "User", "name": name})
            return house.bearer(person(name))
        case "account" | "deleted-account":
            record = (
                await house.registry.create(SERVICE_ACCOUNT, "team-a", {"metadata": {"name": name}}, HOW)
            ).record
            assert record is not None
            await bind(house, "view", {"kind": "ServiceAccount", "name": name, "namespace": "team-a"})
            headers = house.bearer(principal_of(record), uid=record.uid)
            if name.startswith("deleted"):
                await house.registry.delete(SERVICE_ACCOUNT, record.key, HOW)
            return headers
        case "service":
            return house.bearer(Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED})))
        case "worker":
            await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
            return house.bearer(Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED})))
        case "wrong-audience":
            await house.add_user(name, "admin")
            return house.bearer(person(name, "admin"), audience="key-manager")
        case _:
            await house.add_user(name, "admin")
            headers = house.bearer(person(name, "admin"))
            if name == "deleted":
                await house.registry.delete(USER, USER.key(name), HOW)
            else:
                await house.registry.merge(USER, USER.key(name), {"spec": {"disabled": True}}, HOW)
            return headers


async def add_roleless(house: House, name: str) -> None:
    await house.registry.create(USER, "", {"metadata": {"name": name}, "spec": {"roles": []}}, HOW)


async def bind(house: House, role: str, subject: dict[str, str]) -> None:
    reference = {"apiGroup": ROLE_BINDING.group, "kind": "ClusterRole", "name": role}
    body = {"metadata": {"name": f"{subject['name']}-{role}"}, "subjects": [subject], "roleRef": reference}
    await house.registry.create(ROLE_BINDING, "team-a", body, HOW)


def questions(house: House) -> Iterator[Question]:
    """Every verb on every kind and every part of it: in one's own namespace, another's, and in all of them."""
    resources: Any = house.conductor
    kinds = [*house.registry.catalog, *resources._resources._views.kinds]
    for kind in kinds:
        subs = [("", verb) for verb in kind.verbs]
        subs += [(each.name, verb) for each in kind.subresources for verb in each.verbs]
        for (sub, verb), namespace in itertools.product(
            subs, ("team-a", "team-b", None) if kind.namespaced else (None,)
        ):
            question = Question(verb, kind, sub, namespace)
            if namespace or not kind.namespaced or not question.is_named:
                yield question


async def code(house: House, question: Question, headers: dict[str, str]) -> int:
    """The HTTP code, asked of the app itself."""
    path, _, query = question.path.partition("?")
    body = b"" if METHODS[question.verb] in ("GET", "DELETE") else b"{}"
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    if question.verb == "patch":
        raw.append((b"content-type", b"application/merge-patch+json"))
    elif body:
        raw.append((b"content-type", b"application/json"))
    scope = {"type": "http", "method": METHODS[question.verb], "path": path, "raw_path": path.encode()}
    scope |= {"query_string": query.encode(), "headers": raw, "extensions": {}}
    return await asked(house, scope, body)


async def asked(house: House, scope: dict[str, Any], body: bytes) -> int:
    codes: list[int] = []
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await anyio.sleep_forever()
        sent = True
        # Whoever watches leaves at once: only whether it begins matters.
        if b"watch=1" in scope["query_string"]:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            codes.append(message["status"])

    await house.door(scope, receive, send)
    return codes[0]


@pytest.mark.parametrize("name", PEOPLE)
async def test_every_verb_on_every_kind(house: House, name: str) -> None:
    headers, who = await headers_of(house, name), PEOPLE[name]
    wrong, count = [], 0
    for question in questions(house):
        seen = await code(house, question, headers)
        count += 1
        if not who.known:
            right = seen == 401
        elif may(who, question.verb, question.resource, question.room):
            right = seen not in (401, 403) and seen < 500
        else:
            right = seen == 403
        if not right:
            wrong.append((question.verb, question.resource, question.namespace, seen))
    assert not wrong, wrong[:20]
    assert count > 300


async def test_a_token_does_not_remember_a_role_that_was_taken(house: House) -> None:
    """Demoted from editor to viewer: the token still says editor, and is not believed."""
    await house.add_user("demoted", "editor")
    headers = house.bearer(Principal("demoted", frozenset({AUTHENTICATED, "aerekos:editor"})))
    await house.registry.merge(USER, USER.key("demoted"), {"spec": {"roles": ["viewer"]}}, HOW)
    viewer = replace(PEOPLE["viewer"])
    wrong = []
    for question in questions(house):
        seen = await code(house, question, headers)
        if (seen == 403) == may(viewer, question.verb, question.resource, question.room):
            wrong.append((question.verb, question.resource, question.namespace, seen))
    assert not wrong, wrong[:20]


# Routes that are no resources. What opens them: everybody, anybody known, a right (verb, resource, namespace), a sort
# of machine, or nothing a person could have.
RIGHTS: dict[str, Any] = {
    "POST /auth/login": "everybody",
    "POST /auth/refresh": "everybody",
    "POST /auth/logout": "everybody",
    "POST /auth/token": "everybody",
    "POST /auth/join": "everybody",
    "GET /auth/ca.pem": "everybody",
    "GET /cloud": "everybody",
    "GET /auth/jwks": "everybody",
    "GET /join": "everybody",
    "GET /join.sh": "everybody",
    "GET /join/agent": "nobody",
    "GET /join/agent.tar": "nobody",
    "GET /auth/access-keys": "known",
    "GET /auth/policies": "known",
    "POST /auth/sts/assume-role": (),  # only whom a role trusts, and here is none
    "POST /auth/sts/service-role": (),  # only services whose manifest says which AWS service they stand for
    "POST /auth/sts/web-identity": "everybody",
    "POST /auth/sts/session-token": "users",
    "POST /auth/sts/federation-token": "users",
    "POST /auth/sts/decode-message": ("get", "iamroles", "default"),
    "GET /auth/sts/access-keys/{key_id}": "known",
    "GET /auth/sts/credentials": "known",
    "DELETE /auth/sts/credentials/{key_id}": "known",
    "POST /auth/access-keys": "known",
    "PATCH /auth/access-keys/{key_id}": "known",
    "DELETE /auth/access-keys/{key_id}": "known",
    "POST /auth/totp": "everybody",
    "POST /auth/totp/confirm": "everybody",
    "GET /auth/totp": "known",
    "GET /auth/sessions": "known",
    "DELETE /auth/sessions/{sid}": "known",
    "POST /auth/logout-all": "known",
    "POST /auth/keys/rotate": ("admin",),
    "POST /auth/totp/remove": ("admin",),
    "GET /auth/oidc": "everybody",
    "POST /auth/oidc": "everybody",
    "GET /auth/whoami": "known",
    "GET /auth/access-key": "known",
    "POST /auth/password": ("admin",),
    "POST /auth/certificates": ("service",),
    "POST /auth/root-key": ("service",),  # those whose manifest asks for it
    "POST /auth/signing-keys": (),  # only with the identity of a signed request, which nobody holds here
    "POST /agents/register": ("worker",),
    "POST /agents/overlay": ("worker",),
    "POST /agents/swarm": ("worker",),
    "POST /agents/container-events": ("worker",),
    "POST /agents/role-credentials": ("worker",),
    "GET /agents/leases": ("list", "workers", ""),
    "GET /traffic": ("list", "services", ""),
    "GET /health/report": "known",  # each hears of what they may read: tests/unit/health
    "GET /health/loop": ("list", "services", ""),
    "GET /templates": "known",
    "POST /templates/{name}": "known",
    "GET /logs/{namespace}/{service}": ("get", "services", "team-a"),
    "GET /logs/instances": ("list", "services", ""),
    "GET /logs/instances/{namespace}/{service}/{instance}": ("get", "services", "team-a"),
    "GET /history": "known",
    "GET /history/{group}/{path:path}": ("get", "services", "team-a"),
    "GET /audit": ("admin",),
    "GET /metrics/targets": ("admin",),
    "GET /metrics/cloud": ("admin",),
    "GET /metrics/instances/{namespace}/{service}/{instance}": ("admin",),
    "GET /swarm/services/{name}": ("admin",),
    "POST /swarm/services/{name}/adoption": ("admin",),
}


def opens(route: str, who: Somebody) -> bool:
    right = RIGHTS[route]
    if right in ("everybody", "nobody"):
        return bool(right == "everybody")
    if not who.known or right == "known":
        return who.known
    if right == "users":
        return who.user
    return who.role in right if len(right) < 2 else may(who, *right)


async def test_every_route_has_a_row(house: House, tmp_path: Path) -> None:
    assert sorted(routes(house, tmp_path)) == sorted(RIGHTS)


@pytest.mark.parametrize("name", PEOPLE)
async def test_every_route(house: House, tmp_path: Path, name: str) -> None:
    await house.add_user("other")
    headers, who = await headers_of(house, name), PEOPLE[name]
    transport = httpx.ASGITransport(app=rest_app(routers(house, tmp_path)), raise_app_exceptions=False)
    wrong = []
    async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test", headers=headers) as client:
        for route in RIGHTS:
            method, path = route.split()
            seen = (await client.request(method, concrete(path, "team-a"), json=BODIES.get(route, {}))).status_code
            if route in PROVED_BY_THE_BODY:
                right = seen == 401
            elif opens(route, who):
                right = seen not in (401, 403, 422) and seen < 500
            else:
                right = seen in (401, 403)
            if not right:
                wrong.append((route, seen))
    assert not wrong, wrong


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_the_gateway(house: House, name: str, method: str) -> None:
    """What runs in `default` is reached by those who may reach it there, and nobody writes by reading rights.

    Services reach those their manifest needs.
    """
    await house.add_service("web")
    headers, who = await headers_of(house, name), PEOPLE[name]
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/services/web/x", "raw_path": b"/services/web/x"}
    seen = await asked(house, scope | {"query_string": b"", "headers": raw, "extensions": {}}, b"")
    if not who.known:
        assert seen == 401
    elif who.role in ("admin", "editor") or (who.role == "viewer" and method == "GET"):
        assert seen == 503  # there is no instance
    else:
        assert seen == 403


async def test_a_new_namespace_does_not_show_what_one_of_its_name_held(house: House, tmp_path: Path) -> None:
    """Neither by an exact old revision, nor by a watch from one, nor by its history; whoever may read all may."""
    secret = {"metadata": {"name": "old"}, "data": {"password": "aHVudGVyMg=="}}
    from crds.kinds.secret import SECRET

    made = await house.registry.create(SECRET, "team-a", secret, HOW)
    assert made.record is not None
    then = made.record.revision
    await house.registry.delete(SECRET, made.record.key, HOW)
    await house.registry.delete(NAMESPACE, NAMESPACE.key("team-a"), HOW)
    emptied = {"metadata": {"finalizers": None}}  # as its reconciler does
    await house.registry.merge(NAMESPACE, NAMESPACE.key("team-a"), emptied, WriteOptions(by="system:conductor"))
    await house.registry.create(NAMESPACE, "", {"metadata": {"name": "team-a"}}, HOW)
    headers = await headers_of(house, "namespace-editor")
    path = "/api/v1/namespaces/team-a/secrets"
    async with house.client(headers) as client:
        assert (await client.get(path)).json()["items"] == []
        exact = await client.get(f"{path}?resourceVersion={then}&resourceVersionMatch=Exact")
        assert exact.status_code == 410, exact.text
        watched = await client.get(f"{path}?watch=1&timeoutSeconds=1&resourceVersion={then - 1}")
        assert b"hunter2" not in watched.content and b"aHVudGVyMg" not in watched.content
        assert orjson.loads(watched.content.splitlines()[0])["object"]["code"] == 410
    transport = httpx.ASGITransport(app=rest_app(routers(house, tmp_path)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test") as client:
        told = await client.get(f"/history{path}/old", headers=headers)
        assert told.status_code == 404 and b"aHVudGVyMg" not in told.content
        admin = await headers_of(house, "admin")
        told = await client.get(f"/history{path}/old", headers=admin)
        assert [each["verb"] for each in told.json()["versions"]] == ["created", "deleted"]
        room = "/history/api/v1/namespaces/team-a"
        seen = [(await client.get(room, headers=each)).json()["versions"] for each in (headers, admin)]
        assert "deleted" not in {each["verb"] for each in seen[0]}, "nor is its own history that of the one before"
        assert "deleted" in {each["verb"] for each in seen[1]}


async def test_the_rules_of_a_role_are_compared_in_bounded_time(house: House) -> None:
    """A role of a million million combinations stops nobody's conductor."""
    headers = await headers_of(house, "namespace-editor")
    await house.registry.merge(USER, USER.key("namespace-editor"), {"spec": {"roles": []}}, HOW)
    await bind(house, "admin", {"kind": "User", "name": "namespace-editor"})
    many = [f"x{n}" for n in range(1000)]
    role = {"metadata": {"name": "wide"}, "rules": [{"verbs": many, "apiGroups": many, "resources": many}]}
    async with house.client(headers) as client:
        answer = await client.post(f"/apis/{ROLE_BINDING.group}/v1/namespaces/team-a/roles", json=role)
    assert answer.status_code == 422, answer.text


def test_all_below_is_not_the_thing_itself() -> None:
    """`pods/*` gives no pods."""
    from api.auth.rules import Action, Rule

    below = Rule(("get",), ("",), ("pods/*",))
    assert below.allows(Action("get", "", "pods/log"))
    assert not below.allows(Action("get", "", "pods"))
    assert GROUP == "aerekos.cloud"
