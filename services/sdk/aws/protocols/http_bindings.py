"""What of a request stands in its path, query and headers, and of an answer in its status and headers.

Source: Smithy "HTTP binding traits"; botocore `serialize.py` BaseRestSerializer, `parsers.py` BaseRestParser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from services.sdk.aws.protocols.messages import HttpRequest
from services.sdk.aws.protocols.query_values import form_pairs
from services.sdk.aws.protocols.routing import Template, labels_of
from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.text_values import base64_bytes, base64_text, text_reader, text_writer
from services.sdk.aws.protocols.timestamps import HTTP, ISO, named_format
from services.sdk.aws.protocols.validation import Path, Unreadable, Validation, check_of

ListReader = Callable[[list[str], Path, Validation], Any]
TextReader = Callable[[str, Path, Validation], Any]
_REQUEST_PLACES = frozenset({"uri", "querystring", "header", "headers"})
_ANSWER_PLACES = frozenset({"header", "headers", "statusCode"})
_CONTROLS = frozenset(chr(each) for each in (*range(32), 127)) - {"\t"}


class RequestBindings(NamedTuple):
    """Readers by where a member stands: (member, name there, reader)."""

    template: Template
    labels: list[tuple[str, str, TextReader]]
    query: dict[str, tuple[str, ListReader]]
    query_map: tuple[str, ListReader, bool] | None
    headers: list[tuple[str, str, TextReader]]
    header_maps: list[tuple[str, str, TextReader]]

    def read(self, request: HttpRequest, found: dict[str, Any], validation: Validation) -> None:
        """Adds what it finds. Raises Unreadable."""
        try:
            labels = labels_of(self.template, request.path)
            pairs = form_pairs(request.query)
        except ValueError as wrong:
            raise Unreadable(f"the address is no UTF-8: {wrong}") from None
        for name, where, read in self.labels:
            found[name] = read(labels[where], (None, name), validation)
        self._read_query(pairs, found, validation)
        self._read_headers(request.headers, found, validation)

    def _read_query(self, pairs: list[tuple[str, str]], found: dict[str, Any], validation: Validation) -> None:
        groups: dict[str, list[str]] = {}
        for key, value in pairs:
            groups.setdefault(key, []).append(value)
        others = {}
        for key, values in groups.items():
            row = self.query.get(key)
            if row is not None:
                found[row[0]] = row[1](values, (None, row[0]), validation)
            elif self.query_map and key not in self.template.constants:
                read, many = self.query_map[1:]
                others[key] = read(values if many else values[:1], ((None, self.query_map[0]), key), validation)
        if self.query_map and others:
            found[self.query_map[0]] = others

    def _read_headers(self, headers: Mapping[str, str], found: dict[str, Any], validation: Validation) -> None:
        for name, where, read in self.headers:
            if (text := headers.get(where)) is not None:
                found[name] = read(text, (None, name), validation)
        for name, prefix, read in self.header_maps:
            named = {key[len(prefix) :]: value for key, value in headers.items() if key.startswith(prefix)}
            if named:
                found[name] = {key: read(value, ((None, name), key), validation) for key, value in named.items()}


def request_bindings(ref: ShapeRef | None, template: Template) -> RequestBindings:
    """The readers of one operation."""
    made = RequestBindings(template, [], {}, None, [], [])
    for name, member in (ref.members if ref else {}).items():
        where = member.location_name or name
        place = member.trait("location")
        if place == "uri":
            made.labels.append((name, where, text_reader(member, ISO)))
        elif place == "header":
            made.headers.append((name, where.lower(), _header_reader(member)))
        elif place == "headers":
            made.header_maps.append((name, (member.location_name or "").lower(), text_reader(member.value, HTTP)))
        elif place == "querystring" and member.type == "map":
            made = made._replace(query_map=(name, _query_reader(member.value), member.value.type == "list"))
        elif place == "querystring":
            made.query[where] = (name, _query_reader(member))
    return made


class AnswerBindings(NamedTuple):
    """Writers by where a member stands."""

    headers: dict[str, tuple[str, Callable[[Any], str]]]
    header_maps: dict[str, tuple[str, Callable[[Any], str]]]
    status: str | None

    def write(self, result: Mapping[str, Any], status: int) -> tuple[int, list[tuple[str, str]]]:
        """The status, and the headers of all members that are there."""
        headers = []
        for name, value in result.items():
            if value is None:
                continue
            if (row := self.headers.get(name)) is not None:
                headers.append((row[0], header_text(row[1](value))))
            elif (row := self.header_maps.get(name)) is not None:
                headers += [(row[0] + key, header_text(row[1](each))) for key, each in value.items()]
        chosen = result.get(self.status) if self.status else None
        return (status if chosen is None else int(chosen)), headers


def answer_bindings(ref: ShapeRef | None) -> AnswerBindings:
    """The writers of one output or error."""
    made = AnswerBindings({}, {}, None)
    for name, member in (ref.members if ref else {}).items():
        place = member.trait("location")
        if place == "header":
            made.headers[name] = (member.location_name or name, _header_writer(member))
        elif place == "headers":
            made.header_maps[name] = (member.location_name or "", text_writer(member.value, HTTP))
        elif place == "statusCode":
            made = made._replace(status=name)
    return made


def body_members(ref: ShapeRef | None, *, answer: bool = False) -> dict[str, ShapeRef]:
    """What stands in the body of a request or answer that has no payload."""
    places = _ANSWER_PLACES if answer else _REQUEST_PLACES
    return {name: each for name, each in (ref.members if ref else {}).items() if each.trait("location") not in places}


def header_text(text: str) -> str:
    """Raises ValueError for what would end a header, or begin another one, or cannot be sent as one."""
    if not text.isascii():
        text.encode("latin-1")
    if not _CONTROLS.isdisjoint(text):
        raise ValueError("a header has no control characters")
    return text


def header_list(text: str) -> list[str]:
    """The elements of a list in a header; those with a comma are in quotes."""
    found, at = [], 0
    while at <= len(text):
        if text[at : at + 1] == '"':
            element, at = _quoted(text, at + 1)
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            element, at = text[at:end].strip(), end
        found.append(element)
        at += 1
        while text[at : at + 1] == " ":
            at += 1
    return found


def _quoted(text: str, at: int) -> tuple[str, int]:
    parts = []
    while True:
        end = text.find('"', at)
        if end < 0:
            raise Unreadable("a quotation in a list does not end")
        if end > at and text[end - 1] == "\\":
            parts += [text[at : end - 1], '"']
            at = end + 1
            continue
        parts.append(text[at:end])
        after = text.find(",", end)
        if text[end + 1 : after if after >= 0 else len(text)].strip():
            raise Unreadable("there is something after a quotation")
        return "".join(parts), after if after >= 0 else len(text)


def _query_reader(member: ShapeRef) -> ListReader:
    if member.type == "list":
        inner, check = text_reader(member.element, ISO), check_of(member)

        def read(values: list[str], path: Path, validation: Validation) -> Any:
            found = [inner(each, (path, index), validation) for index, each in enumerate(values)]
            if check is not None:
                check(found, path, validation)
            return found

        return read
    scalar = text_reader(member, ISO)

    def read_one(values: list[str], path: Path, validation: Validation) -> Any:
        if len(values) != 1:
            raise Unreadable("it is there more than once", path)
        return scalar(values[0], path, validation)

    return read_one


def _header_reader(member: ShapeRef) -> TextReader:
    if member.trait("jsonvalue"):
        return _json_value
    if member.type != "list":
        return text_reader(member, HTTP)
    inner, check, element = text_reader(member.element, HTTP), check_of(member), member.element
    is_date = element.type == "timestamp" and named_format(element.trait("timestampFormat"), HTTP) == HTTP

    def read(text: str, path: Path, validation: Validation) -> Any:
        parts = header_list(text)
        if is_date:  # each has a comma of its own
            parts = [f"{parts[at]}, {''.join(parts[at + 1 : at + 2])}" for at in range(0, len(parts), 2)]
        found = [inner(each, (path, index), validation) for index, each in enumerate(parts)]
        if check is not None:
            check(found, path, validation)
        return found

    return read


def _json_value(text: str, path: Path, validation: Validation) -> Any:
    try:
        return orjson.loads(base64_bytes(text, path))
    except orjson.JSONDecodeError:
        raise Unreadable("no JSON in base64", path) from None


def _header_writer(member: ShapeRef) -> Callable[[Any], str]:
    if member.trait("jsonvalue"):
        return lambda value: base64_text(json.dumps(value, separators=(",", ":")).encode())
    if member.type != "list":
        return text_writer(member, HTTP)
    inner = text_writer(member.element, HTTP)
    is_text = member.element.type == "string"
    return lambda value: ",".join(_in_quotes(inner(each)) if is_text else inner(each) for each in value)


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"' if '"' in text or "," in text else text
