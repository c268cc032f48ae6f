"""The little XML that S3-like protocols need: answers rendered, small request documents read.

Source: botocore's S3 service model (rest-xml). Kept free of botocore, so that a service starts fast.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

# 10,000 parts, each with number, ETag and a checksum, and what stands around them.
MOST_ELEMENTS, DEEPEST = 60_000, 8
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


def render(root: str, value: dict[str, Any], namespace: str = S3) -> bytes:
    """A document. Lists repeat their element; None leaves it out."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    inside = "".join(_element(name, each) for name, each in value.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{attribute}>{inside}</{root}>'.encode()


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(k, v) for k, v in value.items())}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escaped(text)}</{name}>"


def escaped(text: str) -> str:
    """Text between tags. A carriage return that is not escaped would be read as a line feed."""
    if "&" in text or "<" in text or ">" in text or "\r" in text:  # seldom, and looking is cheaper than replacing
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return text


def readable(text: str) -> str:
    """The text with U+FFFD for what no XML can have: what an error repeats may be anything."""
    return _NOT_XML.sub("\ufffd", text)


def quoted(text: str) -> str:
    """The value of an attribute, with its quotation marks."""
    inside = escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return f'"{inside}"'


def parse(body: bytes, deepest: int = DEEPEST) -> ElementTree.Element:
    """The root element. Names of elements and attributes are without namespaces.

    Raises ValueError for what is no XML in UTF-8, has a document type (and so could have entities), or is deeper or
    has more elements than any request.
    """
    builder = _Builder(deepest)
    parser = expat.ParserCreate("utf-8", "}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse_types
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError as broken:
        raise ValueError(str(broken)) from None
    return builder.root()


def members(element: ElementTree.Element, known: frozenset[str]) -> dict[str, list[ElementTree.Element]]:
    """Children of an element by name. Raises ValueError for an unknown one: what is asked for is not dropped."""
    found: dict[str, list[ElementTree.Element]] = {}
    for each in element:
        if each.tag not in known:
            raise ValueError(f"{element.tag[:80]} has no member {each.tag[:80]}")
        found.setdefault(each.tag, []).append(each)
    return found


def _refuse_types(*_: object) -> None:
    raise ValueError("document types are refused")


class _Builder:
    """Makes the tree, within bounds. Text is joined once for each element: there may be a piece between any two."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._open: list[tuple[ElementTree.Element, list[str]]] = []
        self._root: ElementTree.Element | None = None
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) >= self._deepest:
            raise ValueError(f"at most {MOST_ELEMENTS} elements, {self._deepest} levels deep")
        plain = {key.rpartition("}")[2]: value for key, value in attributes.items()}
        made = ElementTree.Element(name.rpartition("}")[2], plain)
        if self._open:
            self._open[-1][0].append(made)
        else:
            self._root = made
        self._open.append((made, []))

    def end(self, name: str) -> None:
        element, parts = self._open.pop()
        element.text = "".join(parts) or None

    def text(self, data: str) -> None:
        if self._open:
            self._open[-1][1].append(data)

    def root(self) -> ElementTree.Element:
        if self._root is None:
            raise ValueError("there is no element")
        return self._root
