"""Security checks of what the cloud itself says: users, roles, tokens, images, quotas, walls, the audit log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.api_client import ApiClient
from cli.errors import NotReachable, Refused
from cli.security.finding import Finding
from crds.conditions import ConditionType

Item = dict[str, Any]
_OURS = "/apis/aerekos.cloud/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_LISTS = {
    "users": f"{_OURS}/users",
    "credentials": f"{_OURS}/credentials",
    "jointokens": f"{_OURS}/jointokens",
    "accesskeys": f"{_OURS}/accesskeys",
    "imagepolicies": f"{_OURS}/imagepolicies",
    "services": f"{_OURS}/services",
    "workers": f"{_OURS}/workers",
    "namespaces": "/api/v1/namespaces",
    "resourcequotas": "/api/v1/resourcequotas",
    "limitranges": "/api/v1/limitranges",
    "clusterrolebindings": f"{_RBAC}/clusterrolebindings",
    "rolebindings": f"{_RBAC}/rolebindings",
    "clusterroles": f"{_RBAC}/clusterroles",
}
_TOKEN_DAYS, _KEY_DAYS = 30, 90
_HOUSE = ("aerekos-system", "kube-system", "kube-public", "kube-node-lease")
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|api_?key|private_?key)")


@dataclass
class Seen:
    """One look at everything. A kind that this cloud does not have is in `missing`."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    ready: Item = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def of(self, plural: str) -> list[Item]:
        return self.items.get(plural, [])


def look(api: ApiClient) -> Seen:
    """Asks for everything. Raises NotReachable."""
    seen = Seen()
    for plural, path in _LISTS.items():
        try:
            seen.items[plural] = list(api.get(path)["items"])
        except Refused:
            seen.missing.add(plural)
    try:
        seen.ready = dict(api.get("/ready"))
    except (Refused, NotReachable) as error:
        seen.ready = {"ready": False, "because": error.message}
    return seen


def check_cloud(seen: Seen) -> Iterator[Finding]:
    """Every check of what was seen."""
    for check in (_audit, _second_factors, _passwords, _join_tokens, _bindings, _images, _quotas, _limits, _walls):
        yield from check(seen)
    for check in (_overlays, _env, _profiles, _access_keys):
        yield from check(seen)


def _audit(seen: Seen) -> Iterator[Finding]:
    problems = seen.ready.get("audit") or []
    for each in problems:
        yield Finding(
            "high",
            "audit-health",
            str(each),
            "what is done while the log takes nothing cannot be told later",
            "make room, or repair the sink; /ready says when it is well again",
        )
    if not problems:
        yield Finding("ok", "audit-health", "the audit log is written, and its sinks take it")


def _second_factors(seen: Seen) -> Iterator[Finding]:
    if "credentials" in seen.missing:
        yield Finding("skipped", "second-factor", "only the local admin may see credentials")
        return
    have = {_name(each) for each in seen.of("credentials") if _has_second(each["spec"])}
    without = [user for user in seen.of("users") if not user["spec"].get("disabled") and _name(user) not in have]
    admins = sorted(_name(user) for user in without if "admin" in (user["spec"].get("roles") or ()))
    others = sorted(_name(user) for user in without if _name(user) not in admins)
    why = "a password that was phished, guessed or used elsewhere is enough to come in"
    fix = "let them enrol: aerekos user totp enrol; AEREKOS_SECOND_FACTOR=admins demands it"
    if admins:
        yield Finding("medium", "second-factor", f"admins without a second factor: {', '.join(admins)}", why, fix)
    if others:
        yield Finding("low", "second-factor", f"people without a second factor: {', '.join(others[:20])}", why, fix)
    if not without:
        yield Finding("ok", "second-factor", "everybody has a second factor")


def _has_second(spec: Item) -> bool:
    return bool((spec.get("totp") or {}).get("confirmed") or spec.get("passkeys"))


def _passwords(seen: Seen) -> Iterator[Finding]:
    waiting = sorted(_name(each) for each in seen.of("credentials") if each["spec"].get("oneTime"))
    if waiting:
        yield Finding(
            "medium",
            "one-time-password",
            f"a one-time password is still good for: {', '.join(waiting)}",
            "whoever saw it can log in as them first",
            "log in and choose a password: aerekos user passwd NAME",
        )


def _join_tokens(seen: Seen) -> Iterator[Finding]:
    living = [
        token for token in seen.of("jointokens") if not token["spec"].get("revoked") and not _ended(token, seen)
    ]
    long = [token for token in living if _moment(token["spec"]["expiresAt"]) - seen.now > timedelta(days=_TOKEN_DAYS)]
    unlimited = [token for token in living if token["spec"].get("uses") == 0]
    odd = {_name(each) for each in (*long, *unlimited)}
    if odd:
        yield Finding(
            "medium",
            "join-tokens",
            f"join tokens good for more than {_TOKEN_DAYS} days or any number of machines: {', '.join(sorted(odd))}",
            "whoever finds one makes their machine a worker, and is given workloads with their secrets",
            "aerekos token revoke NAME, and make short ones when a machine joins",
        )
    else:
        yield Finding("ok", "join-tokens", f"{len(living)} join tokens, all short")


def _bindings(seen: Seen) -> Iterator[Finding]:
    admins = sorted(_name(user) for user in seen.of("users") if "admin" in (user["spec"].get("roles") or ()))
    wide = []
    for binding in seen.of("clusterrolebindings"):
        for subject in binding.get("subjects") or ():
            named = f"{subject.get('kind', '')} {subject.get('name', '')}".strip()
            if subject.get("name") in ("system:authenticated", "system:unauthenticated", "system:anonymous"):
                wide.append(f"{_name(binding)} gives {binding['roleRef']['name']} to {named}")
            elif binding["roleRef"]["name"] == "cluster-admin":
                admins.append(f"{named} (by {_name(binding)})")
    if wide:
        yield Finding(
            "high",
            "wide-bindings",
            "; ".join(wide),
            "everybody who can log in, or everybody at all, has that role",
            "bind it to the people who need it",
        )
    yield Finding(
        "low" if len(admins) > 3 else "ok",
        "cluster-admins",
        f"may do everything: {', '.join(admins) or 'only the local certificate'}",
        "each of them is a way to lose everything",
        "give roles in namespaces instead of admin to all who do not run the cloud",
    )
    made = [each for each in seen.of("clusterroles") if _everything(each) and not _given(each)]
    for role in made:
        yield Finding(
            "medium",
            "wide-roles",
            f"the cluster role {_name(role)} allows every verb on everything",
            "a binding to it makes an admin without saying so",
            "name the resources and verbs it is for",
        )


def _everything(role: Item) -> bool:
    rules = role.get("rules") or (role.get("spec") or {}).get("rules") or ()
    return any("*" in (rule.get("verbs") or ()) and "*" in (rule.get("resources") or ()) for rule in rules)


def _given(role: Item) -> bool:
    return _name(role) in ("cluster-admin", "admin", "edit", "view")


def _images(seen: Seen) -> Iterator[Finding]:
    loose = [_place(each) for each in seen.of("services") if _image(each) and "@sha256:" not in _image(each)]
    if loose:
        yield Finding(
            "low",
            "image-digests",
            f"images by tag, not by digest: {', '.join(sorted(loose)[:20])}",
            "who may push that tag decides what runs at the next start",
            "write image: NAME@sha256:..., or demand it by an image policy",
        )
    else:
        yield Finding("ok", "image-digests", "every image is named by its digest")


def _image(service: Item) -> str:
    return str(service["spec"].get("image") or "")


def _quotas(seen: Seen) -> Iterator[Finding]:
    if "resourcequotas" in seen.missing:
        yield Finding("skipped", "quotas", "this cloud has no resource quotas")
        return
    limited = {each["metadata"]["namespace"] for each in seen.of("resourcequotas")}
    bare = sorted(_name(each) for each in seen.of("namespaces") if _name(each) not in limited | set(_HOUSE))
    if bare:
        yield Finding(
            "low",
            "quotas",
            f"namespaces without a ResourceQuota: {', '.join(bare[:20])}",
            "one tenant's loop takes the memory and the store of all",
            "apply a ResourceQuota and a LimitRange to each (docs/hardening.md)",
        )
    else:
        yield Finding("ok", "quotas", "every namespace has a quota")


def _limits(seen: Seen) -> Iterator[Finding]:
    bare = [_place(each) for each in seen.of("services") if not each["spec"].get("managed") and not _memory(each)]
    if bare:
        yield Finding(
            "low",
            "memory-limits",
            f"containers and programs without a memory limit: {', '.join(sorted(bare)[:20])}",
            "one of them can take the machine's memory from all others",
            "set spec.resources.limits.memory, or a LimitRange for the namespace",
        )


def _memory(service: Item) -> Any:
    return ((service["spec"].get("resources") or {}).get("limits") or {}).get("memory")


def _walls(seen: Seen) -> Iterator[Finding]:
    processes = [each for each in seen.of("services") if not _image(each)]
    known = [(each, _condition(each, ConditionType.ISOLATED)) for each in processes]
    told = [(each, found) for each, found in known if found]
    for service, found in told:
        if found.get("status") != "True":
            yield Finding(
                "medium",
                "isolation",
                f"{_place(service)} is not walled in: {found.get('message') or found.get('reason')}",
                "a fault in that service reaches further than the service",
                "run the conductor as root on Linux 6.2 or newer, or on a Swarm (docs/hardening.md)",
            )
    if told and all(found.get("status") == "True" for _, found in told):
        yield Finding("ok", "isolation", f"{len(told)} services are walled in")
    if not told:
        yield Finding("skipped", "isolation", "no service says whether it is walled in (containers are)")


def _overlays(seen: Seen) -> Iterator[Finding]:
    plain = [
        each
        for each in seen.of("workers")
        if (_condition(each, ConditionType.OVERLAY_ENCRYPTED) or {}).get("status") == "False"
    ]
    for worker in plain:
        yield Finding(
            "high",
            "overlay",
            f"traffic between containers of {_name(worker)} and others is not encrypted",
            "whoever is on the network between the machines reads and changes it",
            "make the networks anew with encryption (docs/swarm.md)",
        )
    if len(seen.of("workers")) < 2:
        yield Finding("ok", "overlay", "one machine: no overlay leaves it")


def _env(seen: Seen) -> Iterator[Finding]:
    told = []
    for service in seen.of("services"):
        env = service["spec"].get("env") or {}
        pairs = env.items() if isinstance(env, dict) else ((each.get("name"), each.get("value")) for each in env)
        told += [f"{_place(service)}: {name}" for name, value in pairs if value and _SECRET_NAME.search(str(name))]
    if told:
        yield Finding(
            "medium",
            "secrets-in-env",
            f"what looks like a secret is written in env: {', '.join(sorted(told)[:10])}",
            "everybody who may look at the Service reads it",
            "keep it in a Secret and refer to it (valueFrom.secretKeyRef)",
        )
    else:
        yield Finding("ok", "secrets-in-env", "no Service has a secret in its env")


def _profiles(seen: Seen) -> Iterator[Finding]:
    label = "pod-security.kubernetes.io/enforce"
    open_ = [
        _name(each)
        for each in seen.of("namespaces")
        if (each["metadata"].get("labels") or {}).get(label) == "privileged"
    ]
    if open_:
        yield Finding(
            "medium",
            "pod-security",
            f"namespaces where anything may run: {', '.join(sorted(open_))}",
            "their editors may take the machine's own ports, and whatever else a profile forbids",
            f"kubectl label namespace NAME {label}=baseline --overwrite",
        )
    else:
        yield Finding("ok", "pod-security", "every namespace has the profile baseline, or a stricter one")


def _access_keys(seen: Seen) -> Iterator[Finding]:
    if "accesskeys" in seen.missing:
        yield Finding("skipped", "access-keys", "only the local admin may see access keys")
        return
    active = [each for each in seen.of("accesskeys") if each["spec"].get("state", "Active") == "Active"]
    old = [
        each
        for each in active
        if seen.now - _moment(each["metadata"]["creationTimestamp"]) > timedelta(days=_KEY_DAYS)
    ]
    if old:
        told = ", ".join(f"{each['spec']['accessKeyId']} of {each['spec']['user']}" for each in old[:10])
        yield Finding(
            "low",
            "access-keys",
            f"AWS keys older than {_KEY_DAYS} days: {told}",
            "a key that was copied unseen signs for as long as it lives",
            "make a second key, move your tools to it, delete the first",
        )
    else:
        yield Finding("ok", "access-keys", f"{len(active)} AWS keys with a record, none older than {_KEY_DAYS} days")


def _condition(item: Item, kind: str) -> Item | None:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), None)


def _name(item: Item) -> str:
    return str(item["metadata"]["name"])


def _place(item: Item) -> str:
    return f"{item['metadata'].get('namespace', '')}/{_name(item)}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _ended(token: Item, seen: Seen) -> bool:
    return _moment(token["spec"]["expiresAt"]) <= seen.now
