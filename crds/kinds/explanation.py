"""Questions about access that Kubernetes has none for: why may somebody do this, who may, why was a request refused?

Asked by POST and never kept, like reviews (`crds.kinds.review`). `status` is the answer.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from crds.kind import Kind, KubeObject
from crds.model import Model

GROUP = "authorization.aerekos.cloud"
Text = Annotated[str, Field(max_length=2048)]


class ResourceAttributes(Model):
    """An action on the resource API, as SubjectAccessReview has it."""

    verb: Annotated[str, Field(min_length=1, max_length=64)]
    resource: Annotated[str, Field(min_length=1, max_length=253)]
    group: Text = ""
    subresource: Text = ""
    namespace: Text = ""
    name: Text = ""


class AwsAttributes(Model):
    """An action of AWS. `resource`: its ARN, or `*`. `context`: further condition keys and their values.

    `resourcePolicy`: what would come of it if the resource had this policy, JSON, instead of the one it has. That is
    for whoever may ask about everybody: an answer tells what its conditions were compared with.
    """

    action: Annotated[str, Field(pattern="^[a-z0-9-]+:[A-Za-z0-9]+$", max_length=128)]
    resource: Text = "*"
    context: Annotated[dict[str, Text | list[Text]], Field(max_length=64)] = Field(default_factory=dict)
    resource_policy: Annotated[str, Field(max_length=32_768)] = ""


class AccessQuestion(Model):
    """What is asked about: one of both."""

    resource_attributes: ResourceAttributes | None = None
    aws_attributes: AwsAttributes | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.resource_attributes is None) == (self.aws_attributes is None):
            raise ValueError("set either resourceAttributes or awsAttributes")
        return self


class AccessExplanationSpec(AccessQuestion):
    """`user`: a user, `system:serviceaccount:NAMESPACE:NAME`, the ARN of a user or role of IAM; empty: oneself.
    `groups`: further ones, beside those that user is known to be in.
    """

    user: Text = ""
    groups: Annotated[list[Text], Field(max_length=64)] = Field(default_factory=list)


class AccessExplanation(KubeObject):
    spec: AccessExplanationSpec
    status: dict[str, Any] | None = None


class ResourceAccessReview(KubeObject):
    spec: AccessQuestion
    status: dict[str, Any] | None = None


class DenialReviewSpec(Model):
    """`requestId` empty: the newest ones."""

    request_id: Annotated[str, Field(max_length=64)] = ""


class DenialReview(KubeObject):
    spec: DenialReviewSpec = Field(default_factory=DenialReviewSpec)
    status: dict[str, Any] | None = None


def _question(model: type[Any], description: str) -> Kind[Any]:
    name = model.__name__
    return Kind(
        name=name,
        plural=f"{name.lower()}s",
        singular=name.lower(),
        group=GROUP,
        namespaced=False,
        has_status=False,
        model=model,
        verbs=("create",),
        description=description,
    )


ACCESS_EXPLANATION = _question(AccessExplanation, "May somebody do this, and why?")
RESOURCE_ACCESS_REVIEW = _question(ResourceAccessReview, "Who may do this?")
DENIAL_REVIEW = _question(DenialReview, "Why was a request refused?")
EXPLANATIONS = (ACCESS_EXPLANATION, RESOURCE_ACCESS_REVIEW, DENIAL_REVIEW)
