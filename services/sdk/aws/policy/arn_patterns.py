"""ARNs with wildcards, matched part by part: a wildcard of one part never reaches into the next.

Source: AWS IAM user guide, "IAM JSON policy elements: Resource" and "ARN condition operators".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.variables import Template, Variable
from services.sdk.aws.policy.wildcards import Matcher, Wild, matcher

PARTS = 6


class Name(NamedTuple):
    """What a request is about. parts: of an ARN; none where it is `*`, everything of a service."""

    text: str
    parts: tuple[str, ...]


def name_of(text: str) -> Name:
    """Cut at the first five colons: a resource may have more."""
    parts = text.split(":", PARTS - 1)
    return Name(text, tuple(parts) if len(parts) == PARTS and parts[0] == "arn" else ())


class ArnPattern:
    """`completes`: parts that are left out at the end may be anything, as in Resource.

    It is cut before values are put in for variables, so that a colon in a value moves nothing; but where a variable
    is all there is, its value is a whole ARN.
    """

    __slots__ = ("_completes", "_parts", "_whole", "everything")

    def __init__(self, template: Template, *, completes: bool) -> None:
        cut = [Template(tuple(each)) for each in _cut(template.parts)]
        self._whole = template if len(cut) == 1 and template.fixed is None else None
        self._completes = completes
        self._parts = _completed([_part(each) for each in cut], completes)
        self.everything = template.parts == (Wild.STAR,)

    def matches(self, name: Name, context: Context) -> bool | None:
        """None: a variable in it stands for nothing."""
        if self.everything:
            return True
        parts = self._parts if self._whole is None else self._resolved(self._whole, context)
        if parts is None:
            return None
        if len(parts) != len(name.parts):
            return False
        for wanted, part in zip(parts, name.parts, strict=True):
            if isinstance(wanted, Template):
                resolved = wanted.resolved(context)
                if resolved is None:
                    return None
                if not matcher(resolved)(part):
                    return False
            elif not wanted(part):
                return False
        return True

    def _resolved(self, whole: Template, context: Context) -> list[Matcher | Template] | None:
        resolved = whole.resolved(context)
        if resolved is None:
            return None
        return _completed([matcher(each) for each in _cut(resolved)], self._completes)  # type: ignore[arg-type]


def _part(template: Template) -> Matcher | Template:
    return template if template.fixed is None else matcher(template.fixed)


def _completed(parts: list[Matcher | Template], completes: bool) -> list[Matcher | Template]:
    missing = PARTS - len(parts)
    return [*parts, *[matcher([Wild.STAR])] * missing] if completes and len(parts) > 1 else parts


def _cut(parts: Sequence[str | Wild | Variable]) -> list[list[str | Wild | Variable]]:
    """At the first five colons of what is plain text."""
    cut: list[list[str | Wild | Variable]] = [[]]
    for part in parts:
        if not isinstance(part, str):
            cut[-1].append(part)
            continue
        head, *more = part.split(":", PARTS - len(cut))
        cut[-1].append(head)
        cut += [[each] for each in more]
    return cut
