"""Role, ClusterRole and their bindings: who may do what (Kubernetes rbac.authorization.k8s.io/v1).

A Role speaks of its own namespace, a ClusterRole of everything. A RoleBinding gives either of them to somebody in
one namespace, a ClusterRoleBinding gives a ClusterRole everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from crds.errors import Cause
from crds.kind import Column, Kind, KubeObject
from crds.model import Model
from crds.rules import Write

GROUP = "rbac.authorization.k8s.io"


class PolicyRule(Model):
    """Allows `verbs` on `resources` (`plural` or `plural/subresource`) of `apiGroups`; `*` means any."""

    verbs: Annotated[list[str], Field(min_length=1)]
    api_groups: list[str] | None = None
    resources: list[str] | None = None
    resource_names: list[str] | None = None
    non_resource_urls: Annotated[list[str] | None, Field(alias="nonResourceURLs")] = None


class AggregationRule(Model):
    """The rules of every ClusterRole these selectors mean are this role's too."""

    cluster_role_selectors: list[dict[str, Any]] = Field(default_factory=list)


class Subject(Model):
    """Somebody: a user, a group, or a service account (which has a namespace)."""

    kind: Literal["User", "Group", "ServiceAccount"]
    name: str
    namespace: str | None = None
    api_group: str | None = None


class RoleRef(Model):
    """Which role. It cannot be changed: delete the binding and make another."""

    kind: Literal["Role", "ClusterRole"]
    name: str
    api_group: str = GROUP


class Role(KubeObject):
    rules: list[PolicyRule] | None = None


class ClusterRole(KubeObject):
    rules: list[PolicyRule] | None = None
    aggregation_rule: AggregationRule | None = None


class RoleBinding(KubeObject):
    subjects: list[Subject] | None = None
    role_ref: RoleRef


class ClusterRoleBinding(KubeObject):
    subjects: list[Subject] | None = None
    role_ref: RoleRef


def role_ref_is_for_life(write: Write) -> Iterator[Cause]:
    """Who is bound to what is one decision: a binding does not become one to another role."""
    if write.old is not None and write.new is not None and write.old.get("roleRef") != write.new.get("roleRef"):
        yield Cause("roleRef", "Invalid value: cannot change roleRef; delete this binding and make another")


_NAMED = (Column("Name", "metadata.name"), Column("Created At", "metadata.creationTimestamp"))
_BOUND = (
    Column("Name", "metadata.name"),
    Column("Role", "roleRef.name"),
    Column("Age", "metadata.creationTimestamp", type="date"),
)

ROLE = Kind(
    name="Role",
    plural="roles",
    group=GROUP,
    singular="role",
    has_status=False,
    model=Role,
    columns=_NAMED,
    description="What may be done in one namespace.",
)
CLUSTER_ROLE = Kind(
    name="ClusterRole",
    plural="clusterroles",
    group=GROUP,
    singular="clusterrole",
    namespaced=False,
    has_status=False,
    model=ClusterRole,
    columns=_NAMED,
    description="What may be done anywhere.",
)
ROLE_BINDING = Kind(
    name="RoleBinding",
    plural="rolebindings",
    group=GROUP,
    singular="rolebinding",
    has_status=False,
    model=RoleBinding,
    rules=(role_ref_is_for_life,),
    columns=_BOUND,
    description="Gives a role to somebody in one namespace.",
)
CLUSTER_ROLE_BINDING = Kind(
    name="ClusterRoleBinding",
    plural="clusterrolebindings",
    group=GROUP,
    singular="clusterrolebinding",
    namespaced=False,
    has_status=False,
    model=ClusterRoleBinding,
    rules=(role_ref_is_for_life,),
    columns=_BOUND,
    description="Gives a cluster role to somebody everywhere.",
)
