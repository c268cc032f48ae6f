"""What roles of the cloud say to an action, and which rule of which role decided: the authorizer's own answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from api.auth.authorizer import Authorizer
from api.auth.principal import Principal
from api.auth.rules import Action, RuleSource

Json = dict[str, Any]


class RoleDecision(NamedTuple):
    """Whether roles allow it, why in words, and the first rule that does."""

    allowed: bool
    reason: str
    source: RuleSource | None = None

    def described(self) -> Json:
        """As JSON."""
        told: Json = {"allowed": self.allowed, "reason": self.reason}
        if self.source is None:
            return told
        told["role"] = self.source.role
        if self.source.binding is not None:
            told["binding"] = self.source.binding
        rule = self.source.rule
        told["rule"] = {"verbs": [*rule.verbs], "apiGroups": [*rule.groups], "resources": _resources(rule.resources)}
        if rule.names:
            told["rule"]["resourceNames"] = [*rule.names]
        return told


_MOST_RESOURCES = 12


def decide_by_roles(authorizer: Authorizer, who: Principal, action: Action) -> RoleDecision:
    """The decision of `Authorizer.allows`."""
    if limit := authorizer.limit(who, action):
        return RoleDecision(False, limit)
    if authorizer.allows(who, action):
        source = next(each for each in authorizer.sources(who, action) if each.rule.allows(action))
        return RoleDecision(True, _words(source), source)
    if authorizer.is_internal(who, action):
        return RoleDecision(False, f"{action.resource} is internal: no role opens it")
    return RoleDecision(False, no_role_allows(who, action))


def no_role_allows(who: Principal, action: Action) -> str:
    """The reason where nothing else is against it."""
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    return f'no role of "{who.name}" allows {action.verb} on {action.resource} {where}'


def _words(source: RuleSource) -> str:
    kind, name = source.role["kind"], source.role["name"]
    if source.binding is None:
        return f"the manifest of {name} allows it" if kind == "ManagedService" else f"the group {name} allows it"
    binding = source.binding
    place = f"{binding['namespace']}/" if "namespace" in binding else ""
    return f"{kind} {name} allows it, given by {binding['kind']} {place}{binding['name']}"


def _resources(resources: tuple[str, ...]) -> list[str]:
    """Roles that come with the cloud name every kind: what is beyond a dozen is counted."""
    more = len(resources) - _MOST_RESOURCES
    return [*resources] if more <= 0 else [*resources[:_MOST_RESOURCES], f"... and {more} more"]
