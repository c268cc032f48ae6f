"""RBAC objects as rules: what role bindings give to whom. Read from the store's memory at every question.

They are translated again only when one of them has changed: the store hands out the same tuple until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.auth.principal import Principal
from api.auth.rules import Rule, RuleSource
from controller.store.records import Record, Store
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING

Rules = tuple[Rule, ...]
_KINDS = (ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING)
_EVERYWHERE = ""


class Bindings:
    """Role bindings: who has which rules, where. `given` are cluster roles that exist without being stored."""

    def __init__(self, store: Store, given: Mapping[str, Rules]) -> None:
        self._store, self.given = store, given
        self._seen: tuple[Sequence[Record], ...] = ()
        self._bound: dict[tuple[str, str], list[tuple[str, Rules, Record]]] = {}

    def rules(self, who: Principal, namespace: str) -> Iterator[Rule]:
        """Everything that bindings allow `who` in that namespace (empty: at the cluster scope)."""
        for rules, _ in self._given_to(who, namespace):
            yield from rules

    def sources(self, who: Principal, namespace: str) -> Iterator[RuleSource]:
        """As `rules`, each with its role and binding."""
        for rules, record in self._given_to(who, namespace):
            reference = record.object.get("roleRef") or {}
            role = {"kind": str(reference.get("kind", "")), "name": str(reference.get("name", ""))}
            binding = {"kind": str(record.object["kind"]), "name": record.key.name}
            if record.key.namespace:
                binding["namespace"] = record.key.namespace
            for rule in rules:
                yield RuleSource(rule, role, binding)

    def subjects(self) -> list[tuple[str, str]]:
        """Everybody that a binding names: `User` or `Group`, and the name."""
        self._refresh()
        return sorted(self._bound)

    def _given_to(self, who: Principal, namespace: str) -> Iterator[tuple[Rules, Record]]:
        self._refresh()
        for subject in (("User", who.name), *(("Group", group) for group in who.groups)):
            for place, rules, record in self._bound.get(subject, ()):
                if place in (_EVERYWHERE, namespace):
                    yield rules, record

    def role(self, reference: Any, namespace: str) -> Rules | None:
        """The rules of a role; None when there is no such role, or `reference` is none."""
        if not isinstance(reference, Mapping):
            return None
        name = str(reference.get("name", ""))
        if reference.get("kind") == "Role":
            role = self._store.get(ROLE.key(name, namespace))
            return rules_of(role.object) if role else None
        record = self._store.get(CLUSTER_ROLE.key(name))
        return self._aggregated(record) if record else self.given.get(name)

    def forget(self) -> None:
        """Translate again at the next question."""
        self._seen = ()

    def _refresh(self) -> None:
        now = tuple(self._store.list(kind.group, kind.plural).records for kind in _KINDS)
        if len(now) == len(self._seen) and all(a is b for a, b in zip(now, self._seen, strict=True)):
            return
        self._seen, self._bound = now, {}
        for record in (*now[2], *now[3]):
            body, namespace = record.object, record.key.namespace
            rules = self.role(body.get("roleRef") or {}, namespace) or ()
            for subject in body.get("subjects") or ():
                self._bound.setdefault(_named(subject, namespace), []).append((namespace, rules, record))

    def _aggregated(self, record: Record) -> Rules:
        selectors = (record.object.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        others = self._store.list(CLUSTER_ROLE.group, CLUSTER_ROLE.plural).records if selectors else ()
        found = list(rules_of(record.object))
        for other in others:
            if other is not record and any(_means(selector, other) for selector in selectors):
                found += rules_of(other.object)
        return tuple(found)


def rules_of(role: Mapping[str, Any]) -> Rules:
    """The rules of a Role or ClusterRole, as far as they are about resources.

    Also asked of bodies nobody has validated yet: what is no rule gives nothing.
    """
    given = role.get("rules")
    parts = ("verbs", "apiGroups", "resources", "resourceNames")
    rules = [rule for rule in given if isinstance(rule, Mapping)] if isinstance(given, list) else []
    return tuple(Rule(*(_texts(rule.get(part)) for part in parts)) for rule in rules)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _named(subject: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    if subject["kind"] == "ServiceAccount":
        return "User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return subject["kind"], subject["name"]


def _means(selector: Mapping[str, Any], record: Record) -> bool:
    labels = record.object["metadata"].get("labels") or {}
    wanted = selector.get("matchLabels") or {}
    return bool(wanted) and all(labels.get(name) == value for name, value in wanted.items())
