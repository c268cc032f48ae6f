"""What a target gets of an event: the event itself, a text, a part of it (`$.detail.user`), or a filled-in template.

    paths {"who": "$.detail.user.name"}, template '{"text": "hello <who>", "all": <aws.events.event.json>}'

A name in angle brackets stands for the JSON of its value; between quotation marks for the value alone, without any. A
path that leads nowhere gives an empty text. Pure.

Source: Amazon EventBridge User Guide, "Input transformation", "Transforming target input".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import Field

from crds.model import Model

LONGEST_INPUT = 8192
LARGEST = 262_144
"""Of what a template makes of an event, in bytes, as on AWS; and of the values that are looked at for it."""
_PREDEFINED = frozenset(
    f"aws.events.{each}" for each in ("rule-arn", "rule-name", "event", "event.json", "event.ingestion-time")
)
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_LONGEST_NAME = 256


class InputTransformer(Model):
    """`paths`: for each name, where its value is in the event. `template`: the text, with names in angle brackets."""

    paths: Annotated[dict[str, str], Field(max_length=100)] = {}
    template: Annotated[str, Field(min_length=1, max_length=LONGEST_INPUT)]


class Shaping(NamedTuple):
    """At most one of them is said. `path`: of the part of the event that is sent."""

    text: str = ""
    path: str = ""
    transformer: InputTransformer | None = None


class Rule(NamedTuple):
    """What templates may say of the rule that matched."""

    arn: str
    name: str


class ShapingFault(ValueError):
    """No path or no template, and why. `placeholder`: the name that a template has and nobody defines."""

    def __init__(self, message: str, placeholder: str = "") -> None:
        super().__init__(message)
        self.placeholder = placeholder


def shaped(event: Mapping[str, Any], how: Shaping, rule: Rule) -> str:
    """What is sent. Raises ShapingFault."""
    if how.text:
        return how.text
    if how.path:
        return _json(_Looking(event).found(how.path))
    if how.transformer is None:
        return _json(event)
    return _filled(how.transformer, event, rule)


def check_shaping(how: Shaping) -> None:
    """Raises ShapingFault."""
    if how.path:
        _steps(how.path)
    if how.transformer is None:
        return
    for name, path in how.transformer.paths.items():
        if not name or not _NAME.issuperset(name) or name.startswith("aws."):
            raise ShapingFault(f"{name[:_LONGEST_NAME]!r} is no name for a path")
        _steps(path)
    for piece in _read(how.transformer.template):
        if piece.name and piece.name not in how.transformer.paths and piece.name not in _PREDEFINED:
            raise ShapingFault(f"contains invalid placeholder {piece.name}.", piece.name)


class _Piece(NamedTuple):
    """Of a template: a text, or a `name` and whether it stands between quotation marks."""

    text: str
    name: str = ""
    quoted: bool = False


def _read(template: str) -> Iterator[_Piece]:
    at, begin, quoted = 0, 0, False
    while at < len(template):
        sign = template[at]
        if sign == "\\":
            at += 2
            continue
        if sign == '"':
            quoted = not quoted
        elif sign == "<" and (name := _name_at(template, at + 1)):
            yield _Piece(template[begin:at])
            yield _Piece("", name, quoted)
            at = begin = at + len(name) + 2
            continue
        at += 1
    yield _Piece(template[begin:])


def _name_at(template: str, at: int) -> str:
    """The name that is closed by a bracket; empty where none is."""
    end = template.find(">", at, at + _LONGEST_NAME)
    name = template[at:end] if end > 0 else ""
    return name if _NAME.issuperset(name) else ""


def _filled(transformer: InputTransformer, event: Mapping[str, Any], rule: Rule) -> str:
    """Each name is written once, and said as often as the template has it. Raises ShapingFault."""
    looking, found, written, size = _Looking(event), list[str](), dict[tuple[str, bool], str](), 0
    for piece in _read(transformer.template):
        text = piece.text
        if piece.name:
            key = piece.name, piece.quoted
            if key not in written:
                written[key] = _written(_value_of(piece.name, transformer, looking, rule), piece.quoted)
            text = written[key]
        size += len(text) if text.isascii() else len(text.encode())
        if size > LARGEST:
            raise ShapingFault(f"the template makes more than {LARGEST} bytes of this event")
        found.append(text)
    return "".join(found)


def _value_of(name: str, transformer: InputTransformer, looking: _Looking, rule: Rule) -> Any:
    event = looking.event
    if name in transformer.paths:
        return looking.found(transformer.paths[name])
    if name == "aws.events.rule-arn":
        return rule.arn
    if name == "aws.events.rule-name":
        return rule.name
    if name == "aws.events.event.json":
        return event
    if name == "aws.events.event.ingestion-time":
        return event.get("time", "")
    known = {"detailType" if each == "detail-type" else each: value for each, value in event.items()}
    known.pop("detail", None)
    return known


def _written(value: Any, quoted: bool) -> str:
    if not quoted:
        return _json(value)
    if isinstance(value, str):
        return _json(value)[1:-1]
    return _json(value).replace('"', "")


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


class _Looking:
    """Finds the parts of one event, among so many values at most."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.event, self._left = event, LARGEST

    def found(self, path: str) -> Any:
        """What is there, an empty text where nothing is. `[*]` gives all of an array. Raises ShapingFault."""
        here: list[Any] = [self.event]
        steps = _steps(path)
        for step in steps:
            self._left -= len(here)
            if self._left < 0:
                raise ShapingFault(f"its paths lead through more than {LARGEST} values of this event")
            here = [below for each in here for below in _below(each, step)]
        if "*" in steps:
            return here
        return here[0] if here else ""


def _below(value: Any, step: str | int) -> list[Any]:
    if step == "*":
        return list(value) if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and step < len(value) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def _steps(path: str) -> list[str | int]:
    """`$.detail.items[0].name` is detail, items, 0, name. Raises ShapingFault."""
    if len(path) > _LONGEST_NAME or not path.startswith("$"):
        raise ShapingFault(f"{path[:_LONGEST_NAME]!r} is no path: it begins with $ and has at most 256 characters")
    found, rest = list[str | int](), path[1:]
    while rest:
        step, rest = _step(path, rest)
        found.append(step)
    return found


def _step(path: str, rest: str) -> tuple[str | int, str]:
    if rest.startswith("."):
        ends = [at for at in (rest.find(".", 1), rest.find("[", 1)) if at > 0]
        end = min(ends, default=len(rest))
        if end > 1:
            return rest[1:end], rest[end:]
    elif rest.startswith("["):
        inside, closed, after = rest[1:].partition("]")
        if closed and (inside == "*" or (inside.isascii() and inside.isdigit() and len(inside) < 6)):
            return (inside if inside == "*" else int(inside)), after
        if closed and len(inside) > 2 and inside[0] == inside[-1] and inside[0] in "'\"":
            return inside[1:-1], after
    raise ShapingFault(f"{path[:_LONGEST_NAME]!r} is no path here: $.name, $['name'], [0] and [*] are understood")
