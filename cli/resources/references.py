"""References on the command line: `KIND NAME...`, `KIND/NAME...`, or the name of a service's instance.

Every command takes them alike, whatever name of a kind is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.resources.kinds import Kinds, Served
from cli.urls import segment
from controller.main.errors import Misuse, UserError

SERVICES = ("service", "services", "svc", "asvc", "services.aerekos.cloud", "deployment", "deployments", "deploy")
PODS = ("pod", "pods", "po", "instance", "instances")


@dataclass(frozen=True, slots=True)
class Reference:
    """One resource somebody named. `word`: the kind, in their words."""

    word: str
    name: str


def references(words: Sequence[str], example: str) -> list[Reference]:
    """`key a b` and `key/a key/b` name the same. Raises Misuse when no name is there, or both forms are mixed."""
    if not words:
        raise Misuse("say which", hint=example)
    if "/" in words[0]:
        return [_split(each, example) for each in words]
    if len(words) == 1:
        raise Misuse(f"which {words[0]}?", hint=example)
    for each in words[1:]:
        if "/" in each:
            raise Misuse(f'"{each}" names a kind again', hint=f"aerekos ... {words[0]} NAME   or   KIND/NAME")
    return [Reference(words[0], each) for each in words[1:]]


def _split(word: str, example: str) -> Reference:
    kind, _, name = word.partition("/")
    if not kind or not name or "/" in name:
        raise Misuse(f'"{word}" is not KIND/NAME', hint=example)
    return Reference(kind, name)


def resolve(kinds: Kinds, words: Sequence[str], verb: str, example: str) -> list[tuple[Served, str]]:
    """Kind and name of each, with kinds that can do `verb`. Raises Misuse."""
    return [(kinds.for_verb(each.word, verb), each.name) for each in references(words, example)]


@dataclass(frozen=True, slots=True)
class ServiceReference:
    """A service, and one instance of it when somebody named that."""

    namespace: str
    name: str
    instance: str | None = None

    @property
    def path(self) -> str:
        return f"/apis/aerekos.cloud/v1/namespaces/{segment(self.namespace)}/services/{segment(self.name)}"


def named_service(word: str) -> tuple[str, bool]:
    """The name in `x`, `service/x` or `pod/x-0`, and whether it must be an instance's. Raises Misuse."""
    kind, slash, name = word.rpartition("/")
    if slash and kind.lower() in PODS:
        return name, True
    if slash and kind.lower() not in SERVICES:
        raise Misuse(f'"{word}" is no service', hint="give the name of a service, or of one of its instances")
    return name, False


def find_service(api: ApiClient, word: str, namespace: str | None) -> ServiceReference:
    """The service called so, or the one whose instance is called so. Raises Refused with the nearest name."""
    name, is_instance = named_service(word)
    room = namespace or "default"
    wanted = ServiceReference(room, name)
    missing: Refused | None = None
    if not is_instance:
        try:
            api.get(wanted.path)
            return wanted
        except Refused as refused:
            if refused.status != 404:
                raise
            missing = refused
    if found := _service_of(api, room, name):
        return found
    raise missing or UserError(f'no instance is called "{name}"', hint=f"see them: aerekos get pods -n {room}")


def _service_of(api: ApiClient, namespace: str, instance: str) -> ServiceReference | None:
    for service in services_in(api, namespace):
        if any(each.get("name") == instance for each in service.get("status", {}).get("instances") or ()):
            return ServiceReference(namespace, service["metadata"]["name"], instance)
    return None


def services_in(api: ApiClient, namespace: str) -> list[dict[str, Any]]:
    """Every service of that namespace."""
    return list(api.get(f"/apis/aerekos.cloud/v1/namespaces/{segment(namespace)}/services")["items"])
