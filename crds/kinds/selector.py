"""A label selector as resources carry it (Kubernetes metav1.LabelSelector), and what it selects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from crds.model import Model


class Requirement(Model):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] | None = None

    @model_validator(mode="after")
    def _has_values_where_they_count(self) -> Requirement:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError("values: must be given for In and NotIn, and for nothing else")
        return self


class LabelSelector(Model):
    """All of it must hold. An empty selector selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: Annotated[list[Requirement], Field(max_length=100)] | None = None


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether `selector` (as JSON; None selects everything) means something with those labels."""
    given = selector or {}
    wanted = given.get("matchLabels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in given.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
