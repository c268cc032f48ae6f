"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and `${*}` `${?}` `${$}` for plain signs.

A template is read once. What a variable stands for is plain text: a `*` in the value of a key is no wildcard.
Source: AWS IAM user guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.wildcards import Pattern, Wild, pattern_of

_SIGNS = frozenset("*?$")
VERSION_WITH_VARIABLES = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a condition key. default: what counts where the request has no such key; None: nothing does."""

    key: str
    default: str | None = None


@dataclass(frozen=True)
class Template:
    """A text of a policy: plain parts, wildcards and variables."""

    parts: tuple[str | Wild | Variable, ...]

    @cached_property
    def fixed(self) -> Pattern | None:
        """What it says for every request; None where that depends on the request."""
        return None if any(isinstance(each, Variable) for each in self.parts) else self.parts  # type: ignore[return-value]

    def resolved(self, context: Context) -> Pattern | None:
        """What it says for this request. None: a key is not there once, and has no default."""
        if self.fixed is not None:
            return self.fixed
        found: list[str | Wild] = []
        for part in self.parts:
            if isinstance(part, Variable):
                value = context.single(part.key)
                if value is None:
                    value = part.default
                if value is None:
                    return None
                found.append(value)
            else:
                found.append(part)
        return found


def template_of(text: str, *, variables: bool = True, wildcards: bool = True) -> Template:
    """Read a text. Without variables `${...}` is as plain as all else; what is no variable stays as it is written."""
    parts: list[str | Wild | Variable] = []
    rest = text
    while variables and (begin := rest.find("${")) >= 0 and (end := rest.find("}", begin)) >= 0:
        parts += _plain(rest[:begin], wildcards)
        parts.append(_variable(rest[begin + 2 : end]))
        rest = rest[end + 1 :]
    return Template(tuple(parts + _plain(rest, wildcards)))


def _plain(text: str, wildcards: bool) -> list[str | Wild | Variable]:
    if wildcards:
        return list(pattern_of(text))
    return [text] if text else []


def _variable(inside: str) -> str | Variable:
    if inside in _SIGNS:
        return inside
    key, comma, default = inside.partition(",")
    default = default.strip()
    if comma and len(default) >= 2 and default[0] == default[-1] == "'":
        return Variable(key.strip().lower(), default[1:-1])
    return Variable(key.strip().lower()) if not comma else "${" + inside + "}"
