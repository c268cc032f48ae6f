"""A person at kubectl, against a real cloud: policies deny and warn, quotas and profiles refuse, and it says why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port, eventually
from kubectl import Kubectl, kubectl_for, oldest_or_newest

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few-copies}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [aerekos.cloud], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [services]}
  validations:
  - expression: "object.spec.replicas <= 2"
    messageExpression: "'at most 2 copies, not ' + string(object.spec.replicas)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-copies}
spec: {policyName: few-copies, validationActions: [ACTION]}
"""
SERVICE = """
apiVersion: aerekos.cloud/v1
kind: Service
metadata: {name: NAME}
spec: {image: "nginx:1", replicas: REPLICAS, enabled: false, ports: [{port: 80, published: PUBLISHED}]}
"""
QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: small}
spec: {hard: {configmaps: "1"}}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    program = oldest_or_newest("oldest")
    cloud = Cloud(tmp_path_factory.mktemp("admission") / "home", a_port())
    cloud.do("up")
    yield kubectl_for(cloud, program, tmp_path_factory.mktemp("kubectl"))
    cloud.command("down")
    shutil.rmtree(cloud.home, ignore_errors=True)


def service(name: str, replicas: int, published: int = 18080) -> str:
    named = SERVICE.replace("NAME", name).replace("REPLICAS", str(replicas))
    return named.replace("PUBLISHED", str(published))


def test_a_policy_denies_then_warns(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.do("apply", "-f", "-", text=POLICY.replace("ACTION", "Deny"))
    kubectl.do("apply", "-f", "-", text=service("web", 2))
    refused = kubectl.say("apply", "-f", "-", text=service("more", 3))
    assert refused.code == 1 and "denied request: at most 2 copies, not 3" in refused.err
    scaled = kubectl.say("scale", "services.aerekos.cloud/web", "--replicas=5")
    assert scaled.code == 1 and "few-copies" in scaled.err
    edited = kubectl.say("scale", "deployment/web", "--replicas=5")
    assert edited.code == 1 and "few-copies" in edited.err
    kubectl.do("apply", "-f", "-", text=POLICY.replace("ACTION", "Warn"))
    warned = kubectl.say("apply", "-f", "-", text=service("more", 3))
    assert warned.code == 0 and "Warning: Validation failed" in warned.err and "not 3" in warned.err
    kubectl.do("delete", "validatingadmissionpolicybinding", "few-copies")
    assert "few-copies" in kubectl.do("get", "validatingadmissionpolicies")
    kubectl.do("delete", "validatingadmissionpolicy", "few-copies")


def test_a_bad_expression_is_refused_with_its_place(kubectl: Kubectl) -> None:
    refused = kubectl.say("apply", "-f", "-", text=POLICY.replace("ACTION", "Deny").replace("<= 2", "<= <= 2"))
    assert refused.code == 1
    assert "spec.validations[0].expression" in refused.err and "Syntax error" in refused.err


def test_a_profile_refuses_and_says_what(kubectl: Kubectl) -> None:
    refused = kubectl.say("apply", "-f", "-", text=service("low", 1, published=80))
    assert refused.code == 1 and 'violates PodSecurity "baseline:latest"' in refused.err
    kubectl.do("label", "namespace", "default", "pod-security.kubernetes.io/enforce=privileged")
    kubectl.do("apply", "-f", "-", text=service("low", 1, published=80))
    kubectl.do("label", "namespace", "default", "pod-security.kubernetes.io/enforce-")


def test_a_quota_refuses_and_counts(kubectl: Kubectl) -> None:
    kubectl.do("apply", "-f", "-", text=QUOTA)
    kubectl.do("create", "configmap", "one")
    refused = kubectl.say("create", "configmap", "two")
    assert refused.code == 1 and "exceeded quota: small" in refused.err
    path = "jsonpath={.status.used.configmaps}"
    eventually(lambda: kubectl.do("get", "resourcequota", "small", "-o", path) == "1", "counted")
    described = kubectl.do("describe", "resourcequota", "small")
    assert "configmaps" in described
