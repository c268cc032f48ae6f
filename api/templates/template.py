"""A template: some manifests with places in them, and the parameters that fill these. Pure.

A file has `version: 1`, name, title, description, runtimes, parameters and manifests. `${name}` in any text of a
manifest is the value of that parameter, `$${` a plain `${`; a text that is nothing but `${name}` becomes the value
itself, so a number stays one. Values are put in after the YAML was read: none of them can become more of it.
Every template has the parameters `name` and `namespace`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from controller.kit.patterns import compile_pattern
from crds.errors import Cause, Invalid, NotFound
from crds.model import Model
from crds.names import label_fault
from crds.numbers import whole_number

RESERVED = frozenset({"name", "namespace"})
LONGEST_TEXT = 400_000
_PLACE = re.compile(r"\$\$\{|\$\{([a-zA-Z][a-zA-Z0-9]*)\}")
Value = str | int
Manifest = dict[str, Any]


class Parameter(Model):
    """`type`: a `text` (`multiline`: one that has lines, `pattern`: what it must look like as a whole), an `integer`
    from `minimum` to `maximum`, or a `password`, which is made up when it is not given. Without a default it is
    required.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-zA-Z0-9]*$")]
    title: str
    description: str = ""
    type: Literal["text", "integer", "password"] = "text"
    default: Value | None = None
    multiline: bool = False
    pattern: str | None = None
    minimum: int = 0
    maximum: int = 1_000_000

    @property
    def required(self) -> bool:
        return self.default is None and self.type != "password"

    def taken(self, given: object) -> Value:
        """What was given, or the default, as a value. Raises ValueError in words."""
        if given is None or given == "":
            if self.required:
                raise ValueError("is required")
            return secrets.token_urlsafe(24) if self.default is None else self.default
        if self.type == "integer":
            return self._number(given)
        if not isinstance(given, str):
            raise ValueError(f"must be a text, not {given!r}")
        return self._text(given)

    def _number(self, given: object) -> int:
        number = given if type(given) is int else whole_number(given) if isinstance(given, str) else None
        if number is None or not self.minimum <= number <= self.maximum:
            raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}, not {given!r}")
        return number

    def _text(self, given: str) -> str:
        if len(given) > LONGEST_TEXT:
            raise ValueError(f"must not be longer than {LONGEST_TEXT} characters")
        if "\n" in given and not self.multiline:
            raise ValueError("must be one line")
        if self.pattern and not compile_pattern(rf"\A(?:{self.pattern})\z").search(given):
            raise ValueError(f"{given!r} must look like {self.pattern}")
        return given


class Template(Model):
    """`runtimes`: where it can run: `process` (programs) or `swarm` (containers)."""

    version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    description: str
    runtimes: Annotated[list[Literal["process", "swarm"]], Field(min_length=1)]
    parameters: list[Parameter] = Field(default_factory=list)
    manifests: Annotated[list[Manifest], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Template:
        known = {each.name for each in self.parameters}
        if known & RESERVED:
            raise ValueError("every template has the parameters name and namespace; leave them out")
        used = set(_places(self.manifests))
        if used - known - RESERVED:
            raise ValueError(f"no parameter for {', '.join(sorted(used - known - RESERVED))}")
        if known - used:
            raise ValueError(f"no place for {', '.join(sorted(known - used))}")
        return self

    def render(self, name: str, namespace: str, given: Mapping[str, object]) -> list[Manifest]:
        """The manifests, filled. Raises Invalid naming every parameter that is wrong, missing or unknown."""
        causes = [
            Cause(field, f"{text!r}: {fault}")
            for field, text in (("name", name), ("namespace", namespace))
            if (fault := label_fault(text))
        ]
        values: dict[str, Value] = {"name": name, "namespace": namespace}
        known = {each.name: each for each in self.parameters}
        for unknown in sorted(given.keys() - known.keys()):
            told = ", ".join(known) or "none"
            causes.append(Cause(f"parameters.{unknown}", f"{self.name} has no such parameter; it has: {told}"))
        for each in known.values():
            try:
                values[each.name] = each.taken(given.get(each.name))
            except ValueError as fault:
                causes.append(Cause(f"parameters.{each.name}", str(fault)))
        if causes:
            raise Invalid("; ".join(f"{each.field}: {each.message}" for each in causes), causes=tuple(causes))
        return [_filled(each, values) for each in self.manifests]


def _places(part: Any) -> list[str]:
    if isinstance(part, str):
        return [found for found in _PLACE.findall(part) if found]
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [place for each in inner for place in _places(each)]


def _filled(part: Any, values: Mapping[str, Value]) -> Any:
    if isinstance(part, dict):
        return {key: _filled(each, values) for key, each in part.items()}
    if isinstance(part, list):
        return [_filled(each, values) for each in part]
    if not isinstance(part, str):
        return part
    whole = _PLACE.fullmatch(part)
    if whole and whole[1]:
        return values[whole[1]]
    return _PLACE.sub(lambda found: str(values[found[1]]) if found[1] else "${", part)


@cache
def templates() -> tuple[Template, ...]:
    """Every template of this folder, by name. Raises ValueError for a file that is none."""
    files = sorted(Path(__file__).parent.glob("*.yaml"))
    found = [Template.model_validate(yaml.safe_load(each.read_text(encoding="utf-8"))) for each in files]
    wrong = [each.name for each, file in zip(found, files, strict=True) if each.name != file.stem]
    if wrong:
        raise ValueError(f"a template is named like its file: {', '.join(wrong)}")
    return tuple(found)


def template(name: str) -> Template:
    """Raises NotFound, which names those there are."""
    for each in templates():
        if each.name == name:
            return each
    known = ", ".join(each.name for each in templates())
    raise NotFound(f'there is no template "{name}"; there are: {known}')
