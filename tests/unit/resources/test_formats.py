"""Formats of strings: what each takes and refuses, and that any text gets an answer."""

from __future__ import annotations

import base64
import ipaddress
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from controller.resources.formats import _FORMATS, format_fault

GOOD = {
    "date-time": ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.123456789+01:00"],
    "date": ["2026-02-28"],
    "duration": ["1h30m", "0", "1.5s", "-3ms", "3 days", "1 hour", "2w"],
    "uri": ["https://example.com/a?b#c", "/a/path", "urn:isbn:1", "http://[::1]:80/", "http://a:80", "mailto:a@b"],
    "email": ["a.b+c@example.com"],
    "hostname": ["example.com", "a", "EXAMPLE.com"],
    "ipv4": ["10.0.0.1"],
    "ipv6": ["::1", "2001:db8::1"],
    "cidr": ["10.0.0.0/8", "10.0.0.1/24", "2001:db8::/32"],
    "mac": ["00:00:5e:00:53:01", "02-00-5e-10-00-00-00-01", "0000.5e00.5301"],
    "uuid": ["a8098c1a-f86e-11da-bd1a-00112444be1e", "A8098C1AF86E11DABD1A00112444BE1E"],
    "uuid4": ["16fd2706-8baf-433b-82eb-8c7fada847da"],
    "byte": ["", "aGk="],
    "creditcard": ["4242 4242 4242 4242"],
    "isbn": ["978-3-16-148410-0", "0-306-40615-2"],
    "hexcolor": ["#fff", "00FF00"],
    "rgbcolor": ["rgb(0, 128, 255)"],
    "ssn": ["111-22-3333"],
    "bsonobjectid": ["507f1f77bcf86cd799439011"],
    "password": ["anything"],
    "of-our-own": ["anything"],
}
BAD = {
    "date-time": ["", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z",
                  "2026-01-02T03:04:05-0100", "20260102T030405Z", "2026-W01-1T00:00:00Z",
                  "2026-13-02T03:04:05Z"],
    "date": ["2026-02-30", "20260228", "2026-2-8"],
    "duration": ["", "3", "h", "1..5s", "3 lightyears", "."],
    "uri": ["", "not a uri", "a/b", "http://a b", "http://a:x", "http://[::1", "/%zz", "://x"],
    "email": ["a", "a@", "@b.c", "a@b", ".a@b.c", "a b@c.d"],
    "hostname": ["", "-a", "a_b", "a..b"],
    "ipv4": ["300.1.1.1", "::1", "10.0.0", "10.0.0.01"],
    "ipv6": ["10.0.0.1", "::g", "fe80::1%eth0"],
    "cidr": ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "/8"],
    "mac": ["00:00:5e:00:53", "00:00:5e:00:53:zz", "00:00:5e-00:53:01"],
    "uuid": ["a8098c1a", "g8098c1a-f86e-11da-bd1a-00112444be1e", "a809-8c1af86e-11da-bd1a-00112444be1e"],
    "uuid4": ["a8098c1a-f86e-11da-bd1a-00112444be1e"],
    "byte": ["a", "====", "aGk"],
    "creditcard": ["4242 4242 4242 4241", "1"],
    "isbn": ["978-3-16-148410-1", "0-306-40615-3"],
    "hexcolor": ["#ff", "red"],
    "rgbcolor": ["rgb(0, 0, 256)", "0,0,0", "rgb(0,0)"],
    "ssn": ["111-22-333"],
    "bsonobjectid": ["507f"],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_a_format_takes(name: str) -> None:
    assert [each for each in GOOD[name] if format_fault(name, each)] == []


@pytest.mark.parametrize("name", BAD)
def test_what_a_format_refuses(name: str) -> None:
    assert [each for each in BAD[name] if not format_fault(name, each)] == []
    assert format_fault(name, BAD[name][0]) == f"must be of type {name}"


@given(some.text(max_size=50), some.sampled_from(sorted(_FORMATS)))
def test_any_text_gets_an_answer(text: str, name: str) -> None:
    assert isinstance(format_fault(name, text), str)


@given(some.ip_addresses(), some.uuids(), some.binary(max_size=20), some.datetimes(timezones=some.just(UTC)))
def test_what_others_write_is_taken(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, identity: uuid.UUID, content: bytes, moment: datetime
) -> None:
    assert not format_fault(f"ipv{address.version}", str(address))
    assert not format_fault("cidr", f"{address}/{address.max_prefixlen}")
    assert not format_fault("uuid", str(identity))
    assert not format_fault("byte", base64.b64encode(content).decode())
    assert not format_fault("date-time", moment.isoformat())
    assert not format_fault("date", moment.date().isoformat())
