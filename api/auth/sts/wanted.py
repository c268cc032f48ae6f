"""What is asked of STS, as services hand it on. Lengths and signs are those of the AWS STS API reference."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.model import Model

Name = Annotated[str, Field(pattern=r"^[\w+=,.@-]{2,64}$")]
Tags = dict[str, str]


class Limits(Model):
    """The policies that limit a session, and how many seconds it lasts (0: as many as is usual)."""

    policy: Annotated[str, Field(max_length=4096)] = ""
    policy_arns: Annotated[list[str], Field(max_length=10)] = Field(default_factory=list)
    duration_seconds: Annotated[int, Field(ge=0, le=129_600)] = 0


class RoleSessionWanted(Limits):
    """AssumeRole."""

    role_arn: Annotated[str, Field(min_length=20, max_length=2048)]
    role_session_name: Name
    external_id: Annotated[str, Field(max_length=1224)] = ""
    source_identity: Name | None = None
    tags: Tags = Field(default_factory=dict)
    transitive_tag_keys: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)


class ServiceRoleWanted(Model):
    """A managed service, for a resource in `namespace` whose ARN is `sourceArn`, as the AWS service `principal`."""

    role_arn: Annotated[str, Field(min_length=20, max_length=2048)]
    role_session_name: Name
    principal: Annotated[str, Field(max_length=128)]
    namespace: Annotated[str, Field(max_length=63)]
    source_arn: Annotated[str, Field(max_length=2048)]


class WebIdentityWanted(Limits):
    """AssumeRoleWithWebIdentity. The token is the proof: nobody signs this."""

    role_arn: Annotated[str, Field(min_length=20, max_length=2048)]
    role_session_name: Name
    web_identity_token: Annotated[str, Field(min_length=4, max_length=20_000)]


class SessionTokenWanted(Model):
    """GetSessionToken."""

    duration_seconds: Annotated[int, Field(ge=0, le=129_600)] = 0


class FederationWanted(Limits):
    """GetFederationToken."""

    name: Annotated[str, Field(pattern=r"^[\w+=,.@-]{2,32}$")]
    tags: Tags = Field(default_factory=dict)
