"""Every kind, every verb, everybody: what the roles promise, written down a second time and without the rules.

Kubernetes answers 403 before it looks, so whether something exists is told only to those who may read it.
"""

from __future__ import annotations

from typing import Any

import pytest

from api.auth.principal import AUTHENTICATED, MASTERS, WORKERS, Principal
from crds.catalog import CORE_KINDS
from crds.kind import Kind
from tests.unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
PEOPLE = {
    "nobody": Principal("nils", frozenset({AUTHENTICATED})),
    "viewer": Principal("vera", frozenset({AUTHENTICATED, "aerekos:viewer"})),
    "editor": Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"})),
    "admin": Principal("ada", frozenset({AUTHENTICATED, "aerekos:admin"})),
    "master": Principal("root", frozenset({AUTHENTICATED, MASTERS})),
    "worker": Principal("system:worker:oak", frozenset({AUTHENTICATED, WORKERS})),
    "service": Principal("system:service:stranger", frozenset({AUTHENTICATED, "system:services"})),
}
SECRET_FROM_VIEWERS = {"secrets", "jointokens"}
FOR_ADMINS = {
    *("users", "jointokens", "workers", "customresourcedefinitions"),
    *("roles", "clusterroles", "rolebindings", "clusterrolebindings"),
    *("resourcequotas", "limitranges", "imagepolicies"),
    *("iamusers", "iamgroups", "iamroles", "iampolicies"),
    *("backups", "backupschedules"),
    *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
}
READS = {"get", "list", "watch"}
METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
METHODS |= {"delete": "DELETE", "deletecollection": "DELETE"}
NAMED = {"get", "update", "patch", "delete"}


def promised(who: str, kind: Kind[Any], verb: str) -> bool:
    """What docs and role names say."""
    if who == "master":
        return True
    if kind.internal or who in ("nobody", "service"):  # a service without a manifest has no grants
        return False
    if who == "admin":
        return True
    if who == "worker":
        return kind.plural == "workers" and verb in READS
    if verb in READS:
        return (who == "editor" and kind.plural == "secrets") or kind.plural not in SECRET_FROM_VIEWERS
    return who == "editor" and kind.plural not in FOR_ADMINS


def path_of(kind: Kind[Any], verb: str, name: str) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    room = "/namespaces/default" if kind.namespaced else ""
    path = f"{root}{room}/{kind.plural}" + (f"/{name}" if verb in NAMED else "")
    # A dry run: the matrix asks what is allowed, and may change nothing for the questions after it.
    return path + ("?watch=1&timeoutSeconds=1" if verb == "watch" else "?dryRun=All" if verb not in READS else "")


async def code(wire: Wire, who: str, kind: Kind[Any], verb: str, name: str = "nowhere") -> int:
    body, content_type = (None if METHODS[verb] in ("GET", "DELETE") else {}), ""
    if verb == "patch":
        content_type = "application/merge-patch+json"
    path = path_of(kind, verb, name)
    return (await wire.ask(METHODS[verb], path, body, content_type=content_type, who=PEOPLE[who])).code


@pytest.mark.parametrize("kind", CORE_KINDS, ids=lambda kind: kind.plural)
@pytest.mark.parametrize("who", PEOPLE)
async def test_only_what_the_role_promises(wire: Wire, who: str, kind: Kind[Any]) -> None:
    served = [verb for verb in METHODS if verb in kind.verbs]
    assert served, kind
    for verb in served:
        seen = await code(wire, who, kind, verb)
        if promised(who, kind, verb):
            assert seen != 403 and seen < 500, (who, verb, kind.plural, seen)
        else:
            assert seen == 403, (who, verb, kind.plural, seen)


async def test_what_exists_is_not_told_to_those_who_may_not_read_it(wire: Wire) -> None:
    path = "/api/v1/namespaces/default/secrets"
    await wire.ok("POST", path, {"metadata": {"name": "real"}, "data": {}})
    for who in ("nobody", "viewer", "worker"):
        there = await wire.ask("GET", f"{path}/real", who=PEOPLE[who])
        absent = await wire.ask("GET", f"{path}/fake", who=PEOPLE[who])
        assert there.code == absent.code == 403
        assert there.json["message"] == absent.json["message"].replace("fake", "real")


async def test_a_right_in_one_namespace_shows_nothing_of_another(wire: Wire) -> None:
    maps, rbac = "/api/v1/namespaces/{}/configmaps", "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    for room in ("default", "other"):
        await wire.ok("POST", maps.format(room), {"metadata": {"name": f"in-{room}"}})
    reader = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}
    bound = {"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "nils"}]}
    bound["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    await wire.ok("POST", f"{rbac}/roles", reader)
    await wire.ok("POST", f"{rbac}/rolebindings", bound)
    mine = await wire.ok("GET", maps.format("default"), who=PEOPLE["nobody"])
    assert [each["metadata"]["name"] for each in mine["items"]] == ["in-default"]
    others = ("/api/v1/configmaps", maps.format("other"), f"{maps.format('other')}/in-other", "/api/v1/namespaces")
    watches = (f"{maps.format('other')}?watch=1", "/api/v1/configmaps?watch=1")
    for path in (*others, *watches):
        assert (await wire.ask("GET", path, who=PEOPLE["nobody"])).code == 403


@pytest.mark.parametrize(
    "path", ["/apis/nowhere.dev/v1/things", "/api/v1/castles", "/apis/aerekos.cloud/v9/services"]
)
async def test_what_is_not_served_is_not_found(wire: Wire, path: str) -> None:
    assert (await wire.ask("GET", path, who=PEOPLE["admin"])).code == 404
    assert (await wire.ask("GET", path, who=PEOPLE["nobody"])).code in (403, 404)
