"""Hosts and names as people write them in settings, and what is wrong with those that cannot be meant."""

from __future__ import annotations

import re
from ipaddress import ip_address

from controller.main.errors import Misuse

MOST_NAMES = 64
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_HOST_HINT = "localhost (this machine alone), :: (every address of it), one of its addresses, or a name of one"
_LONGEST_CLOUD_NAME = 63


def read_host(value: object, where: str) -> str:
    """An address to listen at, without the brackets of a URL, or a host name. Raises Misuse."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise Misuse(f"{where}: must be a text, not {value!r}", hint=f"use {_HOST_HINT}")
    if "://" in text or "/" in text:
        raise Misuse(f"{where}: {text} is a URL; a host is wanted", hint=f"use {_HOST_HINT}")
    if text == "*":
        raise Misuse(f"{where}: * is no host", hint="use :: for every address, IPv4 and IPv6")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    address, _, zone = bare.partition("%")
    if is_address(address):
        return str(ip_address(address)) + (f"%{zone}" if zone else "")
    host, mark, port = bare.strip("[]").rpartition(":")
    if mark and port.isdigit() and (is_name(host) or is_address(host.strip("[]"))):
        raise Misuse(f"{where}: {text} holds a port", hint=f"give it apart: AEREKOS_HOST={host} AEREKOS_PORT={port}")
    if not (name := _ascii(bare)):
        raise Misuse(f"{where}: {text} is neither an address nor a host name", hint=f"use {_HOST_HINT}")
    return name


def read_names(value: object, where: str) -> tuple[str, ...]:
    """Names and addresses: a list, or one text with commas. Raises Misuse."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(each, str) for each in parts):
        raise Misuse(f"{where}: must be a list of names, not {value!r}", hint='names = ["cloud.lan", "10.0.0.5"]')
    names = tuple(dict.fromkeys(_read_name(each.strip(), where) for each in parts if each.strip()))
    if len(names) > MOST_NAMES:
        raise Misuse(f"{where}: {len(names)} names are too many", hint=f"give {MOST_NAMES} or fewer")
    return names


def _read_name(text: str, where: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if is_address(bare):
        return str(ip_address(bare))
    if name := _ascii(bare):
        return name
    how = 'names = ["cloud.lan", "10.0.0.5"]; names below each of them (*.cloud.lan) belong to it anyway'
    raise Misuse(f"{where}: {text!r} is neither a host name nor an address", hint=how)


def read_cloud_name(value: object, where: str) -> str:
    """What people call the cloud: one line that any terminal and title can show. Raises Misuse."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST_CLOUD_NAME or not text.isprintable():
        hint = f"one line of 1 to {_LONGEST_CLOUD_NAME} printable characters"
        raise Misuse(f"{where}: cannot be the name of a cloud: {value!r}", hint=hint)
    return text


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_name(text: str) -> bool:
    """Whether it is a host name in lower case ASCII letters (RFC 1123; also with `_`, which is seen)."""
    labels = text.split(".")
    # The last label of a name is never a number: what looks like an address must be one.
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def _ascii(text: str) -> str:
    """A host name as DNS has it (`köln.lan` is `xn--kln-sna.lan`); empty when it is none."""
    try:
        name = text.lower().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return name if is_name(name) else ""
