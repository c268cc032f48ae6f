"""Permissions: one authorizer for every handler, default deny, rules as Kubernetes RBAC has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from api.auth.bindings import Bindings
from api.auth.principal import AUTHENTICATED, CONDUCTOR, MASTERS, SERVICE_PREFIX, WORKERS, Principal
from api.auth.rules import EVERYTHING, READ, REQUIRED, WRITE, Action, Rule, RuleSource
from controller.store.records import Store
from crds.catalog import Catalog
from crds.errors import Forbidden
from crds.kinds.admission_policy import VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING
from crds.kinds.explanation import ACCESS_EXPLANATION, DENIAL_REVIEW
from crds.kinds.iam import IAM_KINDS
from crds.kinds.image_policy import IMAGE_POLICY
from crds.kinds.namespace import NAMESPACE
from crds.kinds.quota import LIMIT_RANGE, RESOURCE_QUOTA
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from crds.kinds.rbac import GROUP as RBAC_GROUP
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.managed import Grant, ManagedService

__all__ = ["Action", "Authorizer", "Rule", "role_rules"]

_ABOUT_ONESELF = (
    Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
    Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",)),
)
# Only about oneself, unless a role says more (api/access/reviews.py); never through a service that acts for somebody.
_EXPLANATIONS = Rule(("create",), (ACCESS_EXPLANATION.group,), (ACCESS_EXPLANATION.plural, DENIAL_REVIEW.plural))
# Only admins may write these. Whoever may write roles could give themselves everything.
_GUARDED = frozenset(
    {"users", "credentials", "jointokens", "workers", "customresourcedefinitions"}
    | {kind.plural for kind in (ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING)}
    # Whoever may write what IAM says of people decides what they may.
    | {kind.plural for kind in IAM_KINDS}
    | {"oidcproviders", "iamaccounts", "instanceprofiles"}
    # Whoever backs up, and to where, has all there is.
    | {"backups", "backupschedules"}
    # What limits others: whoever is limited does not write it.
    | {kind.plural for kind in (RESOURCE_QUOTA, LIMIT_RANGE, IMAGE_POLICY)}
    | {kind.plural for kind in (VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING)}
)
_HIDDEN_FROM_VIEWERS = frozenset({"jointokens", "secrets"})
# What is served from other resources and not stored: pods, nodes and their like.
_VIEWED_GROUPS = (
    "apps",
    "batch",
    "events.k8s.io",
    "networking.k8s.io",
    "policy",
    "metrics.k8s.io",
    "apiextensions.k8s.io",
)
_VIEWED = (
    "pods",
    "pods/log",
    "nodes",
    "deployments",
    "deployments/scale",
    "replicasets",
    "customresourcedefinitions",
    "endpoints",
    # Of which there never is one.
    *("persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "daemonsets", "statefulsets"),
    *("jobs", "cronjobs", "ingresses"),
)
_VIEWED_WRITABLE = ("pods", "pods/eviction", "deployments", "deployments/scale")
_VIEWED_CLUSTER_WIDE = frozenset({"nodes", "customresourcedefinitions", "persistentvolumes"})
# What runs behind a Service, through the gateway; the verb follows from the method.
_PROXY = "services/proxy"
# Container images in the cloud's own store (/v2/): no kind, but somebody must be allowed to push and pull them.
_IMAGES = "images"


def role_rules(catalog: Catalog) -> dict[str, tuple[Rule, ...]]:
    """Rules of each group of people. Editors change everything but users, workers and tokens.

    Kinds that people define are named with their own group alone: a `nodes.longhorn.io` is not our `nodes`.
    """
    ours = [kind for kind in catalog if kind.given_schema is None]
    theirs = [kind for kind in catalog if kind.given_schema is not None and not kind.internal]
    public = [kind.plural for kind in ours if not kind.internal]
    everyday = sorted(set(public) - _GUARDED)
    shown = sorted(set(public) - _HIDDEN_FROM_VIEWERS)
    groups = (*sorted({kind.group for kind in ours}), *_VIEWED_GROUPS)
    # What a resource shows of itself is no more than the resource does: `scale` reads it before it writes.
    parts = (f"{plural}/{part}" for plural in shown for part in ("status", "scale"))
    reading = (
        Rule(READ, groups, (*shown, *parts, *_VIEWED, "services/log", _PROXY, "leases", _IMAGES)),
        *(Rule(READ, (k.group,), (k.plural, f"{k.plural}/status", f"{k.plural}/scale")) for k in theirs),
    )
    # A token of a service account can do what that one may: more than an editor, perhaps. Finalizers of a namespace
    # are whoever's put them there.
    below = (f"{plural}/*" for plural in everyday if plural not in (SERVICE_ACCOUNT.plural, NAMESPACE.plural))
    writable = (*everyday, *below, *_VIEWED_WRITABLE, _IMAGES)
    editing = (
        *reading,
        Rule(READ, ("",), ("secrets",)),
        Rule((*WRITE, "use"), groups, writable),
        *(Rule((*WRITE, "use"), (k.group,), (k.plural, f"{k.plural}/*")) for k in theirs),
    )
    return {
        MASTERS: (EVERYTHING,),
        "aerekos:admin": (EVERYTHING,),
        "aerekos:editor": editing,
        "aerekos:viewer": reading,
        WORKERS: (Rule(READ, groups, ("workers", _IMAGES)),),
        AUTHENTICATED: (*_ABOUT_ONESELF, _EXPLANATIONS),
    }


def _cluster_roles(catalog: Catalog, roles: Mapping[str, tuple[Rule, ...]]) -> dict[str, tuple[Rule, ...]]:
    """The cluster roles every Kubernetes has, for role bindings that name them. As there, `admin`, `edit` and `view`
    are about what lives in a namespace; of the namespace itself they show that it is there.
    """
    ours = [kind for kind in catalog if kind.given_schema is None]
    wide = {kind.plural for kind in ours if not kind.namespaced} | _VIEWED_CLUSTER_WIDE | {_IMAGES}
    wide -= {kind.plural for kind in ours if kind.namespaced}
    there = Rule(READ, ("",), (NAMESPACE.plural,))
    edit = (*(_without(rule, wide) for rule in roles["aerekos:editor"]), there)
    view = (*(_without(rule, wide) for rule in roles["aerekos:viewer"]), there)
    binding = Rule((*READ, *WRITE), (RBAC_GROUP,), (ROLE.plural, ROLE_BINDING.plural))
    return {"cluster-admin": (EVERYTHING,), "admin": (*edit, binding), "edit": edit, "view": view}


def _without(rule: Rule, plurals: Collection[str]) -> Rule:
    kept = tuple(each for each in rule.resources if each.partition("/")[0] not in plurals)
    return replace(rule, resources=kept)


class Authorizer:
    """Answers yes only when a rule says so. Internal kinds answer to nobody but their service and the conductor."""

    def __init__(self, catalog: Catalog, managed: Iterable[ManagedService], store: Store | None = None) -> None:
        self._catalog, self._made_for = catalog, -1
        self._internal: frozenset[tuple[str, str]] = frozenset()
        self._reported: frozenset[tuple[str, str]] = frozenset()
        self._roles: Mapping[str, tuple[Rule, ...]] = {}
        self._bindings = Bindings(store, {}) if store is not None else None
        managed = tuple(managed)
        self._services = {each.service_name: _service_rules(each) for each in managed}
        self._acts = {
            f"{SERVICE_PREFIX}{each.service_name}": (*_granted(each.acts), *_ABOUT_ONESELF) for each in managed
        }
        self._owned = {
            each.service_name: frozenset((kind.group, kind.plural) for kind in each.kinds) for each in managed
        }

    def allows(self, who: Principal, action: Action) -> bool:
        """Whether `who` may do that."""
        self._refresh()
        if self.limit(who, action):
            return False
        if self._is_internal(who, action):
            return self._is_granted(who, action)
        return any(rule.allows(action) for rule in self.rules(who, action.namespace))

    def limit(self, who: Principal, action: Action) -> str:
        """What is against it whatever roles say, in words; empty when nothing is."""
        if who.actors and not self.acts(who, action):
            return f"a service that acts for {who.name} does not do this for its callers"
        if self._writes_a_report(action) and not self._reports(who, action):
            return "a status is written by the conductor and by the service whose kind it is, by nobody else"
        return ""

    def sources(self, who: Principal, action: Action) -> Iterator[RuleSource]:
        """As `rules` in the namespace of `action`, as far as they count for its kind: each with where it is from."""
        self._refresh()
        own = {"kind": "ManagedService", "name": who.service.replace("-", "_")}
        if who.service and (not who.acting or who.actors):
            rules = self._services.get(who.service, ()), _ABOUT_ONESELF
            yield from (RuleSource(rule, own) for each in rules for rule in each)
            return
        if self._is_internal(who, action):
            return
        for group in sorted(who.groups):
            yield from (RuleSource(rule, {"kind": "Group", "name": group}) for rule in self._roles.get(group, ()))
        if self._bindings is not None:
            yield from self._bindings.sources(who, action.namespace)

    def is_internal(self, who: Principal, action: Action) -> bool:
        """Whether it is about a kind that no role opens."""
        self._refresh()
        return self._is_internal(who, action)

    def bound_subjects(self) -> list[tuple[str, str]]:
        """Everybody that a binding names: `User` or `Group`, and the name."""
        return self._bindings.subjects() if self._bindings is not None else []

    def acts(self, who: Principal, action: Action) -> bool:
        """Whether all services that act for `who` do this for their callers. It says nothing of what `who` may."""
        return all(self._acts_so(actor, action) for actor in who.actors)

    def rules(self, who: Principal, namespace: str) -> Iterator[Rule]:
        """All rules for `who` in that namespace (empty: at the cluster scope): by group, then by role binding."""
        self._refresh()
        if who.service and (not who.acting or who.actors):
            yield from (*self._services.get(who.service, ()), *_ABOUT_ONESELF)
            return
        for group in who.groups:
            yield from self._roles.get(group, ())
        if self._bindings is not None:
            yield from self._bindings.rules(who, namespace)

    def role(self, reference: Mapping[str, Any], namespace: str) -> tuple[Rule, ...] | None:
        """Rules of the role a binding refers to; None when there is no such role."""
        self._refresh()
        return self._bindings.role(reference, namespace) if self._bindings is not None else None

    def given_roles(self) -> Mapping[str, tuple[Rule, ...]]:
        """The cluster roles that exist without being stored."""
        self._refresh()
        return self._bindings.given if self._bindings is not None else {}

    def _acts_so(self, actor: str, action: Action) -> bool:
        """Whether that service does this for its callers at all."""
        return any(rule.allows(action) for rule in self._acts.get(actor, ()))

    def _writes_a_report(self, action: Action) -> bool:
        """Whether it would change the status of a kind of ours. Those that people define keep their own rules."""
        plural, _, below = action.resource.partition("/")
        return below == "status" and action.verb not in READ and (action.group, plural) in self._reported

    def _reports(self, who: Principal, action: Action) -> bool:
        """Status is what was seen: told by the conductor and by the service whose kind it is, in their own names.
        People, admins too, cannot write what others then believe."""
        if who.acting:
            return False
        if who.name == CONDUCTOR:
            return MASTERS in who.groups
        owned = self._owned.get(who.service, frozenset()) if who.service else frozenset()
        return (action.group, action.resource.partition("/")[0]) in owned

    def _is_internal(self, who: Principal, action: Action) -> bool:
        return MASTERS not in who.groups and (action.group, action.resource.partition("/")[0]) in self._internal

    def _is_granted(self, who: Principal, action: Action) -> bool:
        """Internal kinds: only by a grant in the manifest of a managed service, never by a role."""
        granted = self._services.get(who.service, ()) if who.service and not who.acting else ()
        return any(rule.allows(action) for rule in granted)

    def _refresh(self) -> None:
        """The roles follow the catalog: kinds can be defined at runtime."""
        if self._made_for == self._catalog.version:
            return
        self._made_for = self._catalog.version
        self._internal = frozenset((kind.group, kind.plural) for kind in self._catalog if kind.internal)
        self._reported = frozenset(
            (kind.group, kind.plural) for kind in self._catalog if kind.has_status and kind.given_schema is None
        )
        self._roles = role_rules(self._catalog)
        if self._bindings is not None:
            self._bindings.given = _cluster_roles(self._catalog, self._roles)
            self._bindings.forget()

    def require(self, who: Principal, action: Action) -> None:
        """Raises Forbidden in Kubernetes's own words."""
        if self.allows(who, action):
            if (noted := REQUIRED.get()) is not None:
                noted.append(action)
            return
        plural = action.resource.partition("/")[0]
        target = f"{plural}.{action.group}" if action.group else plural
        name = f' "{action.name}"' if action.name else ""
        where = f' in the namespace "{action.namespace}"' if action.namespace else " at the cluster scope"
        raise Forbidden(
            f'{target}{name} is forbidden: User "{who.name}" cannot {action.verb} resource "{action.resource}" '
            f'in API group "{action.group}"{where}'
        )

    def may_impersonate(self, who: Principal, user: str, groups: Iterable[str]) -> bool:
        """Refuse impersonation: only the conductor's masters name anybody they like. Services bring their caller's
        own token instead.
        """
        return MASTERS in who.groups and not who.actors


def _service_rules(service: ManagedService) -> tuple[Rule, ...]:
    common = (
        Rule(("create", "patch", "get", "list", "watch"), ("", "events.k8s.io"), ("events",)),
        Rule(READ, ("",), ("namespaces",)),
        Rule(("patch",), ("",), ("pods",)),  # its own alone: `views/pod_notes.py`
    )
    return _granted(service.grants) + common


def _granted(grants: Iterable[Grant]) -> tuple[Rule, ...]:
    return tuple(Rule(grant.verbs, (grant.group,), (grant.kind, f"{grant.kind}/*")) for grant in grants)
