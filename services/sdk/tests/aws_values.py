"""Values of any shape of any model, as hypothesis draws them: what a protocol can carry, and no more.

Where a protocol cannot tell two values apart (an empty list in a form), only one of them is drawn.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.timestamps import EPOCH, HTTP, ISO, named_format

_DEEP = 4
_DEFAULT_FORMATS = {"json": EPOCH, "rest-json": EPOCH, "smithy-rpc-v2-cbor": EPOCH, "query": ISO, "rest-xml": ISO}
_ANY = st.characters(exclude_categories=["Cs"])
# What XML 1.0 can hold; botocore does not escape carriage returns.
_XML = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n ")
_HEADER = st.sampled_from("abcXYZ019-_./:=;()$ ")
_NAME = st.text(st.sampled_from("abcxyz019-"), min_size=1, max_size=8)


class Wire(NamedTuple):
    """What carries the value. `answer`: from us to the client."""

    protocol: str
    answer: bool

    @property
    def is_xml(self) -> bool:
        return self.protocol in ("query", "rest-xml")

    @property
    def is_form(self) -> bool:
        return self.protocol == "query" and not self.answer


def drawn_members(draw: Any, wire: Wire, ref: ShapeRef) -> dict[str, Any]:
    """The input or output of an operation."""
    payload = ref.trait("payload")
    found = {}
    for name in _chosen(draw, wire, ref, 0):
        member = ref.members[name]
        if not member.is_event_stream:
            found[name] = _drawn_member(draw, wire, member, is_payload=name == payload)
    if payload and payload not in found:
        found[payload] = _drawn_member(draw, wire, ref.members[payload], is_payload=True)
    for name, member in ref.members.items():
        if wire.answer and member.trait("location") == "statusCode":
            found[name] = draw(st.sampled_from([200, 201, 202]))
    return found


def _drawn_member(draw: Any, wire: Wire, member: ShapeRef, *, is_payload: bool) -> Any:
    place = member.trait("location")
    if is_payload and member.type in ("blob", "string"):
        return draw(st.binary(min_size=1, max_size=20) if member.type == "blob" else st.text(_ANY, min_size=1))
    if place == "headers":
        return draw(st.dictionaries(_NAME, _header_text(0, 8), min_size=1, max_size=3))
    if place == "header" and member.trait("jsonvalue"):
        return {"a": [1, "x"]}
    if place in ("header", "uri", "querystring"):
        return _drawn_in_text(draw, wire, member, place)
    return drawn(draw, wire, member, 1)


def _drawn_in_text(draw: Any, wire: Wire, member: ShapeRef, place: str) -> Any:
    if member.type == "list":
        count = draw(st.integers(max(member.trait("min", 1), 1), max(member.trait("min", 1), 1) + 2))
        return [_drawn_in_text(draw, wire, member.element, place) for _ in range(count)]
    if member.type == "map":
        value = member.value
        keys = draw(st.lists(_NAME.map(lambda name: f"q{name}"), min_size=1, max_size=2, unique=True))
        return {key: _drawn_in_text(draw, wire, value, place) for key in keys}
    if member.type == "timestamp":
        # In headers botocore writes whole seconds, whatever the format.
        return _moment(draw, HTTP if place == "header" else named_format(member.trait("timestampFormat"), ISO))
    if member.type != "string":
        return drawn(draw, wire, member, 1)
    if enum := member.trait("enum"):
        return draw(st.sampled_from([each for each in enum if place != "uri" or each]))
    least, most = _sizes(member, at_least=1 if place == "uri" else 0)
    if member.trait("hostLabel"):
        return draw(_NAME)
    if place == "header":
        return draw(_header_text(least, most))
    return draw(st.text(_ANY, min_size=least, max_size=most).filter(lambda text: text not in (".", "..")))


def _header_text(least: int, most: int) -> Any:
    """Spaces at the ends of a header are nobody's."""
    return st.text(_HEADER, min_size=least, max_size=most).map(lambda text: f"x{text[1:-1]}y"[: len(text)])


def _chosen(draw: Any, wire: Wire, ref: ShapeRef, depth: int) -> list[str]:
    names = list(ref.members)
    if ref.trait("union"):
        return [
            draw(st.sampled_from([name for name in names if not wire.is_form or not _is_empty(ref.members[name])]))
        ]
    optional = [name for name in names if name not in ref.required]
    most = 0 if depth >= _DEEP else 4 if depth else 8
    chosen = draw(st.lists(st.sampled_from(optional), max_size=most, unique=True)) if optional and most else []
    found = [*ref.required, *chosen]
    if wire.is_form:
        found = [name for name in found if not _is_empty(ref.members[name])]
        if not found and names and depth:
            found = [min(names, key=lambda name: (ref.members[name].type in ("structure", "list", "map"), name))]
    return found


def _is_empty(ref: ShapeRef) -> bool:
    """A structure that has no member leaves nothing in a form."""
    return ref.type == "structure" and all(_is_empty(each) for each in ref.members.values())


def drawn(draw: Any, wire: Wire, ref: ShapeRef, depth: int) -> Any:
    """A value in a body."""
    if ref.type == "structure":
        if ref.is_document:
            return {"a": [1, None, "x", {"b": True}]}
        return {name: drawn(draw, wire, ref.members[name], depth + 1) for name in _chosen(draw, wire, ref, depth)}
    if ref.type == "list":
        return [drawn(draw, wire, ref.element, depth + 1) for _ in range(_count(draw, wire, ref, depth))]
    if ref.type == "map":
        found = {}
        for _ in range(_count(draw, wire, ref, depth)):
            found[_scalar(draw, wire, ref.key)] = drawn(draw, wire, ref.value, depth + 1)
        assume(len(found) >= ref.trait("min", 0))
        return found
    return _scalar(draw, wire, ref)


def _count(draw: Any, wire: Wire, ref: ShapeRef, depth: int) -> int:
    least = ref.trait("min", 0)
    if (wire.is_xml and ref.flattened) or (wire.is_form and ref.type == "map"):
        least = max(least, 1)
    if depth >= _DEEP + 2:
        return int(least)
    return int(draw(st.integers(least, max(least, min(ref.trait("max", least + 2), least + 2)))))


def _scalar(draw: Any, wire: Wire, ref: ShapeRef) -> Any:
    if ref.type == "timestamp":
        found = _moment(draw, named_format(ref.trait("timestampFormat"), _DEFAULT_FORMATS[wire.protocol]))
        # S3 answers in milliseconds.
        return found.replace(microsecond=found.microsecond // 1000 * 1000) if ref.model.name == "s3" else found
    if ref.type == "string":
        if enum := ref.trait("enum"):
            return draw(st.sampled_from(enum))
        least, most = _sizes(ref)
        return draw(st.text(_XML if wire.is_xml and not wire.is_form else _ANY, min_size=least, max_size=most))
    if ref.type == "blob":
        least, most = _sizes(ref)
        return draw(st.binary(min_size=least, max_size=most))
    if ref.type == "boolean":
        return draw(st.booleans())
    return draw(_number(wire, ref))


def _number(wire: Wire, ref: ShapeRef) -> Any:
    least, most = ref.trait("min"), ref.trait("max")
    if ref.type in ("integer", "long"):
        bits = 31 if ref.type == "integer" else 63
        return st.integers(-(2**bits) if least is None else int(least), 2**bits - 1 if most is None else int(most))
    # botocore leaves the names of infinities in JSON as they are.
    endless = None if least is None and most is None and not (wire.answer and wire.protocol == "json") else False
    return st.floats(least, most, allow_nan=False, allow_infinity=endless, width=32 if ref.type == "float" else 64)


def _sizes(ref: ShapeRef, at_least: int = 0) -> tuple[int, int]:
    least = max(int(ref.trait("min", 0)), at_least)
    return least, max(least, min(int(ref.trait("max", least + 8)), least + 8))


def _moment(draw: Any, wanted: str) -> datetime:
    found: datetime = draw(
        st.datetimes(datetime(1970, 1, 2), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    )
    return found.replace(microsecond=0) if wanted == HTTP else found
