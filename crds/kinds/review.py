"""Reviews: questions about access, asked by POST and never kept (authorization and authentication.k8s.io/v1)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from crds.kind import Kind, KubeObject

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"


class Review(KubeObject):
    """`spec` is the question, `status` the answer."""

    spec: dict[str, Any] = Field(default_factory=dict)
    status: dict[str, Any] | None = None


def _review(name: str, group: str, description: str, *, namespaced: bool = False) -> Kind[Review]:
    return Kind(
        name=name,
        plural=f"{name.lower()}s",
        singular=name.lower(),
        group=group,
        namespaced=namespaced,
        has_status=False,
        model=Review,
        verbs=("create",),
        description=description,
    )


REVIEWS = (
    _review("SelfSubjectAccessReview", _AUTHORIZATION, "May I do this?"),
    _review("SelfSubjectRulesReview", _AUTHORIZATION, "What may I do in a namespace?"),
    _review("SubjectAccessReview", _AUTHORIZATION, "May somebody do this?"),
    _review("LocalSubjectAccessReview", _AUTHORIZATION, "May somebody do this in one namespace?", namespaced=True),
    _review("SelfSubjectReview", _AUTHENTICATION, "Who am I?"),
    _review("TokenReview", _AUTHENTICATION, "Whose token is this?"),
)
