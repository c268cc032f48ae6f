"""ConfigMap: settings for whoever reads them (Kubernetes core/v1 ConfigMap)."""

from __future__ import annotations

from crds.kind import Column, Kind, Manifest


class ConfigMap(Manifest):
    """`data` is text, `binaryData` is base64."""

    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None
    immutable: bool | None = None


CONFIG_MAP = Kind(
    name="ConfigMap",
    plural="configmaps",
    group="",
    singular="configmap",
    short_names=("cm",),
    has_status=False,
    model=ConfigMap,
    description="Settings for whoever reads them. Not for secrets.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Data", "data", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
