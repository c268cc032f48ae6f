"""Unmodified kubectl against a real cloud over TLS: every verb that is said to work, with the oldest and the newest.
Those between them do their daily work in test_kubectl_versions.py.

The steps of the table build on each other. `{ns}` is a namespace of its own for each kubectl.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass

import pytest
from clouds import Cloud, eventually
from kubectl import Kubectl, following, kubectl_for, oldest_or_newest

S = "services.aerekos.cloud"
WEB = """
apiVersion: aerekos.cloud/v1
kind: Service
metadata: {name: web, namespace: NS, labels: {app: web}}
spec: {image: "nginx:1", replicas: 0, env: [{name: A, value: "1"}]}
"""
CONF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, namespace: NS}
data: {a: "1", b: "2"}
"""
GENERATED = """
apiVersion: v1
kind: ConfigMap
metadata: {generateName: gen-, namespace: NS}
"""
LAMPS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: lamps, singular: lamp, kind: Lamp, shortNames: [lm]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Watts, type: integer, jsonPath: .spec.watts}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              watts: {type: integer, minimum: 1, description: How bright it is.}
              note: {type: string, nullable: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
DESK = """
apiVersion: NS.example/v1
kind: Lamp
metadata: {name: desk, namespace: NS}
spec: {watts: 5}
"""
NULL = """
apiVersion: NS.example/v1
kind: Lamp
metadata: {name: nulled, namespace: NS}
spec: {watts: 5, note: null}
"""
LIT = '{"status":{"conditions":[{"type":"Lit","status":"True","observedGeneration":1}]}}'
# JSON: `create --raw` sends what it is given.
RAW = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}, "data": {"a": "7"}}'

ONE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {set: NS}}
"""
PLAIN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, namespace: NS}
data: {a: b}
"""
BOTH = f"{ONE}---{ONE.replace('name: one', 'name: two')}"
READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]
"""
OAK = """
apiVersion: aerekos.cloud/v1
kind: Worker
metadata: {name: oak-NS}
spec: {}
"""


@dataclass(frozen=True)
class Step:
    """One command line, what its output must match, and which minor versions of kubectl know it."""

    line: str
    says: str
    text: str = ""
    code: int = 0
    since: int = 0
    until: int = 99


STEPS = [
    Step("version", r"v1\.30\.0\+aerekos"),
    Step("cluster-info", "is running at"),
    Step("api-versions", "aerekos.cloud/v1"),
    Step("api-resources", r"workers +wk +aerekos.cloud/v1 +false +Worker"),
    Step("create namespace {ns}", "created"),
    # our own kinds
    Step("apply -f -", "web created", WEB),
    Step("apply -f -", "web unchanged", WEB),
    Step("diff -f -", r"\+ +image: nginx:2", WEB.replace("nginx:1", "nginx:2"), code=1),
    Step("apply -f -", "web configured", WEB.replace("nginx:1", "nginx:2")),
    Step("apply --dry-run=server -f -", "server dry run", WEB),
    Step("get {S} web -n {ns} -o yaml", "image: nginx:2"),
    Step("get {S} -n {ns} -o json", '"kind": "List"'),
    Step("get {S} -n {ns} -o name", "service.aerekos.cloud/web"),
    Step("get {S} -n {ns} -o wide", r"IMAGE.*\n.*nginx:2"),
    Step("get {S} -n {ns} -o custom-columns=N:.metadata.name,I:.spec.image", r"N +I\nweb +nginx:2"),
    Step("get {S} web -n {ns} -o jsonpath={.spec.env[0].name}", "^A$"),
    Step("get {S} -n {ns} -o go-template={{range.items}}{{.spec.image}}{{end}}", "^nginx:2$"),
    Step("get {S} web -n {ns} -o yaml --show-managed-fields", "managedFields", since=21),
    Step("get services -n {ns}", r"NAME +READY +STATUS +RESTARTS +AGE\nweb +0/0"),
    Step("describe services web -n {ns}", r"Name: +web"),
    Step("get {S} -n {ns} -l app=web", "web"),
    Step("get {S} -n {ns} -l app!=web", "No resources found"),
    Step("get {S} -n {ns} --field-selector metadata.name=web", "web"),
    Step("get {S} -A --sort-by=.spec.replicas", r"(?s)web.*key-manager"),
    Step("get asvc,wk -A", r"(?s)service.aerekos.cloud/web.*worker.aerekos.cloud"),
    Step("describe {S} web -n {ns}", r"Name: +web"),
    Step("describe {S} key-manager", r"(?s)Events:.*Started"),
    Step("label {S} web -n {ns} tier=front", "labeled"),
    Step("annotate {S} web -n {ns} note=hi", "annotate"),
    Step("edit {S} web -n {ns}", "edited"),
    Step("patch {S} web -n {ns} --type=merge -p {\"spec\":{\"env\":[]}}", "patched"),
    Step('patch {S} web -n {ns} --type=json -p [{"op":"replace","path":"/spec/image","value":"nginx:3"}]', "patched"),
    Step("patch {S} web -n {ns} -p {\"spec\":{\"replicas\":0}}", "application/merge-patch", code=1),
    Step("scale {S} web -n {ns} --replicas=0", "scaled"),
    Step("scale {S} web -n {ns} --replicas=1 --current-replicas=7", "xpected replicas to be 7, was 0", code=1),
    # What was seen is for whoever saw it to write.
    Step("patch {S} web -n {ns} --subresource=status --type=merge -p {}", "forbidden", code=1, since=24),
    Step("diff --server-side --field-manager=third -f -", "conflict", WEB.replace("nginx:1", "nginx:8"), code=2),
    Step("apply -f -", "unknown field", WEB.replace("replicas", "replikas"), code=1),
    Step("apply --server-side --field-manager=other -f -", "conflict", WEB.replace("nginx:1", "nginx:9"), code=1),
    Step("apply --server-side --field-manager=other --force-conflicts -f -", "serverside-applied", WEB),
    Step("explain worker.spec --api-version=aerekos.cloud/v1", "unschedulable"),
    Step("explain service.spec.replicas --api-version=aerekos.cloud/v1", "replicas"),
    Step("wait --for=condition=Ready {S} key-manager --timeout=60s", "condition met"),
    Step("wait --for=jsonpath={.status.phase}=Ready wk --all --timeout=60s", "condition met", since=24),
    # kinds Kubernetes itself has
    Step("apply -f -", "conf created", CONF),
    Step("apply -f -", "conf configured", CONF.replace('"2"', '"3"')),
    Step("apply view-last-applied cm conf -n {ns}", 'b: "3"'),
    Step("apply --server-side -f -", "serverside-applied", CONF.replace('"2"', '"5"')),
    Step("apply -f -", "conf configured", CONF.replace('"2"', '"3"')),
    Step("patch configmap conf -n {ns} -p {\"data\":{\"c\":\"4\"}}", "patched"),
    Step("get cm conf -n {ns} -o jsonpath={.data}", r'"b": ?"3","c": ?"4"'),
    Step("create -f -", "gen-[0-9a-f]+ created", GENERATED),
    Step("replace -f -", "replaced", CONF),
    Step("apply -n {ns} -f -", r"(?s)one created.*two created", BOTH),
    Step("apply --prune -l set=NS --prune-whitelist=core/v1/ConfigMap -n {ns} -f -", "two pruned", ONE, until=25),
    Step("apply --prune -l set=NS -n {ns} -f -", "two pruned", ONE, since=26),
    Step("create -f -", "plain created", PLAIN),
    Step("diff -f -", "^$", PLAIN),
    Step("create job later -n {ns} --image=nginx:1", "make a Service of aerekos.cloud/v1", code=1),
    Step("get jobs,sts,pvc -n {ns}", "No resources found"),
    Step("get endpoints", "key-manager"),
    Step("get events.events.k8s.io", "key-manager"),
    Step("delete namespace default", "may not be deleted", code=1),
    Step("create secret generic pass -n {ns} --from-literal=p=q", "created"),
    Step("describe secret pass -n {ns}", "p: +1 byte"),
    Step("create configmap more -n {ns} --from-literal=p=q", "created"),
    Step("create serviceaccount robot -n {ns}", "created"),
    Step("create token robot -n {ns} --duration=10m", r"^eyJ[\w-]+\.[\w-]+\.[\w-]+$", since=24),
    Step("create token robot -n {ns} --audience=vault", "spec.audiences", code=1, since=24),
    # who may do what
    Step("create role reader -n {ns} --verb=get,list --resource=configmaps", "created"),
    Step("create rolebinding jane -n {ns} --role=reader --user=jane", "created"),
    Step("auth can-i list configmaps -n {ns} --as jane", "^yes"),
    Step("auth can-i delete configmaps -n {ns} --as jane", "^no", code=1),
    Step("get configmaps -n {ns} --as jane", "conf"),
    Step("delete configmap conf -n {ns} --as jane", "Forbidden", code=1),
    Step("auth can-i list configmaps -n {ns} --as system:serviceaccount:{ns}:robot", "^no", code=1),
    Step("create rolebinding robot -n {ns} --clusterrole=view --serviceaccount={ns}:robot", "created"),
    Step("auth can-i list configmaps -n {ns} --as system:serviceaccount:{ns}:robot", "^yes"),
    Step("auth reconcile -f -", "reconciled", READER),
    Step("get clusterroles", r"(?s)cluster-admin.*edit.*view"),
    Step("describe clusterrole view", "pods/log"),
    Step("auth can-i --list", "Resources"),
    Step("auth whoami", "admin", since=28),
    # kinds of one's own
    Step("apply -f -", "created", LAMPS),
    Step("wait --for=condition=Established crd lamps.{ns}.example --timeout=60s", "condition met"),
    Step("get crd", r"(?s)lamps.*services.aerekos.cloud"),
    Step("apply -f -", "desk created", DESK),
    Step("apply -f -", "spec.watts", DESK.replace("5", "0"), code=1),
    Step("get lamps.{ns}.example -n {ns}", r"desk +5"),
    Step("apply --server-side -f -", "nulled serverside-applied", NULL),
    Step("diff --server-side -f -", "^$", NULL),
    Step("get lamps.{ns}.example nulled -n {ns} -o yaml", "note: null"),
    # what was said of an older generation does not count
    Step("patch {L} desk -n {ns} --subresource=status --type=merge -p {LIT}", "patched", since=24),
    Step("wait --for=condition=Lit {L}/desk -n {ns} --timeout=60s", "condition met", since=24),
    Step("patch {L} desk -n {ns} --type=merge -p {\"spec\":{\"watts\":6}}", "patched"),
    Step("wait --for=condition=Lit {L}/desk -n {ns} --timeout=1s", "timed out", code=1, since=24),
    Step('wait --for=jsonpath={.status.conditions[?(@.type=="Lit")].status}=True {L}/desk -n {ns} --timeout=60s',
         "condition met", since=31),
    Step("wait --for=create {L}/desk -n {ns} --timeout=60s", "condition met", since=31),
    Step("wait --for=create {L}/nobody -n {ns} --timeout=1s", "timed out", code=1, since=31),
    # with nothing of kubectl's between
    Step("create --raw {MAPS} -f -", r'"name": ?"raw"', RAW),
    Step("replace --raw {MAPS}/raw -f -", r'"a": ?"8"', RAW.replace("7", "8")),
    Step("get --raw {MAPS}/raw", r'"a": ?"8"'),
    Step("delete --raw {MAPS}/raw", '"Success"'),
    Step("get --raw {MAPS}/raw", "NotFound", code=1),
    Step("explain lamps.{ns}.example.spec.watts", "How bright", since=27),
    Step("delete crd lamps.{ns}.example --timeout=60s", "deleted"),
    # workers and services as nodes, pods and deployments
    Step("get nodes -o wide", r"Ready +worker"),
    Step("cordon --selector=kubernetes.io/os=linux", "cordoned"),
    Step("get nodes", "SchedulingDisabled"),
    Step("uncordon --selector=kubernetes.io/os=linux", "uncordoned"),
    Step("taint nodes --all only={ns}:NoSchedule", "tainted"),
    Step("taint nodes --all only-", "untainted"),
    Step("describe nodes", r"(?s)HolderIdentity: +\S.*Capacity:.*key-manager-0"),
    Step("get pods,deployments,replicasets,services", "deployment.apps/key-manager"),
    Step("describe pod key-manager-0", "Image: +managed/key-manager"),
    Step("logs key-manager-0 --tail=1", "."),
    Step("logs key-manager-0 --since=1h --limit-bytes=10", "^.{10}$"),
    Step("attach key-manager-0", "logs -f", code=1),
    Step("port-forward key-manager-0 18080:80", "gateway", code=1),
    Step("logs deployment/key-manager --tail=1", "."),
    Step("delete pod key-manager-0", "deleted"),
    Step("wait --for=condition=Ready pod key-manager-0 --timeout=60s", "condition met"),
    Step("rollout restart deployment/key-manager", "restarted"),
    Step("rollout status deployment/key-manager --timeout=60s", "successfully rolled out"),
    Step("set env deployment/key-manager LETTER={ns}", "comes from its manifest alone", code=1),
    Step("set resources deployment/key-manager --limits=memory=2Gi", "resource requirements updated"),
    Step("rollout status deployment/key-manager --timeout=60s", "successfully rolled out"),
    Step("annotate deployment/key-manager kubernetes.io/change-cause=NS-letter --overwrite", "annotate"),
    Step("rollout history deployment/key-manager", r"REVISION[^$]*NS-letter"),
    Step("rollout undo deployment/key-manager --to-revision=999", "unable to find", code=1),
    Step("rollout pause deployment/key-manager", "spec.paused", code=1),
    Step("rollout undo deployment/key-manager", "rolled back"),
    Step("rollout status deployment/key-manager --timeout=60s", "successfully rolled out"),
    Step("get {S} key-manager -o jsonpath={.spec.resources.limits}", r"^(?!.*2Gi)"),
    Step("set image deployment/web *=nginx:4 -n {ns}", "image updated"),
    Step("scale deployment/web -n {ns} --replicas=0", "scaled"),
    Step("top nodes", "CPU"),
    Step("top pods", "key-manager-0"),
    Step("get all", "pod/key-manager-0"),
    Step("get events -A", "LAST SEEN"),
    Step("events -A", "LAST SEEN", since=26),
    Step("apply -f -", "created", OAK),
    Step("drain oak-{ns} --timeout=60s", "drained"),
    Step("get node oak-{ns}", "SchedulingDisabled"),
    Step("delete node oak-{ns} --timeout=60s", "deleted"),
    # the end
    Step("delete {S} web -n {ns}", "deleted"),
    Step("get {S} web -n {ns}", "NotFound", code=1),
    Step("delete cm,secrets --all -n {ns}", "deleted"),
    Step("delete namespace {ns} --timeout=60s", "deleted"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["oldest", "newest"])
def kubectl(request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_for(cloud, oldest_or_newest(request.param), tmp_path_factory.mktemp("kubectl"))


def minor(kubectl: Kubectl) -> int:
    found = re.search(r'Minor:"(\d+)|Client Version: v1\.(\d+)', kubectl.do("version", "--client"))
    assert found
    return int(found[1] or found[2])


def test_every_verb(kubectl: Kubectl) -> None:
    version = minor(kubectl)
    namespace = f"k{version}"
    failures: list[str] = []
    for step in STEPS:
        if not step.since <= version <= step.until:
            continue
        line = step.line.replace("{MAPS}", "/api/v1/namespaces/{ns}/configmaps")
        line = line.replace("{L}", "lamps.{ns}.example").replace("{ns}", namespace).replace("NS", namespace)
        words = line.split()
        words = [each.replace("{S}", S).replace("{LIT}", LIT) for each in words]
        said = kubectl.say(*words, text=step.text.replace("NS", namespace) or None, EDITOR="sed -i s/front/back/")
        if said.code != step.code or not re.search(step.says.replace("NS", namespace), said.out + said.err):
            failures.append(f"{' '.join(words)}\n    wanted {step.code} /{step.says}/, got {said}")
    assert not failures, "\n".join(failures)


def test_watching_shows_changes_as_they_happen(kubectl: Kubectl) -> None:
    watching, lines = following(kubectl, "get", "configmaps", "--watch", "--output-watch-events", "-l", "seen=yes")
    try:
        name = f"w{minor(kubectl)}"
        kubectl.do("create", "configmap", name, "--from-literal=a=b")
        kubectl.do("label", "configmap", name, "seen=yes")
        eventually(lambda: any("ADDED" in each and name in each for each in lines), "it came into the selector")
        kubectl.do("label", "configmap", name, "seen-")
        eventually(lambda: any("DELETED" in each and name in each for each in lines), "it left the selector")
    finally:
        watching.kill()
        watching.wait()
        kubectl.say("delete", "configmap", f"w{minor(kubectl)}")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_deletions_take_their_dependents_along_or_leave_them(kubectl: Kubectl, cascade: str) -> None:
    owner, dependent = f"owner-{cascade}", f"dependent-{cascade}"
    kubectl.do("create", "configmap", owner)
    uid = kubectl.do("get", "configmap", owner, "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": True}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": dependent, "ownerReferences": [reference]}}
    kubectl.do("create", "-f", "-", text=json.dumps(body))
    kubectl.do("delete", "configmap", owner, f"--cascade={cascade}", "--timeout=60s")
    if cascade == "orphan":
        assert not kubectl.do("get", "configmap", dependent, "-o", "jsonpath={.metadata.ownerReferences}")
        kubectl.do("delete", "configmap", dependent)
    eventually(lambda: kubectl.say("get", "configmap", dependent).code == 1, f"{dependent} goes with its owner")


def test_a_deletion_can_be_waited_for(kubectl: Kubectl) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["a.example/b"]}}
    kubectl.do("create", "-f", "-", text=json.dumps(body))
    kubectl.do("delete", "configmap", "held", "--wait=false")
    wait = ("wait", "--for=delete", "configmap/held", "--timeout=60s", "-v=6")
    waiting, lines = following(kubectl, *wait, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: any("watch=true" in each for each in lines), "it watches")
        kubectl.do("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        assert waiting.wait(60) == 0 and any("condition met" in each for each in lines)
    finally:
        waiting.kill()


@pytest.mark.parametrize("gate", ["WatchListClient", "ClientsPreferCBOR"])
def test_what_clients_will_do_by_default_works_already(kubectl: Kubectl, gate: str) -> None:
    """Gates of client-go; programs that do not know them pass them over."""
    ahead = {"KUBE_FEATURE_ClientsAllowCBOR": "true", f"KUBE_FEATURE_{gate}": "true"}
    said = kubectl.say("wait", "--for=condition=Ready", "pod", "key-manager-0", "--timeout=60s", **ahead)
    assert said.code == 0, said
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ahead"}, "data": {"a": "1"}}
    assert kubectl.say("apply", "-f", "-", text=json.dumps(body), **ahead).code == 0
    assert kubectl.say("get", "cm", "ahead", "-o", "jsonpath={.data.a}", **ahead).out == "1"
    assert kubectl.say("delete", "cm", "ahead", "--timeout=60s", **ahead).code == 0


def test_logs_go_on(kubectl: Kubectl) -> None:
    process, lines = following(kubectl, "logs", "-f", "key-manager-0", "--tail=0")
    try:
        before = len(lines)
        kubectl.do("delete", "pod", "key-manager-0")
        eventually(lambda: len(lines) > before, "the restarted instance writes its first lines")
    finally:
        process.kill()
        process.wait()


def test_a_drain_says_why_it_cannot(kubectl: Kubectl) -> None:
    node = kubectl.do("get", "nodes", "-o", "name").strip().removeprefix("node/")
    try:
        said = kubectl.say("drain", node, "--timeout=2s")
        assert said.code != 0
        assert "no other worker takes new instances" in said.out + said.err
    finally:
        kubectl.do("uncordon", node)
