"""Shapes of a service model, as the codecs walk them: once for each operation, into closures.

A member refers to a shape and may say more of it (`locationName`, `flattened`); what the member says counts first.
Source: botocore `model.py`; Smithy "JSON AST" as botocore's `service-2.json` keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from services.sdk.aws.model import ServiceModel, Shape

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ShapeRef:
    """A shape where it is used. `judged`: by itself; scalars in a list or map are judged by that, all at once."""

    model: ServiceModel
    name: str
    traits: Shape
    judged: bool = True

    @cached_property
    def shape(self) -> Shape:
        return self.model.shapes[self.name]

    @property
    def type(self) -> str:
        return str(self.shape["type"])

    def trait(self, name: str, default: Any = None) -> Any:
        """What the member says, else what the shape says."""
        return self.traits.get(name, self.shape.get(name, default))

    @cached_property
    def location_name(self) -> str | None:
        found = self.trait("locationName")
        return None if found is None else str(found)

    @cached_property
    def members(self) -> dict[str, ShapeRef]:
        """Members of a structure, in the order of the model."""
        return {name: self._ref(each) for name, each in self.shape.get("members", {}).items()}

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(self.shape.get("required", ()))

    @property
    def element(self) -> ShapeRef:
        """The shape of what is in a list."""
        return self._inside("member")

    @property
    def key(self) -> ShapeRef:
        """The shape of the keys of a map."""
        return self._inside("key")

    @property
    def value(self) -> ShapeRef:
        """The shape of the values of a map."""
        return self._inside("value")

    @property
    def is_scalar(self) -> bool:
        return self.type not in ("structure", "list", "map")

    @property
    def flattened(self) -> bool:
        return bool(self.trait("flattened"))

    @property
    def is_document(self) -> bool:
        """Any JSON at all."""
        return bool(self.trait("document"))

    @property
    def is_event_stream(self) -> bool:
        return bool(self.trait("eventstream"))

    def streams(self) -> bool:
        """Whether it is a body that is handed on as it comes."""
        return self.type == "blob" and bool(self.trait("streaming"))

    def _inside(self, side: str) -> ShapeRef:
        found = self._ref(self.shape[side])
        return replace(found, judged=False) if found.is_scalar else found

    def _ref(self, raw: Shape) -> ShapeRef:
        return ShapeRef(self.model, raw["shape"], raw)


def input_ref(model: ServiceModel, operation: str) -> ShapeRef | None:
    """The operation's input, with what the operation says of it."""
    return _ref_of(model, model.operations[operation].get("input"))


def output_ref(model: ServiceModel, operation: str) -> ShapeRef | None:
    """The operation's output, with what the operation says of it."""
    return _ref_of(model, model.operations[operation].get("output"))


def error_refs(model: ServiceModel) -> Iterator[ShapeRef]:
    """Every error the service declares."""
    return (ShapeRef(model, name, {}) for name, shape in model.shapes.items() if shape.get("exception"))


def event_stream_of(ref: ShapeRef | None) -> str | None:
    """The member that is a stream of events, if there is one."""
    if ref is None:
        return None
    return next((name for name, each in ref.members.items() if each.is_event_stream), None)


def _ref_of(model: ServiceModel, raw: Shape | None) -> ShapeRef | None:
    return ShapeRef(model, raw["shape"], raw) if raw else None


class ShapeCompiler(Generic[F]):
    """Makes one closure for each shape as it is used; a shape inside itself is looked up when it is reached."""

    def __init__(self) -> None:
        self._made: dict[Any, F] = {}
        self._making: set[Any] = set()

    def compile(self, ref: ShapeRef) -> F:
        """The closure of that shape, made at the first use."""
        key = self._key(ref)
        found = self._made.get(key)
        if found is not None:
            return found
        if key in self._making:
            return self._recursive(self._made, key)
        self._making.add(key)
        try:
            self._made[key] = self._make(ref)
        finally:
            self._making.discard(key)
        return self._made[key]

    def _key(self, ref: ShapeRef) -> Any:
        """What a closure depends on. Names are the parent's matter."""
        return ref.name, ref.flattened, ref.trait("timestampFormat"), ref.trait("sensitive"), ref.judged

    def _make(self, ref: ShapeRef) -> F:
        raise NotImplementedError

    def _recursive(self, made: dict[Any, F], key: Any) -> F:
        raise NotImplementedError
