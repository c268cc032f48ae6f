"""Attributes of a request, in the words of Kubernetes: verb, group, resource, subresource, namespace, name.

Read from the path alone, as the apiserver's RequestInfo is: an audit log tells of requests that were refused, too.
An AWS call is a resource request of the group `aws`: its resource is the signing name (`kms`), its verb the action
(`kms:Decrypt`) once the service has named it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import unquote

from api.audit.fields import bounded

AWS = "aws"
_LONGEST = 253
_REMEMBERED_BYTES = 512
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TRUE = (b"watch=1", b"watch=t", b"watch=true", b"watch=True", b"watch=TRUE")


@dataclass(frozen=True)
class Attributes:
    """`resource` empty: no resource request; then `verb` is the HTTP method in lower case."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def whole_resource(self) -> str:
        """`pods/exec`, or `pods`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @cached_property
    def reference(self) -> Mapping[str, str] | None:
        """The object as a line of the log names it (`objectRef`); None where none is named. Shared."""
        if not self.resource or self.group == AWS:
            return None
        named = {
            "resource": self.resource,
            "namespace": self.namespace,
            "name": self.name,
            "apiGroup": self.group,
            "apiVersion": self.version,
            "subresource": self.subresource,
        }
        return {name: bounded(value, _LONGEST) for name, value in named.items() if value}


def attributes_of(method: str, path: str, query: bytes = b"") -> Attributes:
    """The attributes of a request to that path."""
    if len(path) + len(query) <= _REMEMBERED_BYTES:  # programs ask the same again and again
        return _remembered(method, path, query)
    return _read(method, path, query)


def _read(method: str, path: str, query: bytes) -> Attributes:
    parts = [(unquote(each) if "%" in each else each)[:_LONGEST] for each in path[:4096].strip("/").split("/")]
    group = ""
    if parts[0] == "api" and len(parts) > 2:
        parts = parts[1:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, parts = parts[1], parts[2:]
    else:
        return Attributes(method.lower(), path)
    version, parts = parts[0], parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in ("status", "finalize"):
            parts = parts[2:]
    resource, name, subresource = [*parts, "", ""][:3]
    verb = _verb(method, named=bool(name), query=query)
    return Attributes(verb, path, group, version, resource, subresource, namespace, name)


_remembered = lru_cache(2048)(_read)


def aws_attributes(path: str, signing_name: str, action: str, namespace: str) -> Attributes:
    """Attributes of an AWS call."""
    return Attributes(action or f"{signing_name}:*", path, AWS, "", signing_name, namespace=namespace)


def _verb(method: str, *, named: bool, query: bytes) -> str:
    if method in ("GET", "HEAD"):
        if any(each in _TRUE for each in query.split(b"&", 64)):
            return "watch"
        return "get" if named else "list"
    if method == "DELETE" and not named:
        return "deletecollection"
    return _VERBS.get(method, method.lower())
