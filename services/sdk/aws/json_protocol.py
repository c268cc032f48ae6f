"""The wire protocols json-1.0 and json-1.1, driven by a service model's shapes.

Reading checks types (SerializationException) and then constraints (ValidationException, worded as AWS does).
Blobs are bytes inside and base64 outside, timestamps datetimes inside and epoch seconds outside.
Source: Smithy "AWS JSON 1.1 protocol"; botocore `parsers.py` and `serialize.py`.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from controller.kit.patterns import Compiled, PatternError, compile_pattern
from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import ServiceModel, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
_NUMBERS = frozenset({"integer", "long", "float", "double"})


def read_json(model: ServiceModel, shape: str | None, body: bytes) -> dict[str, Any]:
    """The request. Unknown members are ignored, as AWS does. Raises AwsError."""
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise _unreadable("the body must be a JSON object")
    if shape is None:
        return {}
    faults: list[str] = []
    value = _Reading(model, faults).structure(model.shapes[shape], document, "")
    if faults:
        noun = "error" if len(faults) == 1 else "errors"
        raise AwsError("ValidationException", f"{len(faults)} validation {noun} detected: {'; '.join(faults)}")
    return value


def write_json(model: ServiceModel, shape: str | None, answer: dict[str, Any]) -> bytes:
    """The answer's body. Raises KeyError for a member the shape does not have: that is our mistake."""
    return orjson.dumps({} if shape is None else _written(model, model.shapes[shape], answer))


class _Reading:
    def __init__(self, model: ServiceModel, faults: list[str]) -> None:
        self._model, self._faults = model, faults

    def value(self, shape: Shape, raw: Any, path: str) -> Any:
        kind = shape["type"]
        if kind == "structure":
            return self.structure(shape, raw, path)
        if kind == "list":
            return self._list(shape, raw, path)
        if kind == "map":
            return self._map(shape, raw, path)
        return self._scalar(shape, kind, raw, path)

    def structure(self, shape: Shape, raw: Any, path: str) -> dict[str, Any]:
        _demand(isinstance(raw, dict), path, "an object")
        found: dict[str, Any] = {}
        for name, member in shape.get("members", {}).items():
            if raw.get(name) is not None:
                found[name] = self.value(self._model.shapes[member["shape"]], raw[name], _below(path, name))
        for name in shape.get("required", ()):
            if name not in found:
                self._fault(None, _below(path, name), "Member must not be null")
        return found

    def _list(self, shape: Shape, raw: Any, path: str) -> list[Any]:
        _demand(isinstance(raw, list), path, "a list")
        self._length(shape, len(raw), raw, path)
        inner = self._model.shapes[shape["member"]["shape"]]
        return [self.value(inner, each, f"{path}.{index + 1}.member") for index, each in enumerate(raw)]

    def _map(self, shape: Shape, raw: Any, path: str) -> dict[str, Any]:
        _demand(isinstance(raw, dict), path, "an object")
        self._length(shape, len(raw), raw, path)
        keys, values = (self._model.shapes[shape[side]["shape"]] for side in ("key", "value"))
        return {
            self.value(keys, key, f"{path}.key"): self.value(values, each, f"{path}.{key}")
            for key, each in raw.items()
        }

    def _scalar(self, shape: Shape, kind: str, raw: Any, path: str) -> Any:
        if kind == "blob":
            return self._blob(shape, raw, path)
        if kind == "timestamp":
            return _moment(raw, path)
        wanted = _TYPES[kind]
        _demand(isinstance(raw, wanted) and (kind == "boolean" or not isinstance(raw, bool)), path, f"a {kind}")
        if kind == "string":
            self._string(shape, raw, path)
        elif kind in _NUMBERS:
            self._range(shape, raw, path)
        return raw

    def _string(self, shape: Shape, raw: str, path: str) -> None:
        self._length(shape, len(raw), raw, path)
        if "enum" in shape and raw not in shape["enum"]:
            self._fault(raw, path, f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]")
        pattern = _compiled(shape["pattern"]) if "pattern" in shape else None
        if pattern and not pattern.search(raw):
            self._fault(raw, path, f"Member must satisfy regular expression pattern: {shape['pattern']}")

    def _blob(self, shape: Shape, raw: Any, path: str) -> bytes:
        _demand(isinstance(raw, str), path, "a base64 string")
        try:
            data = base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            raise _unreadable(f"{path} is no base64") from None
        self._length(shape, len(data), None, path)
        return data

    def _length(self, shape: Shape, length: int, shown: Any, path: str) -> None:
        if "min" in shape and length < shape["min"]:
            self._fault(shown, path, f"Member must have length greater than or equal to {shape['min']}")
        if "max" in shape and length > shape["max"]:
            self._fault(shown, path, f"Member must have length less than or equal to {shape['max']}")

    def _range(self, shape: Shape, number: float, path: str) -> None:
        if "min" in shape and number < shape["min"]:
            self._fault(number, path, f"Member must have value greater than or equal to {shape['min']}")
        if "max" in shape and number > shape["max"]:
            self._fault(number, path, f"Member must have value less than or equal to {shape['max']}")

    def _fault(self, shown: Any, path: str, constraint: str) -> None:
        said = "null" if shown is None else f"'{str(shown)[:200]}'"
        where = path[:1].lower() + path[1:]
        self._faults.append(f"Value {said} at '{where}' failed to satisfy constraint: {constraint}")


def _written(model: ServiceModel, shape: Shape, value: Any) -> Any:
    kind = shape["type"]
    if kind == "structure":
        members = shape.get("members", {})
        return {
            name: _written(model, model.shapes[members[name]["shape"]], each)
            for name, each in value.items()
            if each is not None
        }
    if kind == "list":
        return [_written(model, model.shapes[shape["member"]["shape"]], each) for each in value]
    if kind == "map":
        inner = model.shapes[shape["value"]["shape"]]
        return {key: _written(model, inner, each) for key, each in value.items()}
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value.timestamp() if kind == "timestamp" else value


def _moment(raw: Any, path: str) -> datetime:
    _demand(isinstance(raw, (int, float)) and not isinstance(raw, bool), path, "a number of seconds")
    try:
        return datetime.fromtimestamp(raw, UTC)
    except (ValueError, OverflowError, OSError):
        raise _unreadable(f"{path} is no time") from None


@cache
def _compiled(pattern: str) -> Compiled | None:
    """Patterns are written for Java: RE2 writes `\\u0020` differently. What it cannot read is not checked."""
    try:
        return compile_pattern(pattern.replace(r"\u00", r"\x"))
    except PatternError:
        return None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _demand(holds: bool, path: str, what: str) -> None:
    if not holds:
        raise _unreadable(f"{path or 'the body'} must be {what}")


def _unreadable(message: str) -> AwsError:
    return AwsError("SerializationException", message)
