"""What a name may look like (RFC 1123), and how to say what is wrong with one."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator

from crds.errors import Invalid

_DIGITS = frozenset("0123456789")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz") | _DIGITS
_ALPHANUMERIC = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IN_LABEL = _LOWER | {"-"}
_IN_NAME = _ALPHANUMERIC | frozenset("-_.")
LABEL_MAX = 63
SUBDOMAIN_MAX = 253


def label_fault(name: str) -> str | None:
    """Why `name` is no DNS label, or None when it is one."""
    if len(name) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    if not _is_label(name):
        return (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character (e.g. 'my-name' or '123-abc')"
        )
    return None


def host_label_fault(name: str) -> str | None:
    """Why `name` is no DNS label that begins with a letter (RFC 1035), or None when it is one."""
    if label_fault(name) or name[0] in _DIGITS:
        return (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with a letter and end "
            f"with a letter or digit, at most {LABEL_MAX} characters (e.g. 'my-name' or 'abc-123')"
        )
    return None


def subdomain_fault(name: str) -> str | None:
    """Why `name` is no DNS subdomain (labels joined by dots), or None when it is one."""
    if len(name) > SUBDOMAIN_MAX:
        return f"must be no more than {SUBDOMAIN_MAX} characters"
    if not all(map(_is_label, name.split("."))):
        return (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character (e.g. 'example.com')"
        )
    return None


def path_segment_fault(name: str) -> str | None:
    """Why `name` cannot stand between two slashes of a path, or None. Roles are named like `system:node:reader`."""
    if not name or len(name) > SUBDOMAIN_MAX:
        return f"must have 1 to {SUBDOMAIN_MAX} characters"
    if name in (".", "..") or "/" in name or "%" in name or not name.isprintable():
        return "may not be '.' or '..' nor contain '/', '%' or characters that cannot be printed"
    return None


def url_path(*segments: str) -> str:
    """The segments as a path without a leading slash, each one quoted: a name never becomes two, nor another's.

    Raises Invalid for one that cannot be a segment, `..` above all, which no quoting makes harmless.
    """
    for segment in segments:
        if fault := path_segment_fault(segment):
            raise Invalid(f"{segment[:80]!r} cannot be a part of a path: it {fault}")
    return "/".join(quote(segment, safe="") for segment in segments)


def label_key_fault(key: str) -> str | None:
    """Why `key` cannot name a label or annotation (`[prefix/]name`), or None."""
    prefix, slash, name = key.rpartition("/")
    if slash and (fault := subdomain_fault(prefix)):
        return f"prefix part {fault}"
    if len(name) > LABEL_MAX or not _is_name(name):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
            f"an alphanumeric character, at most {LABEL_MAX} characters (e.g. 'MyName' or 'my.name')"
        )
    return None


def config_key_fault(key: str) -> str | None:
    """Why `key` cannot name an entry of a ConfigMap or Secret, which may become a file, or None."""
    if not key or len(key) > SUBDOMAIN_MAX or not _IN_NAME.issuperset(key):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.', at most "
            f"{SUBDOMAIN_MAX} characters (e.g. 'key.name' or 'KEY_NAME')"
        )
    if key == "." or key.startswith(".."):
        return "must not be '.' nor start with '..'"
    return None


def label_value_fault(value: str) -> str | None:
    """Why `value` cannot be a label's value, or None. Empty is allowed."""
    if value and (len(value) > LABEL_MAX or not _is_name(value)):
        return (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
            f"at most {LABEL_MAX} characters (e.g. 'MyValue' or '12345')"
        )
    return None


def _is_label(text: str) -> bool:
    return _consists_of(text, _IN_LABEL, _LOWER)


def _is_name(text: str) -> bool:
    return _consists_of(text, _IN_NAME, _ALPHANUMERIC)


def _consists_of(text: str, inside: frozenset[str], ends: frozenset[str]) -> bool:
    return bool(text) and text[0] in ends and text[-1] in ends and inside.issuperset(text)


def _checked_label(name: str) -> str:
    if fault := label_fault(name):
        raise ValueError(fault)
    return name


DnsLabel = Annotated[str, AfterValidator(_checked_label)]
