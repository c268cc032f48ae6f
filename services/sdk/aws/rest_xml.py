"""The little XML that S3-like protocols need: answers rendered, small request documents read.

Source: botocore's S3 service model (rest-xml). Kept free of botocore, so that a service starts fast.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

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
    return f"<{name}>{escape(text, {chr(13): '&#13;'})}</{name}>"


def parse(body: bytes) -> ElementTree.Element:
    """The root element, without namespaces. Raises ValueError; declarations of entities are refused."""
    # In any other encoding `<!` could hide, and expat finds UTF-16 by its zeros, whatever it is told.
    text = body.decode("utf-8")
    if "<!" in text or "\0" in text:
        raise ValueError("document types are refused")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # no document type gets this far
    except ElementTree.ParseError as broken:
        raise ValueError(str(broken)) from None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root
