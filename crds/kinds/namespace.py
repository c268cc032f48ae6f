"""Namespace: a room for names. Deleting one deletes what is in it."""

from __future__ import annotations

from pydantic import Field

from crds.invariants import CONDUCTOR
from crds.kind import VERBS, Column, Kind, Resource, Subresource
from crds.meta import Spec, Status
from crds.phases import NamespacePhase
from crds.protecting import keeps_namespaces


class NamespaceSpec(Spec):
    """`finalizers` is Kubernetes's own field; we accept it and do not use it."""

    finalizers: list[str] | None = None


class NamespaceStatus(Status):
    phase: NamespacePhase = NamespacePhase.ACTIVE


class Namespace(Resource[NamespaceSpec, NamespaceStatus]):
    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)


NAMESPACE = Kind(
    name="Namespace",
    plural="namespaces",
    group="",
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    model=Namespace,
    description="A room for names. Deleting a namespace deletes everything in it.",
    invariants=(keeps_namespaces,),
    keepers=("aerekos.cloud/contents",),
    more_subresources=(Subresource("finalize", ("update",), "Namespace"),),
    keeper=CONDUCTOR,
    name_label="kubernetes.io/metadata.name",
    verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),  # as in Kubernetes: one by one
    selectable=("status.phase",),
    columns=(
        Column("Name", "metadata.name"),
        Column("Status", "status.phase"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
