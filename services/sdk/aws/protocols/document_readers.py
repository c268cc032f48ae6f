"""Trees of objects, lists and scalars to values, for JSON and CBOR.

The two differ in scalars alone: bytes and moments are themselves in CBOR, base64 and numbers in JSON.
Members that the model does not have are ignored, as AWS does.
Source: Smithy "AWS JSON 1.0/1.1", "AWS restJson1", "Smithy RPC v2 CBOR"; AWS's wording of SerializationException.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.sdk.aws.protocols.shapes import ShapeCompiler, ShapeRef
from services.sdk.aws.protocols.text_values import BITS, SPECIAL, base64_bytes
from services.sdk.aws.protocols.timestamps import EPOCH, from_epoch, moment_reader, named_format
from services.sdk.aws.protocols.validation import Path, Unreadable, Validation, check_of, deeper

Reader = Callable[[Any, Path, Validation], Any]
_NAMES = {"integer": "Integer", "long": "Long", "float": "Float", "double": "Double", "boolean": "Boolean"}


def token(raw: Any) -> str:
    """What Jackson calls a value."""
    if isinstance(raw, bool):
        return "TRUE_VALUE" if raw else "FALSE_VALUE"
    names = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE", bytes: "BLOB_VALUE"}
    return names.get(type(raw), "VALUE_NULL")


def unexpected(raw: Any, wanted: str, path: Path) -> Unreadable:
    """The fault of a value of another type."""
    if isinstance(raw, dict):
        return Unreadable("Start of structure or map found where not expected.", path)
    if isinstance(raw, list):
        return Unreadable("Start of list found where not expected", path)
    if wanted == "":
        return Unreadable("Unexpected field type", path)
    return Unreadable(f"{token(raw)} cannot be converted to {wanted}", path)


class DocumentReaders(ShapeCompiler[Reader]):
    """Compiles readers. `native`: bytes and moments come as themselves."""

    def __init__(self, *, native: bool = False) -> None:
        super().__init__()
        self._native = native

    def structure(self, members: dict[str, ShapeRef], required: tuple[str, ...]) -> Reader:
        """A reader of those members alone; the others come from elsewhere."""
        table: dict[str, tuple[str, Reader]] = {}
        for name, member in members.items():
            table[member.location_name or name] = (name, self.compile(member))

        def read(raw: Any, path: Path, validation: Validation) -> Any:
            if not isinstance(raw, dict):
                raise unexpected(raw, "", path)
            found: dict[str, Any] = {}
            for key, value in raw.items():
                if value is not None and (row := table.get(key)) is not None:
                    found[row[0]] = row[1](value, (path, row[0]), validation)
            validation.require(found, required, path)
            return found

        return read

    def _make(self, ref: ShapeRef) -> Reader:
        if ref.type == "structure":
            return _anything if ref.is_document else self.structure(ref.members, ref.required)
        if ref.type == "list":
            return self._list(ref)
        if ref.type == "map":
            return self._map(ref)
        return _with_check(self._scalar(ref), ref)

    def _recursive(self, made: dict[Any, Reader], key: Any) -> Reader:
        return deeper(made, key)

    def _list(self, ref: ShapeRef) -> Reader:
        element, check = self.compile(ref.element), check_of(ref)

        def read(raw: Any, path: Path, validation: Validation) -> Any:
            if not isinstance(raw, list):
                raise unexpected(raw, "", path)
            found = [element(each, (path, index), validation) for index, each in enumerate(raw)]
            if check is not None:
                check(found, path, validation)
            return found

        return read

    def _map(self, ref: ShapeRef) -> Reader:
        keys, values, check = self.compile(ref.key), self.compile(ref.value), check_of(ref)

        def read(raw: Any, path: Path, validation: Validation) -> Any:
            if not isinstance(raw, dict):
                raise unexpected(raw, "", path)
            key_path = (path, "key")
            found = {
                keys(key, key_path, validation): values(each, (path, key), validation) for key, each in raw.items()
            }
            if check is not None:
                check(found, path, validation)
            return found

        return read

    def _scalar(self, ref: ShapeRef) -> Reader:
        if ref.type == "timestamp":
            wanted = named_format(ref.trait("timestampFormat"), EPOCH)
            return _native_moment if self._native else _moment_reader(wanted)
        if ref.type == "blob":
            return _native_bytes if self._native else _base64
        if ref.type in BITS:
            return _whole_reader(ref.type)
        readers: dict[str, Reader] = {
            "string": _string,
            "character": _string,
            "boolean": _boolean,
        }
        return readers.get(ref.type) or _decimal_reader(ref.type)


def _with_check(read: Reader, ref: ShapeRef) -> Reader:
    check = check_of(ref)
    if check is None:
        return read

    def checked(raw: Any, path: Path, validation: Validation) -> Any:
        value = read(raw, path, validation)
        check(value, path, validation)
        return value

    return checked


def _anything(raw: Any, path: Path, validation: Validation) -> Any:
    return raw


def _string(raw: Any, path: Path, validation: Validation) -> str:
    if type(raw) is not str:
        raise unexpected(raw, "String", path)
    return raw


def _boolean(raw: Any, path: Path, validation: Validation) -> bool:
    if type(raw) is not bool:
        raise unexpected(raw, "Boolean", path)
    return raw


def _base64(raw: Any, path: Path, validation: Validation) -> bytes:
    if type(raw) is not str:
        raise unexpected(raw, "Blob", path)
    return base64_bytes(raw, path)


def _native_bytes(raw: Any, path: Path, validation: Validation) -> bytes:
    if type(raw) is not bytes:
        raise unexpected(raw, "Blob", path)
    return raw


def _native_moment(raw: Any, path: Path, validation: Validation) -> datetime:
    if not isinstance(raw, datetime):
        raise unexpected(raw, "Timestamp", path)
    return raw


def _moment_reader(wanted: str) -> Reader:
    read = moment_reader(wanted)

    def moment(raw: Any, path: Path, validation: Validation) -> datetime:
        if type(raw) not in ((int, float) if wanted == EPOCH else (str,)):
            raise unexpected(raw, "Timestamp", path)
        try:
            return from_epoch(raw) if wanted == EPOCH else read(raw)
        except ValueError:
            raise Unreadable(f"Timestamp must be {wanted}", path) from None

    return moment


def _whole_reader(kind: str) -> Reader:
    bits, name = BITS[kind], _NAMES[kind]

    def whole(raw: Any, path: Path, validation: Validation) -> int:
        if type(raw) is not int:
            raise unexpected(raw, name, path)
        if not -(2**bits) <= raw < 2**bits:
            raise Unreadable(f"Value out of range for {name}", path)
        return raw

    return whole


def _decimal_reader(kind: str) -> Reader:
    name = _NAMES[kind]

    def decimal(raw: Any, path: Path, validation: Validation) -> float:
        if type(raw) is str and raw in SPECIAL:
            return SPECIAL[raw]
        if type(raw) not in (int, float):
            raise unexpected(raw, name, path)
        return raw  # type: ignore[no-any-return]

    return decimal
