"""Fills a temporary cloud with twelve workers and forty services, all through the API, and keeps the workers beating.

    python demo_data.py FOLDER PORT

Prints `ready` when everything is there, then goes on until its stdin is closed; then it stops the cloud.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import signal
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

API = "/apis/aerekos.cloud/v1"
MERGE = {"content-type": "application/merge-patch+json"}
PASSWORD = "demo-password-only-for-pictures"
GIB = 2**30
_BEGAN = datetime.now(UTC)

WORKERS = {  # name: (cores, memory GiB, disk GiB, share of use)
    "atlas-01": (32, 128, 3840, 0.44),
    "atlas-02": (32, 128, 3840, 0.38),
    "atlas-03": (32, 128, 3840, 0.51),
    "atlas-04": (32, 128, 3840, 0.29),
    "edge-fra-01": (8, 32, 960, 0.33),
    "edge-fra-02": (8, 32, 960, 0.27),
    "edge-waw-01": (8, 32, 960, 0.41),
    "gpu-01": (64, 512, 7680, 0.72),
    "gpu-02": (64, 512, 7680, 0.08),
    "vault-01": (16, 64, 61440, 0.57),
    "vault-02": (16, 64, 61440, 0.94),
}
SILENT, CORDONED = "edge-fra-02", "gpu-02"
SERVICES: dict[str, tuple[str, int, list[str]]] = {  # name: (managed or image, copies, needs)
    "iam-manager": ("iam_manager", 2, ["key-manager"]),
    "secrets-manager": ("secrets_manager", 2, ["key-manager"]),
    "db-manager": ("db_manager", 3, ["storage-manager-eu", "secrets-manager"]),
    "storage-manager-eu": ("storage_manager_eu", 3, ["key-manager"]),
    "queue-manager": ("queue_manager", 3, ["db-manager"]),
    "metrics-manager": ("metrics_manager", 2, ["storage-manager-eu"]),
    "logs-manager": ("logs_manager", 2, ["storage-manager-eu"]),
    "balancer-manager": ("balancer_manager", 2, []),
    "network-manager": ("network_manager", 2, []),
    "schedule-manager": ("schedule_manager", 1, ["queue-manager"]),
    "webhook-manager": ("webhook_manager", 2, ["queue-manager"]),
    "worker-manager": ("worker_manager", 1, []),
    "host-manager": ("host_manager", 1, ["network-manager"]),
    "system-manager": ("system_manager", 1, []),
    "security-manager": ("security_manager", 1, ["logs-manager"]),
    "auth-manager": ("auth_manager", 2, ["db-manager", "secrets-manager"]),
    "api-manager": ("api_manager", 2, ["db-manager", "auth-manager"]),
    "app-manager": ("app_manager", 1, ["api-manager"]),
    "cicd-manager": ("cicd_manager", 1, ["storage-manager-eu"]),
    "code-as-infra": ("code_as_infra", 1, []),
    "ai-manager": ("ai_manager", 2, ["storage-manager-eu"]),
    "mcp-manager": ("mcp_manager", 1, ["ai-manager"]),
    "analytics-manager": ("analytics_manager", 2, ["storage-manager-eu"]),
    "cdn-manager": ("cdn_manager", 2, ["balancer-manager"]),
    "crawler-manager": ("crawler_manager", 3, ["queue-manager"]),
    "domain-manager": ("domain_manager", 1, []),
    "tunnel-manager": ("tunnel_manager", 1, ["network-manager"]),
    "email-manager": ("email_manager", 2, ["domain-manager"]),
    "slack-manager": ("slack_manager", 1, ["webhook-manager"]),
    "sms-manager": ("sms_manager", 1, ["queue-manager"]),
    "shop-web": ("registry.example/shop/web:4.2.0", 4, ["shop-api"]),
    "shop-api": ("registry.example/shop/api:4.2.0", 3, ["db-manager", "queue-manager"]),
    "shop-search": ("registry.example/shop/search:1.9.3", 2, ["shop-api"]),
    "billing": ("registry.example/billing:2.0.1", 2, ["db-manager"]),
    "mailroom": ("registry.example/mailroom:0.8.0", 1, ["email-manager"]),
    "reports": ("registry.example/reports:3.3.1", 1, ["analytics-manager"]),
    "docs-site": ("registry.example/docs:12", 2, ["cdn-manager"]),
    "status-page": ("registry.example/status:1.1", 1, []),
    "imaging": ("registry.example/imaging:5.0.0", 2, ["ai-manager"]),
}
TROUBLE = {
    "slack-manager": ("Failed", 0, "0 of 1 instances ready; slack-manager-0 is CrashLoopBackOff: exit code 1, 6 restarts"),
    "crawler-manager": ("Degraded", 2, "2 of 3 instances ready; crawler-manager-2 is Starting: waiting for /ready"),
    "email-manager": ("Waiting", 0, "waiting for domain-manager to be enabled"),
    "reports": ("Updating", 1, "1 of 1 instances ready; a new copy is starting"),
    "domain-manager": ("Disabled", 0, "not enabled"),
    "sms-manager": ("Disabled", 0, "not enabled"),
}
MISSING = {"email-manager": [{"name": "domain-manager", "managed": "domain_manager", "reason": "Disabled"}]}
EVENTS = [
    ("slack-manager", "BackOff", "slack-manager-0 is restarted in 32 s: exit code 1", True, 6),
    ("crawler-manager", "Started", "crawler-manager-2 started on atlas-03", False, 1),
    ("reports", "Updating", "reports-1 replaces reports-0: image 3.3.0 becomes 3.3.1", False, 1),
    ("shop-api", "Ready", "shop-api-2 is ready on atlas-01", False, 1),
    ("db-manager", "Promoted", "db-manager-1 took over as primary in 1.8 s", True, 1),
    ("ai-manager", "Placed", "ai-manager-1 goes to gpu-01: most free memory", False, 1),
    ("storage-manager-eu", "Swept", "214 orphaned blobs removed, 3.1 GiB free again", False, 1),
    ("key-manager", "Rotated", "billing-2026 has a new version", False, 1),
]


def now(seconds_ago: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def before(seconds: float) -> str:
    """Before this program began: the same at each look."""
    return (_BEGAN - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def home_of(name: str, number: int) -> str:
    homes = [each for each in WORKERS if each not in (SILENT, CORDONED)]
    return homes[(len(name) * 3 + number * 5) % len(homes)]


def status_of(name: str, copies: int) -> dict[str, Any]:
    """What the conductor of the pictures says of that service; the same at each look."""
    phase, ready, message = TROUBLE.get(name, ("Ready", copies, f"{copies} of {copies} instances ready"))
    running = copies if phase in ("Ready", "Updating", "Degraded") else 0
    instances = [instance_of(name, number, number < ready) for number in range(running)]
    conditions = [
        {
            "type": "Ready",
            "status": "True" if phase in ("Ready", "Updating") else "False",
            "reason": "WaitingForDependencies" if name in MISSING else phase,
            "message": message,
            "lastTransitionTime": before(847),
        },
        {
            "type": "Progressing",
            "status": "True" if phase == "Updating" else "False",
            "reason": "UpToDate",
            "message": "",
            "lastTransitionTime": before(900),
        },
    ]
    if running:
        conditions.append(
            {
                "type": "Placed",
                "status": "True",
                "reason": "WorkersChosen",
                "message": "spread over the emptiest workers",
                "lastTransitionTime": before(5000),
            }
        )
    return {
        "phase": phase,
        "ready": f"{ready}/{0 if phase == 'Disabled' else copies}",
        "replicas": running,
        "readyReplicas": ready,
        "instances": instances,
        "conditions": conditions,
        "missingDependencies": MISSING.get(name, []),
    }


def instance_of(name: str, number: int, ready: bool) -> dict[str, Any]:
    worker = home_of(name, number)
    return {
        "name": f"{name}-{number}",
        "worker": worker,
        "address": f"10.20.0.{11 + list(WORKERS).index(worker)}:{41000 + (len(name) * 37 + number * 11) % 900}",
        "ready": ready,
        "phase": "Running" if ready else "Starting",
        "restarts": 0 if ready else 3,
        "startedAt": before(86400 * 3 + number * 4000),
    }


class Demo:
    """One temporary cloud and what is told to it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.url = f"https://127.0.0.1:{port}"
        self.beating = True
        self.placed: dict[str, str] = {}
        env = {
            **os.environ,
            "AEREKOS_HOME": str(home),
            "AEREKOS_PORT": str(port),
            "AEREKOS_ADMIN_PASSWORD": PASSWORD,
            "AEREKOS_RUNTIME": "process",
        }
        home.parent.mkdir(parents=True, exist_ok=True)
        log = home.with_name("demo.log").open("wb")  # beside it: a home begins empty
        cloud = [sys.executable, str(Path(__file__).with_name("demo_cloud.py"))]
        self.process = subprocess.Popen(cloud, env=env, stdout=log, stderr=log)

    def connect(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                context = ssl.create_default_context(cafile=str(self.home / "tls" / "ca.crt"))
                self.http = httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=20)
                body = {"username": "admin", "password": PASSWORD}
                self.token = self.call("POST", "/auth/login", json=body, bearer="")["accessToken"]
                return
            except (OSError, httpx.HTTPError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.2)

    def call(self, method: str, path: str, *, bearer: str | None = None, **more: Any) -> Any:
        token = self.token if bearer is None else bearer
        headers = {**more.pop("headers", {}), **({"authorization": f"Bearer {token}"} if token else {})}
        answer = self.http.request(method, path, headers=headers, **more)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def make(self, plural: str, name: str, spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
        scoped = "" if plural in ("workers", "users", "jointokens") else "/namespaces/default"
        body = {"metadata": {"name": name, **meta}, "spec": spec}
        made: dict[str, Any] = self.call("POST", f"{API}{scoped}/{plural}", json=body)
        return made

    def join(self) -> None:
        """Eleven machines join as real ones do: a token, then register, then beats."""
        secret = secrets.token_hex(16)
        spec = {"secretSha256": hashlib.sha256(secret.encode()).hexdigest(), "expiresAt": now(-86400), "uses": 20}
        self.make("jointokens", "join-rack-a", spec)
        self.proofs: dict[str, dict[str, str]] = {}
        for number, (name, (cores, memory, disk, _)) in enumerate(WORKERS.items()):
            given = self.call(
                "POST", "/auth/join", json={"token": f"join-rack-a.{secret}.x", "name": name}, bearer=""
            )
            proof = {"clientId": given["clientId"], "clientSecret": given["clientSecret"]}
            self.proofs[name] = proof
            token = self.prove(name)
            facts = {
                "capacity": {"cpu": str(cores), "memory": f"{memory}Gi", "disk": f"{disk}Gi"},
                "addresses": [{"type": "InternalIP", "address": f"10.20.0.{11 + number}"}],
                "system": {"osImage": "Debian GNU/Linux 12", "architecture": "x86_64", "kernelVersion": "6.1.0-37"},
            }
            self.call("POST", "/agents/register", json=facts, bearer=token)
        threading.Thread(target=self.beat, daemon=True).start()

    def prove(self, name: str) -> str:
        """A fresh token of that worker; they last ten minutes."""
        token: str = self.call("POST", "/auth/token", json=self.proofs[name], bearer="")["accessToken"]
        return token

    def beat(self) -> None:
        began = proved = time.monotonic()
        tokens = {name: self.prove(name) for name in self.proofs}
        while self.beating:
            if time.monotonic() - proved > 300:
                tokens, proved = {name: self.prove(name) for name in self.proofs}, time.monotonic()
            for number, (name, token) in enumerate(tokens.items()):
                if name == SILENT and time.monotonic() - began > 2:
                    continue
                cores, memory, disk, share = WORKERS[name]
                wave = share * (1 + 0.18 * math.sin(time.monotonic() / 3 + number))
                usage = {
                    "cpu": round(min(cores, cores * wave), 2),
                    "memory": int(memory * GIB * min(0.97, share + 0.14)),
                    "disk": int(disk * GIB * min(0.96, share + 0.05)),
                    "networkReceived": int(9e11 * share),
                    "networkSent": int(4e11 * share),
                }
                services = {
                    copy: {
                        "cpu": round(0.2 + (len(copy) % 5) * 0.3 * wave, 2),
                        "memory": (140 + len(copy) * 23) * 2**20,
                    }
                    for copy, worker in list(self.placed.items())
                    if worker == name
                }
                try:
                    self.call("POST", "/agents/heartbeat", json={"usage": usage, "services": services}, bearer=token)
                except (RuntimeError, httpx.HTTPError):
                    return
            time.sleep(0.8)

    def services(self) -> None:
        made = self.call("GET", f"{API}/namespaces/default/services")["items"]
        there = {each["metadata"]["name"] for each in made}  # what a cloud has from the start
        for name, (what, copies, needs) in SERVICES.items():
            if name in there:
                continue
            source = {"image": what} if "/" in what else {"managed": what}
            spec = {
                **source,
                "replicas": copies,
                "needs": needs,
                "enabled": TROUBLE.get(name, ("",))[0] != "Disabled",
            }
            self.make("services", name, spec, labels={"demo": "true"})
            for each in status_of(name, copies)["instances"]:
                self.placed[each["name"]] = each["worker"]

    def the_rest(self) -> None:
        for name, roles in (("nora", ["editor"]), ("elias", ["viewer"]), ("wiktor", ["editor"]), ("ci", ["viewer"])):
            self.make("users", name, {"roles": roles})
        for name, days in (
            ("billing-2026", 90),
            ("customer-files", 365),
            ("backups", None),
            ("legacy-imports", None),
        ):
            self.make("keys", name, {"description": f"for {name}", **({"rotateEvery": days} if days else {})})
        self.identities()
        for name in ("invoices", "media", "backups", "build-artifacts"):
            self.make("buckets", name, {})
        for number in range(1, 9):
            self.put(f"invoices/2026/{number:02}/summary.pdf", number * 41_000)
            self.put(f"invoices/2026-{number:02}.csv", number * 1_700)
        self.put("invoices/README.md", 900)
        self.call("PATCH", f"{API}/workers/{CORDONED}", json={"spec": {"unschedulable": True}}, headers=MERGE)
        for name, spec in (
            ("shop-web", {"replicas": 6}),
            ("imaging", {"replicas": 3}),
            ("reports", {"image": "registry.example/reports:3.3.2"}),
        ):
            self.call("PATCH", f"{API}/namespaces/default/services/{name}", json={"spec": spec}, headers=MERGE)
        self.others()
        for number, event in enumerate(EVENTS):
            self.event(number, *event)

    def identities(self) -> None:
        """Policies of IAM beside the roles: a group that may decrypt, a person who may not, a key with grants."""
        account, key = "arn:aws:iam::000000000000", "billing-2026"
        allow = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}
        limit = {"StringEquals": {"kms:EncryptionContext:team": "billing"}}
        deny = {"Sid": "NothingDestructive", "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"}
        document = policy({"Sid": "OpenInvoices", **allow, "Condition": limit}, deny)
        version = {"number": 1, "document": document, "createdAt": now(86400 * 20)}
        self.make("iampolicies", "openinvoices", {"policyName": "OpenInvoices", "versions": [version]})
        attached = [f"{account}:policy/OpenInvoices"]
        self.make("iamgroups", "accounting", {"groupName": "Accounting", "attached": attached})
        shut = policy({"Sid": "NotBackups", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::backups*"})
        inline = {"keep-out-of-backups": shut}
        self.make("iamusers", "nora", {"userName": "nora", "groups": ["Accounting"], "inline": inline})
        self.make("iamusers", "elias", {"userName": "elias", "groups": ["Accounting"]})
        trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"{account}:user/ci"}})
        uploads = policy({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::build-artifacts/*"})
        self.make("iamroles", "deployer", {"roleName": "Deployer", "trust": trust, "inline": {"upload": uploads}})
        self.make("keyaliases", "alias-billing", {"key": key, "aliasName": "alias/billing"})
        grantee = f"{account}:user/ci"
        self.make("keygrants", "ci-decrypts", {"key": key, "grantee": grantee, "operations": ["Decrypt"]})

    def others(self) -> None:
        """More than one person works here; one of them is refused something."""
        shop, mail = (f"{API}/namespaces/default/services/{name}" for name in ("shop-web", "mailroom"))
        nora = self.log_in("nora")
        self.call(
            "PATCH", shop, json={"spec": {"image": "registry.example/shop/web:4.3.0"}}, headers=MERGE, bearer=nora
        )
        env = [{"name": "CURRENCY", "value": "EUR"}, {"name": "FEATURE_WISHLIST", "value": "on"}]
        self.call("PATCH", shop, json={"spec": {"env": env}}, headers=MERGE, bearer=nora)
        self.call("PATCH", mail, json={"spec": {"replicas": 2}}, headers=MERGE, bearer=self.log_in("wiktor"))
        with contextlib.suppress(RuntimeError):
            self.call("DELETE", shop, bearer=self.log_in("ci"))

    def log_in(self, name: str) -> str:
        password = secrets.token_hex(12)
        self.call("POST", "/auth/password", json={"username": name, "password": password})
        answer = self.call("POST", "/auth/login", json={"username": name, "password": password}, bearer="")
        token: str = answer["accessToken"]
        return token

    def put(self, path: str, size: int) -> None:
        """An object, once the storage service is there."""
        deadline = time.monotonic() + 30
        while True:
            try:
                headers = {"authorization": f"Bearer {self.token}"}
                answer = self.http.put(f"/services/storage-manager/{path}", content=os.urandom(size), headers=headers)
                answer.raise_for_status()
                return
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def event(self, number: int, name: str, reason: str, message: str, warning: bool, times: int) -> None:
        service = self.call("GET", f"{API}/namespaces/default/services/{name}")
        body = {
            "metadata": {"name": f"{name}.demo{number}", "namespace": "default"},
            "involvedObject": {
                "kind": "Service",
                "name": name,
                "namespace": "default",
                "uid": service["metadata"]["uid"],
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "count": times,
            "firstTimestamp": now(number * 97 + 400),
            "lastTimestamp": now(number * 41 + 5),
        }
        self.call("POST", "/api/v1/namespaces/default/events", json=body)

    def stop(self) -> None:
        self.beating = False
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def main() -> None:
    demo = Demo(Path(sys.argv[1]) / "home", int(sys.argv[2]))
    try:
        demo.connect()
        demo.join()
        demo.services()
        demo.the_rest()
        time.sleep(5)  # the silent worker's lease runs out
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        demo.stop()


if __name__ == "__main__":
    main()
