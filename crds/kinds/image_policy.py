"""ImagePolicy: which images may run, by where they come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from crds.kind import Column, Kind, KubeObject
from crds.kinds.selector import LabelSelector
from crds.meta import Spec
from crds.model import Model


class ImageRule(Model):
    """`images`: repositories, `registry.example/team/app`, or all below one, `registry.example/team/*`."""

    images: Annotated[list[str], Field(min_length=1, max_length=200)]

    @field_validator("images")
    @classmethod
    def _are_patterns(cls, images: list[str]) -> list[str]:
        for each in images:
            if fault := pattern_fault(each):
                raise ValueError(f"{each!r}: {fault}")
        return images


class ImagePolicySpec(Spec):
    """In the namespaces it selects (all, when it selects none), only images one of its rules names may run.

    `requireDigest`: only as `name@sha256:...`, which nobody can put something else behind.
    """

    namespace_selector: LabelSelector | None = None
    allow: Annotated[list[ImageRule], Field(max_length=100)] = Field(default_factory=list)
    require_digest: bool = False


class ImagePolicy(KubeObject):
    spec: ImagePolicySpec


def pattern_fault(pattern: str) -> str:
    """Why that names no repositories; empty when it does."""
    text = pattern.removesuffix("/*")
    if not text or "*" in text or "@" in text or not text.isascii() or not text.isprintable() or " " in text:
        return "write a repository, or all below it with /* at its end; without a tag"
    if ":" in text.rpartition("/")[2] and "/" in text:
        return "write it without a tag"
    return ""


IMAGE_POLICY = Kind(
    name="ImagePolicy",
    plural="imagepolicies",
    singular="imagepolicy",
    namespaced=False,
    has_status=False,
    model=ImagePolicy,
    description="Which images may run, by where they come from.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Digest", "spec.requireDigest", type="boolean"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
