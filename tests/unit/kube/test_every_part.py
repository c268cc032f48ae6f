"""What is shown from elsewhere, and what lies below resources: who may do what, written down without the rules.

The kinds of the catalog themselves are in test_every_route.py; paths outside the resource API in
tests/unit/api/test_every_rest_route.py.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from api.auth.authorizer import Action, Authorizer
from api.kube.views.absent import ABSENT
from api.kube.views.core_services import CORE_SERVICE
from api.kube.views.deployments import DEPLOYMENT
from api.kube.views.endpoints import ENDPOINTS
from api.kube.views.events import EVENT_V1
from api.kube.views.metrics import NODE_METRICS, POD_METRICS
from api.kube.views.nodes import NODE
from api.kube.views.pods import POD
from api.kube.views.replica_sets import REPLICA_SET
from crds.catalog import CORE_KINDS
from crds.kind import Kind
from crds.kinds.explanation import EXPLANATIONS
from crds.kinds.review import REVIEWS
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMP, LAMPS
from tests.unit.kube.test_every_route import METHODS, PEOPLE, READS, path_of, promised

pytestmark = pytest.mark.anyio
VIEWS = (POD, NODE, DEPLOYMENT, REPLICA_SET, CORE_SERVICE, EVENT_V1, ENDPOINTS, *ABSENT)
# Running commands is for admins: a process runs as the conductor's own user. Tokens may do more than an editor.
FOR_ADMINS = {"exec", "token", "finalize"}
PEOPLE_WHO_READ = ("viewer", "editor", "admin", "master")
PARTS = [(kind, part.name) for kind in (*CORE_KINDS, *VIEWS) for part in kind.subresources]


def may_view(who: str, kind: Kind[Any], verb: str) -> bool:
    """Views promise what the kinds behind them do: workers are for admins, services for editors."""
    if verb in READS:
        return who in PEOPLE_WHO_READ
    return who in ("admin", "master") or (who == "editor" and kind is not NODE)


def may(who: str, kind: Kind[Any], part: str, verb: str) -> bool:
    if who == "worker":  # it reads workers as a whole
        return False
    if part in FOR_ADMINS:
        return who in ("admin", "master")
    if part == "status" and verb not in READS and kind not in VIEWS:
        return False  # what was seen is told by who saw it, never by people
    return may_view(who, kind, verb) if kind in VIEWS else promised(who, kind, "get" if verb in READS else "update")


async def code(wire: Wire, who: str, kind: Kind[Any], verb: str, part: str = "") -> int:
    path, _, query = path_of(kind, "get" if part else verb, "nowhere").partition("?")
    content_type = "application/merge-patch+json" if verb == "patch" else ""
    dry = "dryRun=All" if verb not in READS else query
    where = f"{path}/{part}?{dry}" if part else path_of(kind, verb, "nowhere")
    return (await wire.ask(METHODS[verb], where, b"{}", content_type=content_type, who=PEOPLE[who])).code


def right(seen: int, allowed: bool) -> bool:
    return seen < 500 and (seen == 403) is not allowed


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.plural)
@pytest.mark.parametrize("who", PEOPLE)
async def test_views_are_for_those_who_may_see_what_is_behind(wire: Wire, who: str, kind: Kind[Any]) -> None:
    for verb in kind.verbs:
        seen = await code(wire, who, kind, verb)
        assert right(seen, may_view(who, kind, verb)), (who, verb, kind.resource, seen)


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=lambda each: each if isinstance(each, str) else each.resource)
@pytest.mark.parametrize("who", PEOPLE)
async def test_parts_are_for_those_who_may_see_the_whole(wire: Wire, who: str, kind: Kind[Any], part: str) -> None:
    verbs = next(each.verbs for each in kind.subresources if each.name == part)
    for verb in verbs:
        seen = await code(wire, who, kind, verb, part)
        assert right(seen, may(who, kind, part, verb)), (who, verb, f"{kind.resource}/{part}", seen)


@pytest.mark.parametrize("who", PEOPLE)
async def test_kinds_people_define_are_like_ours(wire: Wire, who: str) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    for path in (LAMPS, f"{LAMPS}/desk", f"{LAMPS}/desk/status", f"{LAMPS}/desk/scale"):
        seen = (await wire.ask("GET", path, who=PEOPLE[who])).code
        assert seen == (200 if who in PEOPLE_WHO_READ else 403), path
    patch, content_type = {"spec": {"watts": 6}}, "application/merge-patch+json"
    seen = (await wire.ask("PATCH", f"{LAMPS}/desk", patch, content_type=content_type, who=PEOPLE[who])).code
    assert seen == (200 if who in ("editor", "admin", "master") else 403)


async def test_usage_is_for_those_who_see_pods_and_nodes(wire: Wire) -> None:
    authorizer = Authorizer(wire.registry.catalog, (), wire.registry.store)
    for who, kind in itertools.product(PEOPLE, (NODE_METRICS, POD_METRICS)):
        action = Action("list", kind.group, kind.plural, "default" if kind.namespaced else "")
        assert authorizer.allows(PEOPLE[who], action) is (who in PEOPLE_WHO_READ)


async def test_nothing_is_served_that_is_not_asked_for_here(wire: Wire) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = [*(await wire.ok("GET", "/api", accept=accept))["items"]]
    found += (await wire.ok("GET", "/apis", accept=accept))["items"]
    served = {
        (group["metadata"]["name"] or "", each["resource"])
        for group in found
        for version in group["versions"]
        for each in version["resources"]
    }
    assert served == {
        (kind.group, kind.plural) for kind in (*CORE_KINDS, *VIEWS, *REVIEWS, *EXPLANATIONS) if not kind.internal
    }
