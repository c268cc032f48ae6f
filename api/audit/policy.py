"""The audit policy: what is noted, and how much of it, as Kubernetes has it (audit.k8s.io/v1, kind Policy).

The first rule that matches decides; what no rule matches is not noted. Secrets, credentials, tokens, logins and AWS
calls never go above Metadata, whatever a policy says: their bodies are what a log must not hold.
Source: k8s.io/apiserver `audit/v1` types and `policy/checker.go` (semantics).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from api.audit.attributes import AWS, Attributes
from crds.catalog import CORE_KINDS

_REMEMBERED, _LONGEST_REMEMBERED = 4096, 256
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_RULE_FIELDS = {
    "level",
    "users",
    "userGroups",
    "verbs",
    "resources",
    "namespaces",
    "nonResourceURLs",
    "omitStages",
    "omitManagedFields",
}
_NEVER_BODIES = frozenset(
    {("", "serviceaccounts/token"), ("authentication.k8s.io", "tokenreviews")}
    | {(kind.group, kind.plural) for kind in CORE_KINDS if kind.sealed or kind.internal}
)


class PolicyFault(ValueError):
    """A policy that is not understood is refused as a whole."""


class Level(IntEnum):
    """How much is noted of a request."""

    NONE, METADATA, REQUEST, REQUEST_RESPONSE = range(4)

    @property
    def title(self) -> str:
        return ("None", "Metadata", "Request", "RequestResponse")[self]


_LEVELS = {each.title: each for each in Level}


@dataclass(frozen=True, slots=True)
class GroupResources:
    """Resources of one API group. No resources: all of them."""

    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def match(self, what: Attributes) -> bool:
        if self.group not in ("*", what.group):
            return False
        if not self.resources:
            return True
        return any(self._matches(each, what) for each in self.resources)

    def _matches(self, wanted: str, what: Attributes) -> bool:
        if self.names and what.name not in self.names:
            return False
        resource, slash, sub = wanted.partition("/")
        if not slash:
            return wanted == "*" or (wanted == what.resource and not what.subresource)
        return resource in ("*", what.resource) and bool(what.subresource) and sub in ("*", what.subresource)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; an empty tuple asks for nothing."""

    level: Level
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    omit_stages: frozenset[str] = frozenset()

    def matches(self, user: str, groups: frozenset[str], what: Attributes) -> bool:
        if self.users and user not in self.users:
            return False
        if self.groups and groups.isdisjoint(self.groups):
            return False
        if self.verbs and "*" not in self.verbs and what.verb not in self.verbs:
            return False
        if self.resources or self.namespaces:
            return self._matches_resource(what)
        return not self.urls or (not what.resource and any(_fits(each, what.path) for each in self.urls))

    def _matches_resource(self, what: Attributes) -> bool:
        if not what.resource or (self.namespaces and what.namespace not in self.namespaces):
            return False
        return not self.resources or any(each.match(what) for each in self.resources)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level of one request, and the stages that are not noted."""

    level: Level
    omitted: frozenset[str]


class Policy:
    """See the module."""

    def __init__(self, rules: Sequence[Rule], omit_stages: frozenset[str] = frozenset()) -> None:
        self._rules, self._omitted = tuple(rules), omit_stages
        self.keeps_bodies = any(rule.level > Level.METADATA for rule in rules)
        self._by_user = any(rule.users for rule in rules)
        self._by_name = any(each.names for rule in rules for each in rule.resources)
        self._verdicts: dict[Hashable, Verdict] = {}

    def judge(self, user: str, groups: frozenset[str], what: Attributes) -> Verdict:
        """Decide what is noted of a request. Remembered by what the rules look at: most requests are of few sorts."""
        where = what.namespace if what.resource else what.path
        if len(where) > _LONGEST_REMEMBERED:
            return self._judge(user, groups, what)
        who, name = user if self._by_user else "", what.name if self._by_name else ""
        asked = (who, groups, what.verb, what.group, what.resource, what.subresource, where, name)
        known = self._verdicts.get(asked)
        if known is None:
            known = self._judge(user, groups, what)
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            self._verdicts[asked] = known
        return known

    def _judge(self, user: str, groups: frozenset[str], what: Attributes) -> Verdict:
        for rule in self._rules:
            if rule.matches(user, groups, what):
                return Verdict(min(rule.level, _highest(what)), self._omitted | rule.omit_stages)
        return Verdict(Level.NONE, self._omitted)


def read_policy(document: Any) -> Policy:
    """The policy of an audit.k8s.io/v1 document. Raises PolicyFault naming the field."""
    body = _mapping(document, "the policy")
    if body.get("apiVersion") != "audit.k8s.io/v1" or body.get("kind") != "Policy":
        raise PolicyFault("apiVersion must be audit.k8s.io/v1 and kind Policy")
    _known(body, {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"}, "the policy")
    rules = body.get("rules")
    if not isinstance(rules, list) or not rules:
        raise PolicyFault("rules: at least one is needed")
    return Policy([_rule(each, f"rules[{n}]") for n, each in enumerate(rules)], _stages(body, "the policy"))


def _rule(document: Any, where: str) -> Rule:
    body = _mapping(document, where)
    _known(body, _RULE_FIELDS, where)
    level = _LEVELS.get(str(body.get("level")))
    if level is None:
        raise PolicyFault(f"{where}.level: must be one of {', '.join(_LEVELS)}")
    urls = _texts(body, "nonResourceURLs", where)
    if urls and (body.get("resources") or body.get("namespaces")):
        raise PolicyFault(f"{where}: nonResourceURLs cannot stand beside resources or namespaces")
    if bad := next((each for each in urls if each != "*" and (each[0] != "/" or "*" in each[:-1])), None):
        raise PolicyFault(f"{where}.nonResourceURLs: {bad!r} must begin with / and have * only at its end")
    given = body.get("resources") or []
    if not isinstance(given, list):
        raise PolicyFault(f"{where}.resources: must be a list")
    return Rule(
        level,
        _texts(body, "users", where),
        _texts(body, "userGroups", where),
        _texts(body, "verbs", where),
        tuple(_resources(each, f"{where}.resources[{n}]") for n, each in enumerate(given)),
        _texts(body, "namespaces", where),
        urls,
        _stages(body, where),
    )


def _resources(document: Any, where: str) -> GroupResources:
    body = _mapping(document, where)
    _known(body, {"group", "resources", "resourceNames"}, where)
    names = _texts(body, "resourceNames", where)
    resources = _texts(body, "resources", where)
    if names and not resources:
        raise PolicyFault(f"{where}: resourceNames need resources")
    return GroupResources(str(body.get("group", "")), resources, names)


def _stages(body: Mapping[str, Any], where: str) -> frozenset[str]:
    stages = _texts(body, "omitStages", where)
    if unknown := sorted(set(stages) - set(STAGES)):
        raise PolicyFault(f"{where}.omitStages: {unknown[0]!r} is not one of {', '.join(STAGES)}")
    return frozenset(stages)


def _texts(body: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(
        isinstance(each, str) and (each or name == "namespaces") for each in value
    ):
        raise PolicyFault(f"{where}.{name}: must be a list of texts")
    return tuple(value)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyFault(f"{where}: must be an object")
    return value


def _known(body: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(body) - known):
        raise PolicyFault(f"{where}: the field {unknown[0]!r} is not known")


def _fits(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _highest(what: Attributes) -> Level:
    if what.group == AWS or (what.group, what.resource) in _NEVER_BODIES:
        return Level.METADATA
    if (what.group, what.whole_resource) in _NEVER_BODIES:
        return Level.METADATA
    return Level.METADATA if not what.resource else Level.REQUEST_RESPONSE


_EVENTS = [{"group": group, "resources": ["events"]} for group in ("", "events.k8s.io")]
_QUIET = ["/agents/heartbeat", "/agents/register", "/auth/token", "/auth/signing-keys", "/auth/refresh"]
DEFAULT: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # What identities of the house do all day, changing nothing people keep.
        {"level": "None", "nonResourceURLs": _QUIET},
        {"level": "None", "userGroups": ["system:services"], "resources": _EVENTS},
        # Asked by POST, but questions: they change nothing.
        {
            "level": "None",
            "resources": [{"group": "authorization.k8s.io"}, {"group": "authentication.k8s.io"}],
        },
        # Reading these is what an attacker comes for.
        {
            "level": "Metadata",
            "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token", "pods/exec"]}],
        },
        {"level": "Metadata", "nonResourceURLs": ["/auth/access-key*"]},
        {"level": "Metadata", "resources": [{"group": AWS}]},
        {"level": "None", "verbs": ["get", "list", "watch", "head", "options"]},
        {"level": "Metadata"},
    ],
}
