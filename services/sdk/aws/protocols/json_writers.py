"""Values to what JSON is made of: bytes become base64, moments numbers, and what is no number its name.

Source: Smithy "AWS JSON 1.0/1.1", "AWS restJson1".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from services.sdk.aws.protocols.shapes import ShapeCompiler, ShapeRef
from services.sdk.aws.protocols.text_values import base64_text, number_text
from services.sdk.aws.protocols.timestamps import EPOCH, moment_writer, named_format

Writer = Callable[[Any], Any]


class JsonWriters(ShapeCompiler[Writer]):
    """Compiles writers. A member the shape does not have is a KeyError: that is our mistake."""

    def structure(self, members: dict[str, ShapeRef]) -> Writer:
        """A writer of those members."""
        table = {name: (each.location_name or name, self.compile(each)) for name, each in members.items()}

        def write(value: Any) -> Any:
            found = {}
            for name, each in value.items():
                if each is not None:
                    row = table[name]
                    found[row[0]] = row[1](each)
            return found

        return write

    def _make(self, ref: ShapeRef) -> Writer:
        if ref.type == "structure":
            return _itself if ref.is_document else self.structure(ref.members)
        if ref.type == "list":
            return self._list(ref)
        if ref.type == "map":
            return self._map(ref)
        if ref.type == "timestamp":
            wanted = named_format(ref.trait("timestampFormat"), EPOCH)
            return (lambda value: value.timestamp()) if wanted == EPOCH else moment_writer(wanted)
        scalars: dict[str, Writer] = {"blob": base64_text, "float": _float, "double": _float}
        return scalars.get(ref.type, _itself)

    def _recursive(self, made: dict[Any, Writer], key: Any) -> Writer:
        return lambda value: made[key](value)

    def _list(self, ref: ShapeRef) -> Writer:
        element = self.compile(ref.element)
        return lambda value: [element(each) for each in value]

    def _map(self, ref: ShapeRef) -> Writer:
        inner = self.compile(ref.value)
        return lambda value: {key: inner(each) for key, each in value.items()}


def _itself(value: Any) -> Any:
    return value


def _float(value: float) -> float | str:
    return value if math.isfinite(value) else number_text(value)
