"""ClientCredential: how often the secret of a worker was replaced. Internal; the secret is derived, never kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status


class ClientCredentialSpec(Spec):
    """`uid`: whose; one of the same name that is made later begins anew."""

    client_id: str
    uid: str
    generation: Annotated[int, Field(ge=0)] = 0


class ClientCredential(Resource[ClientCredentialSpec, Status]):
    spec: ClientCredentialSpec
    status: Status = Field(default_factory=Status)


CLIENT_CREDENTIAL = Kind(
    name="ClientCredential",
    plural="clientcredentials",
    singular="clientcredential",
    namespaced=False,
    internal=True,
    sealed=True,
    has_status=False,
    model=ClientCredential,
    description="Which secret of a worker counts. Internal.",
    columns=(Column("Name", "metadata.name"),),
)
