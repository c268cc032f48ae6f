"""Who may do what: one authorizer at the door, default deny, rules as Kubernetes RBAC has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.auth.principal import AUTHENTICATED, MASTERS, SERVICE_PREFIX, WORKERS, Principal
from crds.catalog import Catalog
from crds.errors import Forbidden
from crds.managed import ManagedService

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
ALL = "*"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing somebody wants to do. `resource` is `plural` or `plural/subresource`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows these verbs on these resources of these groups; `*` means any."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, action: Action) -> bool:
        return (
            (ALL in self.verbs or action.verb in self.verbs)
            and (ALL in self.groups or action.group in self.groups)
            and (
                ALL in self.resources
                or action.resource in self.resources
                or action.resource.partition("/")[0] + "/*" in self.resources
            )
        )


_EVERYTHING = Rule((ALL,), (ALL,), (ALL,))
_ABOUT_ONESELF = Rule(
    ("create",),
    ("authorization.k8s.io", "authentication.k8s.io"),
    ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"),
)
_GUARDED = ("users", "credentials", "jointokens", "workers")


def role_rules(catalog: Catalog) -> dict[str, tuple[Rule, ...]]:
    """What each group of people may do. Editors change everything but users, workers and tokens."""
    everyday = sorted({kind.plural for kind in catalog if kind.plural not in _GUARDED and not kind.internal})
    shown = sorted({kind.plural for kind in catalog if not kind.internal and kind.plural != "jointokens"})
    groups = tuple({kind.group for kind in catalog})
    reading = Rule(READ, groups, (*shown, "services/log", "leases"))
    return {
        MASTERS: (_EVERYTHING,),
        "aerekos:admin": (_EVERYTHING,),
        "aerekos:editor": (reading, Rule((*WRITE, "use"), groups, (*everyday, *(f"{p}/*" for p in everyday)))),
        "aerekos:viewer": (reading,),
        WORKERS: (Rule(READ, groups, ("workers",)),),
        AUTHENTICATED: (_ABOUT_ONESELF,),
    }


class Authorizer:
    """Answers yes only when a rule says so. Internal kinds answer to nobody but their service and the conductor."""

    def __init__(self, catalog: Catalog, managed: Iterable[ManagedService]) -> None:
        self._internal = {(kind.group, kind.plural) for kind in catalog if kind.internal}
        self._roles: Mapping[str, tuple[Rule, ...]] = role_rules(catalog)
        self._services = {each.service_name: _service_rules(each) for each in managed}

    def allows(self, who: Principal, action: Action) -> bool:
        """Whether `who` may do that."""
        plural = action.resource.partition("/")[0]
        if who.service and not who.acting:
            rules = self._services.get(who.service, ())
            return any(rule.allows(action) for rule in (*rules, _ABOUT_ONESELF))
        if (action.group, plural) in self._internal and MASTERS not in who.groups:
            return False
        return any(rule.allows(action) for group in who.groups for rule in self._roles.get(group, ()))

    def require(self, who: Principal, action: Action) -> None:
        """Raises Forbidden in Kubernetes's own words."""
        if self.allows(who, action):
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
        """Managed services act for people, never for `system:` identities; the conductor's masters for anybody."""
        if MASTERS in who.groups:
            return True
        return who.name.startswith(SERVICE_PREFIX) and not any(
            name.startswith("system:") and name != AUTHENTICATED for name in (user, *groups)
        )


def _service_rules(service: ManagedService) -> tuple[Rule, ...]:
    granted = tuple(Rule(grant.verbs, (grant.group,), (grant.kind, f"{grant.kind}/*")) for grant in service.grants)
    common = (
        Rule(("create", "patch", "get", "list", "watch"), ("",), ("events",)),
        Rule(READ, ("",), ("namespaces",)),
        Rule(("create",), ("authorization.k8s.io",), ("subjectaccessreviews",)),
        Rule(("use",), (ALL,), (ALL,)),
    )
    return granted + common
