"""Admission over the wire: what namespaces, images, profiles and policies forbid is refused at every interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.kube.conftest import ADMIN, SERVICES, Reply, Wire
from unit.kube.conftest import wire as wire

from api.auth.principal import AUTHENTICATED, Principal
from controller.admission.cel import Language, faults_of, judged
from controller.admission.evaluator import Evaluator, TooExpensive
from controller.admission.images import means, read_reference
from controller.admission.pod_security import violations
from controller.admission.secrets import looks_secret
from controller.kit.virtual import VirtualLoop

pytestmark = pytest.mark.anyio
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
MAPS = "/api/v1/namespaces/default/configmaps"
DIGEST = "sha256:" + "a" * 64
MERGE = "application/merge-patch+json"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines under test are busy: only the tests that are about time ask for little of it."""
    monkeypatch.setattr("controller.admission.evaluator.SECONDS", 20.0)
    monkeypatch.setattr(Evaluator.__init__, "__defaults__", (20.0,))


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"image": "nginx:1", **spec}}


async def label(wire: Wire, **labels: str) -> None:
    named = {f"pod-security.kubernetes.io/{name}": value for name, value in labels.items()}
    await wire.merge("/api/v1/namespaces/default", {"metadata": {"labels": named}})


# Pod security


@pytest.mark.parametrize("port", [22, 80, 1023, 2375, 2376, 5000])
async def test_baseline_keeps_the_machines_own_ports(wire: Wire, port: int) -> None:
    spec = {"ports": [{"port": 8080, "published": port}]}
    refused = await wire.ask("POST", SERVICES, service(**spec), who=EDITOR)
    assert refused.code == 403 and f"published port {port}" in refused.json["message"]
    assert 'violates PodSecurity "baseline:latest"' in refused.json["message"]
    allowed = service("ok", ports=[{"port": 8080, "published": 18080}])
    assert (await wire.ask("POST", SERVICES, allowed, who=EDITOR)).code == 201


async def test_no_other_way_to_write_it_goes_round(wire: Wire) -> None:
    """Patch, apply and replace, and for admins too: what may run is the namespace's to say."""
    await wire.ok("POST", SERVICES, service(), who=EDITOR)
    bad = {"spec": {"ports": [{"port": 80, "published": 80}]}}
    applied = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", **service(**bad["spec"])}
    current = await wire.ok("GET", f"{SERVICES}/web")
    replaced = {**current, "spec": {**current["spec"], **bad["spec"]}}
    for who in (EDITOR, ADMIN):
        replies = [
            await wire.ask("PATCH", f"{SERVICES}/web", bad, content_type=MERGE, who=who),
            await wire.ask("PATCH", f"{SERVICES}/web?fieldManager=m&force=true", applied,
                           content_type="application/apply-patch+yaml", who=who),
            await wire.ask("PUT", f"{SERVICES}/web", replaced, who=who),
            await wire.ask("PATCH", f"{SERVICES}/other?fieldManager=m", {**applied, "metadata": {"name": "other"}},
                           content_type="application/apply-patch+yaml", who=who),
            await wire.ask("POST", f"{SERVICES}?dryRun=All", service("third", **bad["spec"]), who=who),
        ]  # fmt: skip
        assert [reply.code for reply in replies] == [403] * 5, [reply.json for reply in replies]


async def test_the_namespace_decides_and_only_admins_decide_for_it(wire: Wire) -> None:
    bad = service(ports=[{"port": 80, "published": 80}])
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    refused = await wire.ask("PATCH", "/api/v1/namespaces/default", labels, content_type=MERGE, who=EDITOR)
    assert refused.code == 403 and "escalate" in refused.json["message"]
    made = {"metadata": {"name": "mine", **labels["metadata"]}}
    assert (await wire.ask("POST", "/api/v1/namespaces", made, who=EDITOR)).code == 403
    await label(wire, enforce="privileged")
    assert (await wire.ask("POST", SERVICES, bad, who=EDITOR)).code == 201
    # What runs already may be changed further: only what a write adds is judged.
    await label(wire, enforce="restricted")
    assert (await wire.ask("PATCH", f"{SERVICES}/web", {"spec": {"replicas": 2}}, content_type=MERGE)).code == 200
    assert (await wire.ask("POST", SERVICES, service("b", ports=[{"port": 1, "published": 18080}]))).code == 403


async def test_labels_are_words_that_are_known(wire: Wire) -> None:
    body = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "basline"}}}
    assert (await wire.ask("PATCH", "/api/v1/namespaces/default", body, content_type=MERGE)).code == 422


async def test_warn_tells_and_lets_through(wire: Wire) -> None:
    await label(wire, enforce="privileged", warn="restricted")
    reply = await wire.ask("POST", SERVICES, service(ports=[{"port": 80, "published": 80}]))
    assert reply.code == 201 and "would violate PodSecurity" in reply.headers["warning"]


def test_what_services_may_be_given_one_day_is_judged_today() -> None:
    """The shapes of Kubernetes: a runtime that learns them meets the profile at once."""
    contexts = [
        {"privileged": True},
        {"capabilities": {"add": ["SYS_ADMIN"]}},
        {"seccompProfile": {"type": "Unconfined"}},
    ]
    for context in contexts:
        assert list(violations({"securityContext": context}, "baseline"))
    for context in ({"runAsUser": 0}, {"allowPrivilegeEscalation": True}, {"capabilities": {"add": ["CHOWN"]}}):
        assert list(violations({"securityContext": context}, "restricted"))
        assert not list(violations({"securityContext": context}, "privileged"))


async def test_the_first_namespaces_stay(wire: Wire) -> None:
    for who in (ADMIN, EDITOR):
        assert (await wire.ask("DELETE", "/api/v1/namespaces/default", who=who)).code == 403
    assert (await wire.ask("DELETE", "/api/v1/namespaces/other")).code == 200


# Images


async def test_only_images_of_the_policy_run(wire: Wire) -> None:
    path = "/apis/aerekos.cloud/v1/imagepolicies"
    policy = {"metadata": {"name": "ours"}, "spec": {"allow": [{"images": ["registry.example/team/*", "nginx"]}]}}
    assert (await wire.ask("POST", path, policy, who=EDITOR)).code == 403
    await wire.ok("POST", path, policy)
    for number, (image, code) in enumerate(
        {
            "registry.example/team/app:1": 201,
            "docker.io/library/nginx:1": 201,
            "nginx": 201,
            "redis": 403,
            "registry.example/teamster/app": 403,
            "registry.example.evil.com/team/app": 403,
            "evil.com/registry.example/team/app": 403,
            "registry.example/team/../other/app": 403,
            "registry.example/team/": 403,
            f"redis@{DIGEST}": 403,
        }.items()
    ):
        reply = await wire.ask("POST", SERVICES, service(f"s{number}", image=image), who=EDITOR)
        assert reply.code == code, (image, reply.json)
    merged = await wire.ask("PATCH", f"{SERVICES}/s2", {"spec": {"image": "redis"}}, content_type=MERGE, who=EDITOR)
    assert merged.code == 403 and "ask an admin" in merged.json["message"]
    program = await wire.ask("POST", SERVICES, service("code", image=None, command=["python3"]), who=EDITOR)
    assert program.code == 403 and "does not let a program of the machine run" in program.json["message"]
    turned = {"spec": {"image": None, "command": ["python3"]}}
    assert (await wire.ask("PATCH", f"{SERVICES}/s2", turned, content_type=MERGE, who=EDITOR)).code == 403
    view = {"spec": {"template": {"spec": {"containers": [{"name": "s2", "image": "redis"}]}}}}
    strategic = "application/strategic-merge-patch+json"
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    assert (await wire.ask("PATCH", f"{deployments}/s2", view, content_type=strategic, who=EDITOR)).code == 403


async def test_a_policy_may_be_for_some_namespaces_and_want_digests(wire: Wire) -> None:
    selector = {"matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod"]}]}
    spec = {"namespaceSelector": selector, "requireDigest": True}
    await wire.ok("POST", "/apis/aerekos.cloud/v1/imagepolicies", {"metadata": {"name": "d"}, "spec": spec})
    assert (await wire.ask("POST", SERVICES, service("free"))).code == 201
    await wire.merge("/api/v1/namespaces/default", {"metadata": {"labels": {"stage": "prod"}}})
    refused = await wire.ask("POST", SERVICES, service("loose"))
    assert refused.code == 403 and "nginx@sha256:" in refused.json["message"]
    assert (await wire.ask("POST", SERVICES, service("tight", image=f"nginx@{DIGEST}"))).code == 201
    wrong = {"metadata": {"name": "w"}, "spec": {"allow": [{"images": ["a*b"]}]}}
    assert (await wire.ask("POST", "/apis/aerekos.cloud/v1/imagepolicies", wrong)).code == 422


def test_names_of_images_are_taken_as_docker_takes_them() -> None:
    same = (
        "nginx",
        "nginx:1",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx:1",
        "index.docker.io/library/nginx",
    )
    found = {reference.repository if (reference := read_reference(each)) else None for each in same}
    assert found == {"docker.io/library/nginx"}
    assert means("docker.io/*", "docker.io/team/x") and not means("docker.io/*", "docker.iox/team")
    for bad in ("", ":1", "a b", "A", "a@sha256:1", "a:", "../a", "a//b", "http://a/b"):
        assert read_reference(bad) is None, bad


# Variables


async def test_a_variable_that_looks_like_a_secret_is_warned_of(wire: Wire) -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "dark"}]
    reply = await wire.ask("POST", SERVICES, service(env=env), who=EDITOR)
    assert reply.code == 201
    assert "DB_PASSWORD looks like a secret" in reply.headers["warning"] and "MODE" not in reply.headers["warning"]
    assert "hunter2" not in reply.headers["warning"]
    again = await wire.ask("PATCH", f"{SERVICES}/web", {"spec": {"replicas": 2}}, content_type=MERGE, who=EDITOR)
    assert "warning" not in again.headers


def test_what_looks_like_a_secret() -> None:
    for name, value in (("X", "postgres://u:p@db/x"), ("X", "AKIAIOSFODNN7EXAMPLE"), ("my_token", "x")):
        assert looks_secret(name, value)
    for name, value in (("TOKEN_FILE", "/run/t"), ("URL", "https://db/x@y"), ("MODE", "dark"), ("SECRET_NAME", "db")):
        assert not looks_secret(name, value)


# Policies in CEL


def policy(*validations: dict[str, Any], name: str = "p", **spec: Any) -> dict[str, Any]:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["configmaps"],
    }
    constraints = {"resourceRules": [rule]}
    whole = {"matchConstraints": constraints, "validations": list(validations), "failurePolicy": "Fail", **spec}
    return {"metadata": {"name": name}, "spec": whole}


def binding(*actions: str, name: str = "b", policy: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"policyName": policy, "validationActions": list(actions), **spec}}


async def made(wire: Wire, name: str, **data: str) -> Reply:
    return await wire.ask("POST", MAPS, {"metadata": {"name": name}, "data": data}, who=EDITOR)


async def test_a_policy_denies_where_it_is_bound_in_kubernetes_words(wire: Wire) -> None:
    await wire.ok("POST", POLICIES, policy({"expression": "size(object.data) <= 1"}))
    assert (await made(wire, "free", a="1", b="2")).code == 201  # no binding, no effect
    await wire.ok("POST", BINDINGS, binding("Deny"))
    refused = await made(wire, "two", a="1", b="2")
    assert (refused.code, refused.json["reason"]) == (422, "Invalid")
    assert refused.json["message"] == (
        "configmaps \"two\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
        "failed expression: size(object.data) <= 1"
    )
    assert (await made(wire, "one", a="1")).code == 201
    patched = await wire.ask("PATCH", f"{MAPS}/one", {"data": {"b": "2"}}, content_type=MERGE, who=EDITOR)
    assert patched.code == 422
    await wire.ok("DELETE", f"{POLICIES}/p")
    assert (await made(wire, "two", a="1", b="2")).code == 201


async def test_a_policy_warns_and_audits(wire: Wire) -> None:
    await wire.ok(
        "POST", POLICIES, policy({"expression": "false", "message": "no maps please", "reason": "Forbidden"})
    )
    await wire.ok("POST", BINDINGS, binding("Warn", "Audit"))
    reply = await made(wire, "a")
    assert reply.code == 201
    assert reply.headers["warning"] == (
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no maps please\""
    )
    await wire.ok("POST", BINDINGS, binding("Deny", name="c"))
    assert (await made(wire, "b")).code == 403  # the reason says so


async def test_everything_a_policy_sees(wire: Wire) -> None:
    expression = (
        "request.operation == 'DELETE' ? oldObject.metadata.name != 'kept' && object == null : "
        "request.userInfo.username == 'ed' && 'aerekos:editor' in request.userInfo.groups && "
        "namespaceObject.metadata.name == 'default' && variables.first == '1' && "
        "(oldObject == null || oldObject.data.a == object.data.a) && object.data[?'b'].orValue('x') == 'x'"
    )
    variables = [{"name": "first", "expression": "object.data.a"}]
    body = policy({"expression": expression, "messageExpression": "'no: ' + request.name"}, variables=variables)
    await wire.ok("POST", POLICIES, body)
    await wire.ok("POST", BINDINGS, binding("Deny"))
    assert (await made(wire, "kept", a="1")).code == 201
    changed = await wire.ask("PATCH", f"{MAPS}/kept", {"data": {"a": "2"}}, content_type=MERGE, who=EDITOR)
    assert changed.code == 422 and changed.json["message"].endswith("no: kept")
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "x"}, "data": {"a": "1"}})).code == 422  # not by ed
    assert (await wire.ask("DELETE", f"{MAPS}/kept", who=EDITOR)).code == 422
    assert (await wire.ask("DELETE", MAPS, who=EDITOR)).code == 422


async def test_params_come_from_resources(wire: Wire) -> None:
    body = policy(
        {"expression": "size(object.data) <= int(params.data.most)"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    await wire.ok("POST", POLICIES, body)
    reference = {"name": "limits", "namespace": "other", "parameterNotFoundAction": "Deny"}
    await wire.ok("POST", BINDINGS, binding("Deny", paramRef=reference))
    assert "no params found" in (await made(wire, "a", a="1")).json["message"]
    await wire.ok("DELETE", f"{BINDINGS}/b")
    await wire.ok(
        "POST", "/api/v1/namespaces/other/configmaps", {"metadata": {"name": "limits"}, "data": {"most": "1"}}
    )
    await wire.ok("POST", BINDINGS, binding("Deny", paramRef=reference))
    assert (await made(wire, "a", a="1")).code == 201
    assert (await made(wire, "b", a="1", b="1")).code == 422


async def test_conditions_namespaces_and_failures(wire: Wire) -> None:
    conditions = [{"name": "not-mine", "expression": "request.userInfo.username != 'admin'"}]
    broken = policy({"expression": "object.nothing.there == 1"}, matchConditions=conditions)
    await wire.ok("POST", POLICIES, broken)
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "nowhere"}}
    await wire.ok("POST", BINDINGS, binding("Deny", name="elsewhere", matchResources={"namespaceSelector": selector}))
    assert (await made(wire, "a")).code == 201
    await wire.ok("POST", BINDINGS, binding("Deny"))
    refused = await made(wire, "b")
    assert refused.code == 422 and "resulted in error" in refused.json["message"]
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "c"}})).code == 201  # the condition leaves admin out
    await wire.merge(f"{POLICIES}/p", {"spec": {"failurePolicy": "Ignore"}})
    assert (await made(wire, "d")).code == 201


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("object.spec.", "Syntax error"),
        ("1 + 'a' == 2", "no matching overload"),
        ("authorizer.group('').resource('x').check('get').allowed()", "undeclared reference to 'authorizer'"),
        ("params.x == 1", "undeclared reference to 'params"),
        ("'text'", "must evaluate to bool"),
        ("object.s.matches('(?!x)')", ""),
    ],
)
async def test_what_is_no_expression_is_refused_with_its_place(wire: Wire, field: str, expression: str) -> None:
    reply = await wire.ask("POST", POLICIES, policy({"expression": field}))
    if not expression:
        assert reply.code == 201  # RE2 refuses it when it is asked, and the policy fails closed
        return
    assert reply.code == 422, reply.json
    (cause,) = reply.json["details"]["causes"]
    assert cause["field"] == "spec.validations[0].expression" and expression in cause["message"]


async def test_admins_cannot_lock_themselves_out(wire: Wire) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    await wire.ok("POST", POLICIES, policy({"expression": "false"}, matchConstraints={"resourceRules": [rule]}))
    await wire.ok("POST", BINDINGS, binding("Deny"))
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "a"}})).code == 422
    await wire.ok("DELETE", f"{BINDINGS}/b")
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "a"}})).code == 201


@pytest.mark.parametrize("path", [POLICIES, BINDINGS])
async def test_editors_write_no_policies(wire: Wire, path: str) -> None:
    body = policy({"expression": "true"}) if path == POLICIES else binding("Deny")
    assert (await wire.ask("POST", path, body, who=EDITOR)).code == 403


async def test_what_makes_no_sense_is_refused(wire: Wire) -> None:
    both = binding("Deny", "Warn")
    assert (await wire.ask("POST", BINDINGS, both)).code == 422
    nothing = policy({"expression": "true"}, matchConstraints={})
    assert (await wire.ask("POST", POLICIES, nothing)).code == 422
    unknown = policy({"expression": "true"}, paramKind={"apiVersion": "x/v1", "kind": "Nope"})
    assert (await wire.ask("POST", POLICIES, unknown)).code == 422
    internal = policy({"expression": "true"}, paramKind={"apiVersion": "aerekos.cloud/v1", "kind": "Credential"})
    assert (await wire.ask("POST", POLICIES, internal)).code == 422


# The language


@pytest.fixture(scope="module")
def language() -> Language:
    return Language()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("object.l.all(e, e > 0) && object.l.exists(e, e == 3) && object.l.exists_one(e, e == 1)", True),
        ("object.l.filter(e, e > 1).map(e, e * 2) == [4, 6]", True),
        ("has(object.m.a) && !has(object.m.b) && 'a' in object.m", True),
        ("object.s.startsWith('ab') && object.s.matches('^[a-z]+$') && object.s.size() == 3", True),
        ("object.?m.?b.orValue('none') == 'none'", True),
        (
            "duration('1h') > duration('5m') && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
            True,
        ),
        ("7 / 2 == 3 && -7 % 3 == -1 && 1u + 2u == 3u && 2.5 > 2.0 && int('7') == 7 && string(7) == '7'", True),
        ("object.s.split('b') == ['a', 'c'] && object.s.upperAscii() == 'ABC'", True),
        ("false && object.nothing || true", True),
        ("type(object.l) == list && dyn(1) == 1", True),
    ],
)
def test_the_basics_of_cel(language: Language, expression: str, value: object) -> None:
    data = {"object": {"l": [1, 2, 3], "m": {"a": "x"}, "s": "abc"}}
    assert language.value(expression, {**EMPTY, **data}, params=False) == (value, "")


EMPTY: dict[str, Any] = {
    "object": {},
    "oldObject": None,
    "request": {},
    "namespaceObject": None,
    "variables": {},
    "params": None,
}


@pytest.mark.parametrize(
    "expression", ["object.no", "9223372036854775807 + 1 > 0", "1 / 0 == 1", "object.l[9] == 1", "[1][3] == 1"]
)
def test_errors_are_told_and_are_no_values(language: Language, expression: str) -> None:
    value, why = language.value(expression, {**EMPTY, "object": {"l": [1]}}, params=False)
    assert value is None and why


@pytest.fixture
def evaluator() -> Iterator[Evaluator]:
    made = Evaluator(20.0)
    yield made
    made.close()


def judge(evaluator: Evaluator, expression: str, obj: Any, seconds: float = 20.0) -> Any:
    evaluator._seconds = seconds
    spec = {"validations": [{"expression": expression}]}
    return evaluator.ask({"judge": spec, "data": {**EMPTY, "object": obj}})["failures"]


def test_evaluation_is_bounded_in_steps(evaluator: Evaluator) -> None:
    """A million steps over an object anybody may send."""
    nested = "object.l.all(a, object.l.all(b, object.l.all(c, a + b + c >= 0)))"
    (failure,) = judge(evaluator, nested, {"l": list(range(100))})
    assert "Iteration budget exceeded" in failure["message"]
    deep = "(" * 500 + "true" + ")" * 500
    assert evaluator.ask({"check": {"validations": [{"expression": deep}]}})


def test_expressions_are_linear_in_what_they_match(evaluator: Evaluator) -> None:
    (failure,) = judge(evaluator, "object.s.matches('(a+)+$')", {"s": "a" * 200_000 + "!"})
    assert not failure["error"]  # an answer, at once: false


def test_evaluation_is_bounded_in_memory(evaluator: Evaluator) -> None:
    doubling = "[object.s]" + ".map(a, a + a)" * 16 + "[0].size() > 5"
    with pytest.raises(TooExpensive):
        judge(evaluator, doubling, {"s": "x" * 100_000})
    assert judge(evaluator, "true", {}) == []  # the next one is answered by another process


def test_evaluation_is_bounded_in_time(evaluator: Evaluator) -> None:
    judge(evaluator, "true", {})
    slow = "object.l.all(a, !object.s.matches('^(x?){50}y'))"
    began = time.monotonic()
    with pytest.raises(TooExpensive):
        judge(evaluator, slow, {"l": list(range(9000)), "s": "x" * 300_000}, seconds=0.2)
    assert time.monotonic() - began < 10
    assert judge(evaluator, "true", {}) == []


def test_a_policy_that_gets_no_answer_fails_closed(language: Language) -> None:
    class Silent(Evaluator):
        def ask(self, question: dict[str, Any]) -> Any:
            raise TooExpensive("no answer")

    assert faults_of(language, {"validations": [{"expression": "tru"}]})
    assert judged(language, {"validations": [{"expression": "true"}]}, {**EMPTY})["failures"] == []
    assert issubclass(Silent, Evaluator)


async def test_it_costs_the_conductor_a_bounded_wait(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin's slow expression and an editor's large object: the write is refused, the conductor goes on."""
    await wire.ok(
        "POST", POLICIES, policy({"expression": "object.data.all(k, !object.data.s.matches('^(x?){50}y'))"})
    )
    await wire.ok("POST", BINDINGS, binding("Deny"))
    monkeypatch.setattr(wire.registry.admission.policies._evaluator, "_seconds", 0.2)
    data = {f"k{n}": "" for n in range(2000)} | {"s": "x" * 200_000}
    reply = await made(wire, "big", **data)
    assert reply.code == 422 and "takes longer" in reply.json["message"]
    began = time.monotonic()
    for n in range(20):  # whoever goes on like this is not waited for
        again = await made(wire, f"big{n}", **data)
        assert again.code == 422 and "too expensive just now" in again.json["message"]
    assert time.monotonic() - began < 5
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "small"}, "data": {"s": "x"}})).code == 201
    assert (await wire.ask("GET", MAPS, who=EDITOR)).code == 200


async def test_running_a_command_is_asked_too(tmp_path: Path) -> None:
    """CONNECT, as Kubernetes has it: a policy may say who runs what in whose instances."""
    async with served(tmp_path) as wire:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/exec"]}
        body = policy({"expression": "object.command != ['sh']"}, matchConstraints={"resourceRules": [rule]})
        await wire.ok("POST", POLICIES, body)
        await wire.ok("POST", BINDINGS, binding("Deny"))
        await wire.ok("POST", SERVICES, service())
        instances = [{"name": "web-0", "address": "x:1", "ready": True, "phase": "Ready"}]
        from controller.resources.strategy import WriteOptions
        from crds.kinds.service import SERVICE

        await wire.registry.merge(
            SERVICE,
            SERVICE.key("web"),
            {"status": {"instances": instances}},
            WriteOptions("test"),
            subresource="status",
        )
        path = "/api/v1/namespaces/default/pods/web-0/exec"
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "headers": [],
            "query_string": b"command=sh",
        }
        from crds.errors import Invalid

        with pytest.raises(Invalid):
            wire.api.instance_of(scope, ADMIN)
        assert wire.api.instance_of({**scope, "query_string": b"command=ls"}, ADMIN)[1] == "web-0"
        # And who restarts it: a pod that is deleted or evicted is no write of a stored resource.
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods", "pods/eviction"]}
        frozen = policy({"expression": "false"}, name="frozen", matchConstraints={"resourceRules": [pods]})
        await wire.ok("POST", POLICIES, frozen)
        await wire.ok("POST", BINDINGS, binding("Deny", name="frozen", policy="frozen"))
        assert (await wire.ask("DELETE", "/api/v1/namespaces/default/pods/web-0", who=EDITOR)).code == 422
        evict = "/api/v1/namespaces/default/pods/web-0/eviction"
        assert (await wire.ask("POST", evict, {"metadata": {"name": "web-0"}}, who=EDITOR)).code == 422


def served(folder: Path) -> Any:
    from contextlib import asynccontextmanager

    from unit.kube import conftest

    @asynccontextmanager
    async def run() -> AsyncIterator[Wire]:
        async for each in conftest.wire.__wrapped__(folder):  # type: ignore[attr-defined]
            yield each

    return run()
