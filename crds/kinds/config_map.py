"""ConfigMap: settings for whoever reads them (Kubernetes core/v1 ConfigMap)."""

from __future__ import annotations

from typing import Annotated

from crds.kind import Column, Kind, KubeObject
from crds.kinds.data_rules import keeps_data
from crds.model import NothingAsAbsent


class ConfigMap(KubeObject):
    """`data` is text, `binaryData` is base64."""

    data: Annotated[dict[str, str] | None, NothingAsAbsent] = None
    binary_data: Annotated[dict[str, str] | None, NothingAsAbsent] = None
    immutable: bool | None = None


CONFIG_MAP = Kind(
    name="ConfigMap",
    plural="configmaps",
    group="",
    singular="configmap",
    short_names=("cm",),
    has_status=False,
    model=ConfigMap,
    rules=(keeps_data,),
    description="Settings for whoever reads them. Not for secrets.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Data", "data", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
