"""Messages of protobuf that are described beside the code that reads them, so that there is no generated code.

Source: protobuf.dev/programming-guides/proto3; descriptor.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DOUBLE, INT64, UINT64, INT32, STRING, BYTES = 1, 3, 4, 5, 9, 12
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


class Field(NamedTuple):
    """`type`: a number of FieldDescriptorProto.Type, or the name of a message of the same package. What is of BYTES
    may be a message that is read later, or not at all: on the wire they are the same.
    """

    name: str
    number: int
    type: int | str
    repeated: bool = False


def message_classes(package: str, messages: Mapping[str, Sequence[Field]]) -> dict[str, Any]:
    """A class for each message, by name. Loads protobuf: called at the first request, and not before."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file: Any = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for field in fields:
            label = _REPEATED if field.repeated else _OPTIONAL
            added = described.field.add(name=field.name, number=field.number, label=label)
            if isinstance(field.type, str):
                added.type, added.type_name = _MESSAGE, f".{package}.{field.type}"
            else:
                added.type = field.type
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in messages}
    return {name: message_factory.GetMessageClass(each) for name, each in found.items()}
