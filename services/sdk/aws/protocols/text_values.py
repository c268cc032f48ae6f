"""Scalars as text: in XML, forms, headers, paths and queries.

Numbers are read digit by digit rules, not by what `int` and `float` would take: no underscores, no digits of other
scripts, no length that costs time.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.timestamps import moment_reader, moment_writer, named_format
from services.sdk.aws.protocols.validation import Path, Unreadable, Validation, check_of

TextReader = Callable[[str, Path, Validation], Any]
TextWriter = Callable[[Any], str]
BITS = {"integer": 31, "long": 63}
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DIGITS, _DECIMAL = frozenset("0123456789"), frozenset("0123456789.+-eE")
_LONGEST_NUMBER = 64


def text_reader(ref: ShapeRef, default_format: str) -> TextReader:
    """Reads a scalar of that shape. Raises Unreadable."""
    read, check = _plain_reader(ref, default_format), check_of(ref)
    if check is None:
        return lambda text, path, validation: read(text, path)

    def checked(text: str, path: Path, validation: Validation) -> Any:
        value = read(text, path)
        check(value, path, validation)
        return value

    return checked


def text_writer(ref: ShapeRef, default_format: str) -> TextWriter:
    """Writes a scalar of that shape."""
    if ref.type == "timestamp":
        wanted = named_format(ref.trait("timestampFormat"), default_format)
        return moment_writer(wanted, always_milliseconds=ref.model.name == "s3")
    writers: dict[str, TextWriter] = {"boolean": _boolean_text, "blob": base64_text, "string": _string_text}
    return writers.get(ref.type, number_text)


def base64_bytes(text: str, path: Path) -> bytes:
    """Raises Unreadable."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("Invalid Base64 content", path) from None


def base64_text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def number_text(value: float) -> str:
    """`NaN` and the infinities by their names in Smithy."""
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, each in SPECIAL.items() if each == value or (each != each and value != value))
    return str(value)


def _string_text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {type(value).__name__}")
    return value


def _boolean_text(value: bool) -> str:
    return "true" if value else "false"


def _plain_reader(ref: ShapeRef, default_format: str) -> Callable[[str, Path], Any]:
    if ref.type == "timestamp":
        return _timestamp_reader(named_format(ref.trait("timestampFormat"), default_format))
    if ref.type in BITS:
        return _integer_reader(BITS[ref.type])
    readers: dict[str, Callable[[str, Path], Any]] = {
        "string": lambda text, path: text,
        "character": lambda text, path: text,
        "blob": base64_bytes,
        "boolean": _boolean,
        "float": _decimal,
        "double": _decimal,
    }
    return readers[ref.type]


def _timestamp_reader(wanted: str) -> Callable[[str, Path], Any]:
    read = moment_reader(wanted)

    def timestamp(text: str, path: Path) -> Any:
        try:
            return read(text)
        except ValueError:
            raise Unreadable(f"Timestamp must be {wanted}", path) from None

    return timestamp


def _integer_reader(bits: int) -> Callable[[str, Path], int]:
    def integer(text: str, path: Path) -> int:
        digits = text.removeprefix("-")
        if not 0 < len(digits) <= 19 or not _DIGITS.issuperset(digits):
            raise Unreadable("Value is not a whole number", path)
        value = int(text)
        if not -(2**bits) <= value < 2**bits:
            raise Unreadable(f"Value does not fit in {bits + 1} bits", path)
        return value

    return integer


def _decimal(text: str, path: Path) -> float:
    if text in SPECIAL:
        return SPECIAL[text]
    if len(text) > _LONGEST_NUMBER or not _DECIMAL.issuperset(text):
        raise Unreadable("Value is not a number", path)
    try:
        return float(text)
    except ValueError:
        raise Unreadable("Value is not a number", path) from None


def _boolean(text: str, path: Path) -> bool:
    if text not in ("true", "false"):
        raise Unreadable("Value must be true or false", path)
    return text == "true"
