"""ServiceAccount: a name programs go by (Kubernetes core/v1 ServiceAccount)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, KubeObject, Subresource
from crds.kinds.event import ObjectReference
from crds.model import Model
from crds.schema import list_map


class LocalObjectReference(Model):
    name: str = ""


class ServiceAccount(KubeObject):
    """Role bindings name it. Its tokens are asked for at `/token`, and kept nowhere."""

    secrets: Annotated[list[ObjectReference] | None, Field(json_schema_extra=list_map("name"))] = None
    image_pull_secrets: Annotated[list[LocalObjectReference] | None, Field(json_schema_extra=list_map("name"))] = None
    automount_service_account_token: bool | None = None


SERVICE_ACCOUNT = Kind(
    name="ServiceAccount",
    plural="serviceaccounts",
    group="",
    singular="serviceaccount",
    short_names=("sa",),
    has_status=False,
    more_subresources=(Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),),
    model=ServiceAccount,
    description="A name programs go by.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Secrets", "secrets", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
