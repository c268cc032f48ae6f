"""Secret: what only some may read (Kubernetes core/v1 Secret). Viewers may not; listings show no values."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import field_validator, model_validator
from pydantic_core import PydanticCustomError

from crds.kind import Column, Kind, KubeObject
from crds.kinds.data_rules import keeps_data, keeps_secret_type
from crds.model import NothingAsAbsent


class Secret(KubeObject):
    """`data` is base64. `stringData` is plain text that is only ever sent: it is kept as `data`."""

    data: Annotated[dict[str, str] | None, NothingAsAbsent] = None
    string_data: dict[str, str] | None = None
    type: str = "Opaque"
    immutable: bool | None = None

    @field_validator("data")
    @classmethod
    def _is_base64(cls, data: dict[str, str] | None) -> dict[str, str] | None:
        for name, value in (data or {}).items():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError) as error:
                told = f"{name} is not base64 ({error}); use stringData for plain text"
                raise PydanticCustomError("base64", "{told}", {"told": told}) from error
        return data

    @model_validator(mode="after")
    def _keeps_text_as_data(self) -> Secret:
        if self.string_data:
            plain = {name: base64.b64encode(text.encode()).decode() for name, text in self.string_data.items()}
            self.data = {**(self.data or {}), **plain}
        self.string_data = None
        return self


SECRET = Kind(
    name="Secret",
    plural="secrets",
    group="",
    singular="secret",
    has_status=False,
    sealed=True,
    model=Secret,
    rules=(keeps_data, keeps_secret_type),
    description="What only some may read.",
    selectable=("type",),
    columns=(
        Column("Name", "metadata.name"),
        Column("Type", "type"),
        Column("Data", "data", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
