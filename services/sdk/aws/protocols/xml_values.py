"""XML elements to values and back, by shapes: names, flattened lists and maps, attributes, namespaces.

What the model does not have is refused: services that speak XML check requests against a schema.
Source: Smithy "XML bindings"; botocore `serialize.py` RestXMLSerializer, `parsers.py` BaseXMLResponseParser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from services.sdk.aws.protocols.shapes import ShapeCompiler, ShapeRef
from services.sdk.aws.protocols.text_values import text_reader, text_writer
from services.sdk.aws.protocols.timestamps import ISO
from services.sdk.aws.protocols.validation import Path, Unreadable, Validation, check_of, deeper
from services.sdk.aws.rest_xml import escaped, quoted

# From all elements of one name: a flattened list has many of them.
Reader = Callable[[list[Element], Path, Validation], Any]
# The element's name, what it has; `attributes` stands in the first element.
Writer = Callable[[str, Any, str], str]
_SHOWN = 80


class XmlReaders(ShapeCompiler[Reader]):
    """Compiles readers."""

    def structure(self, members: dict[str, ShapeRef], required: tuple[str, ...]) -> Reader:
        """A reader of those members alone."""
        table: dict[str, tuple[str, Reader]] = {}
        attributes: dict[str, tuple[str, Reader]] = {}
        for name, member in members.items():
            said = member.location_name or name
            if member.trait("xmlAttribute"):
                attributes[said.rpartition(":")[2]] = (name, self.compile(member))
            else:
                table[said] = (name, self.compile(member))

        def read(elements: list[Element], path: Path, validation: Validation) -> Any:
            groups: dict[str, list[Element]] = {}
            element = _only(elements, path)
            for child in element:
                groups.setdefault(child.tag, []).append(child)
            found: dict[str, Any] = {}
            for tag, group in groups.items():
                row = table.get(tag)
                if row is None:
                    raise Unreadable(f"{element.tag[:_SHOWN]} has no member {tag[:_SHOWN]}", path)
                found[row[0]] = row[1](group, (path, row[0]), validation)
            for attribute, (name, member_of) in attributes.items():
                if (text := element.get(attribute)) is not None:
                    found[name] = member_of([_text_element(text)], (path, name), validation)
            validation.require(found, required, path)
            return found

        return read

    def _make(self, ref: ShapeRef) -> Reader:
        if ref.type == "structure":
            return self.structure(ref.members, ref.required)
        if ref.type == "list":
            return self._list(ref)
        if ref.type == "map":
            return self._map(ref)
        scalar = text_reader(ref, ISO)

        def read(elements: list[Element], path: Path, validation: Validation) -> Any:
            element = _only(elements, path)
            if len(element):
                raise Unreadable(f"{element.tag[:_SHOWN]} has no members", path)
            return scalar(element.text or "", path, validation)

        return read

    def _recursive(self, made: dict[Any, Reader], key: Any) -> Reader:
        return deeper(made, key)

    def _list(self, ref: ShapeRef) -> Reader:
        inner, check, flattened = self.compile(ref.element), check_of(ref), ref.flattened
        name = ref.element.location_name or "member"

        def read(elements: list[Element], path: Path, validation: Validation) -> Any:
            each = elements if flattened else _children(_only(elements, path), name, path)
            found = [inner([one], (path, index), validation) for index, one in enumerate(each)]
            if check is not None:
                check(found, path, validation)
            return found

        return read

    def _map(self, ref: ShapeRef) -> Reader:
        keys, values, check, flattened = self.compile(ref.key), self.compile(ref.value), check_of(ref), ref.flattened
        names = (ref.key.location_name or "key", ref.value.location_name or "value")

        def read(elements: list[Element], path: Path, validation: Validation) -> Any:
            entries = elements if flattened else _children(_only(elements, path), "entry", path)
            found = {}
            for entry in entries:
                key, value = _pair(entry, names, path)
                name = keys([key], (path, "key"), validation)
                found[name] = values([value], (path, str(name)), validation)
            if check is not None:
                check(found, path, validation)
            return found

        return read


class XmlWriters(ShapeCompiler[Writer]):
    """Compiles writers. A member the shape does not have is a KeyError: that is our mistake."""

    def structure(self, members: dict[str, ShapeRef]) -> Callable[[Any], tuple[str, str]]:
        """The attributes and the inside of an element with those members."""
        table: dict[str, Callable[[Any], str]] = {}
        attributes: dict[str, Callable[[Any], str]] = {}
        for name, member in members.items():
            if member.trait("xmlAttribute"):
                attributes[name] = _attribute_writer(member)
            else:
                table[name] = self._member(element_name(member, name), member)

        if not attributes:
            return lambda value: ("", "".join(table[name](each) for name, each in value.items() if each is not None))

        def write(value: Any) -> tuple[str, str]:
            outside, inside = [], []
            for name, each in value.items():
                if each is None:
                    continue
                if name in attributes:
                    outside.append(attributes[name](each))
                else:
                    inside.append(table[name](each))
            return "".join(outside), "".join(inside)

        return write

    def _member(self, name: str, member: ShapeRef) -> Callable[[Any], str]:
        namespace = namespace_of(member)
        if member.type not in ("structure", "list", "map"):
            return _scalar_writer(member, f"<{name}{namespace}>", f"</{name}>")
        write = self.compile(member)
        return lambda value: write(name, value, namespace)

    def _make(self, ref: ShapeRef) -> Writer:
        if ref.type == "structure":
            return self._structure(ref)
        if ref.type == "list":
            return self._list(ref)
        if ref.type == "map":
            return self._map(ref)
        inside = _scalar_writer(ref, "", "")
        return lambda name, value, namespace: f"<{name}{namespace}>{inside(value)}</{name}>"

    def _recursive(self, made: dict[Any, Writer], key: Any) -> Writer:
        return lambda name, value, namespace: made[key](name, value, namespace)

    def _structure(self, ref: ShapeRef) -> Writer:
        members = self.structure(ref.members)

        def write(name: str, value: Any, namespace: str) -> str:
            outside, inside = members(value)
            return f"<{name}{namespace}{outside}>{inside}</{name}>"

        return write

    def _list(self, ref: ShapeRef) -> Writer:
        inner, flattened = self.compile(ref.element), ref.flattened
        element, inner_namespace = ref.element.location_name or "member", namespace_of(ref.element)

        def write(name: str, value: Any, namespace: str) -> str:
            if flattened:
                return "".join(inner(name, each, inner_namespace) for each in value)
            inside = "".join(inner(element, each, inner_namespace) for each in value)
            return f"<{name}{namespace}>{inside}</{name}>"

        return write

    def _map(self, ref: ShapeRef) -> Writer:
        keys, values, flattened = self.compile(ref.key), self.compile(ref.value), ref.flattened
        key_name, value_name = ref.key.location_name or "key", ref.value.location_name or "value"

        def write(name: str, value: Any, namespace: str) -> str:
            tag = name if flattened else "entry"
            inside = "".join(
                f"<{tag}>{keys(key_name, key, '')}{values(value_name, each, '')}</{tag}>"
                for key, each in value.items()
            )
            return inside if flattened else f"<{name}{namespace}>{inside}</{name}>"

        return write


def element_name(member: ShapeRef, name: str) -> str:
    """What a member is called in an answer: for flattened lists, clients look for the name of what is in it."""
    if member.type == "list" and member.flattened and member.element.location_name:
        return member.element.location_name
    return member.location_name or name


def namespace_of(ref: ShapeRef) -> str:
    """` xmlns="..."`, or nothing."""
    found = ref.trait("xmlNamespace")
    if not found:
        return ""
    uri, prefix = (found, "") if isinstance(found, str) else (found["uri"], found.get("prefix"))
    return f" xmlns{':' + prefix if prefix else ''}={quoted(uri)}"


def _scalar_writer(ref: ShapeRef, opening: str, closing: str) -> Callable[[Any], str]:
    text = text_writer(ref, ISO)
    if ref.type == "string":
        return lambda value: f"{opening}{escaped(text(value))}{closing}"
    return lambda value: f"{opening}{text(value)}{closing}"


def _attribute_writer(member: ShapeRef) -> Callable[[Any], str]:
    name, text = member.location_name, text_writer(member, ISO)
    return lambda value: f" {name}={quoted(text(value))}"


def _only(elements: list[Element], path: Path) -> Element:
    if len(elements) != 1:
        raise Unreadable(f"{elements[0].tag[:_SHOWN]} is there more than once", path)
    return elements[0]


def _children(element: Element, name: str, path: Path) -> list[Element]:
    for child in element:
        if child.tag != name:
            raise Unreadable(f"{element.tag[:_SHOWN]} has no member {child.tag[:_SHOWN]}", path)
    return list(element)


def _pair(entry: Element, names: tuple[str, str], path: Path) -> tuple[Element, Element]:
    found = {child.tag: child for child in entry}
    if len(entry) != 2 or set(found) != set(names):
        raise Unreadable(f"an entry has one {names[0]} and one {names[1]}", path)
    return found[names[0]], found[names[1]]


def _text_element(text: str) -> Element:
    made = Element("attribute")
    made.text = text
    return made
