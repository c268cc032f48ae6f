"""OidcProvider: an issuer of ID tokens that an account of IAM knows; the conductor believes it for roles that do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status


class OidcProviderSpec(Spec):
    """An issuer of ID tokens whose users may become roles. `url` without `https://`, as in its ARN."""

    url: Annotated[str, Field(min_length=1, max_length=255)]
    client_ids: list[str] = Field(default_factory=list)
    thumbprints: list[str] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)


class OidcProvider(Resource[OidcProviderSpec, Status]):
    spec: OidcProviderSpec
    status: Status = Field(default_factory=Status)


OIDC_PROVIDER = Kind(
    name="OidcProvider",
    plural="oidcproviders",
    singular="oidcprovider",
    has_status=False,
    model=OidcProvider,
    columns=(Column("Name", "metadata.name"), Column("URL", "spec.url")),
    description="An issuer of ID tokens whose users may become roles.",
)
