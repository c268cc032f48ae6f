"""`aerekos open`: the dashboard, or the page of one resource, in the user's browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from urllib.parse import quote

from cli import api_client
from cli.api_client import ApiClient
from cli.output import say
from cli.resources import kinds as discovery
from cli.resources import references
from cli.resources.kinds import Kinds, Served
from controller.main.settings import Settings

_NO_GROUP, _NO_NAMESPACE = "core", "-"


def show(settings: Settings, words: Sequence[str], namespace: str, *, browser: bool) -> None:
    """Prints the address, and opens it where a browser can be. Raises Misuse, Refused."""
    with api_client.connect(settings) as api:
        address = api.server + (_page(api, words, namespace) if words else "/")
    say(address)
    if browser:
        webbrowser.open(address)


def _page(api: ApiClient, words: Sequence[str], namespace: str) -> str:
    kinds = discovery.discover(api)
    if len(words) == 1 and "/" not in words[0]:
        return list_page(_shown(kinds, words[0]))
    [reference] = references.references(words[:2], "aerekos open service NAME")
    kind = _shown(kinds, reference.word)
    api.get(kind.path(namespace, reference.name))  # a page of nothing helps nobody
    room = namespace if kind.namespaced else _NO_NAMESPACE
    return f"{list_page(kind)}/{room}/{quote(reference.name, safe='')}"


def _shown(kinds: Kinds, word: str) -> Served:
    return kinds.stored(kinds.called(word))


def list_page(kind: Served) -> str:
    """The dashboard's page of all resources of a kind."""
    return f"/ui/k/{kind.group or _NO_GROUP}/{kind.version}/{kind.plural}"
