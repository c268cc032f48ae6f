"""Kinds that there are, asked from the API each time: a new managed service brings its kinds without a new CLI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.hints import closest
from cli.urls import segment
from controller.main.errors import Misuse

# Kinds that are shown from a stored one, under the same names. Pods are not here: deleting one restarts it.
SHOWN_FROM = {
    ("", "nodes"): ("aerekos.cloud", "workers"),
    ("", "services"): ("aerekos.cloud", "services"),
    ("apps", "deployments"): ("aerekos.cloud", "services"),
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Served:
    """One kind as discovery tells of it. `verbs`: what the API does with it."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Path of a resource or collection. A namespaced kind without namespace means all. Raises Misuse."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        room = f"/namespaces/{segment(namespace)}" if self.namespaced and namespace else ""
        return f"{root}{room}/{self.plural}" + (f"/{segment(name)}" if name else "")

    def title(self, name: str) -> str:
        """`key/example`, as `-o name` prints it and every command takes it."""
        return f"{self.singular}/{name}"

    @property
    def names(self) -> set[str]:
        """Every word for it, in lower case."""
        return {self.plural, self.singular, self.kind.lower(), self.resource, *self.short_names}

    def is_called(self, word: str) -> bool:
        return word.lower() in self.names


class Kinds:
    """All kinds one cloud serves, each in the version that comes first; only a manifest may name another. Ours come
    before those of Kubernetes's own groups.
    """

    def __init__(self, served: Iterable[Served]) -> None:
        self._all = tuple(served)
        first: dict[tuple[str, str], Served] = {}
        for each in self._all:
            first.setdefault((each.group, each.plural), each)
        self._served = sorted(
            first.values(), key=lambda each: (each.group != "aerekos.cloud", each.group, each.plural)
        )

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served)

    def called(self, word: str) -> Served:
        """The kind a person means by `services`, `asvc`, `Service` or `services.aerekos.cloud`. Raises Misuse."""
        found = next((each for each in self if each.is_called(word)), None)
        if found is None:
            raise Misuse(f'no kind is called "{word}"', hint=self._instead_of(word))
        return found

    def for_verb(self, word: str, verb: str) -> Served:
        """The kind to do `verb` with: of one that only shows another and cannot do it, the other. Raises Misuse."""
        found = self.called(word)
        return found if verb in found.verbs else self.stored(found)

    def stored(self, kind: Served) -> Served:
        """The kind that `kind` is shown from; itself when it is stored."""
        place = SHOWN_FROM.get((kind.group, kind.plural))
        return next((each for each in self if (each.group, each.plural) == place), kind)

    def meant(self, words: str) -> list[Served]:
        """Several kinds, comma separated; a category such as `all` stands for its kinds."""
        found: list[Served] = []
        for word in filter(None, words.split(",")):
            group = [each for each in self if word.lower() in each.categories]
            found += group or [self.called(word)]
        if not found:
            raise Misuse("no kind given", hint="e.g. aerekos get services")
        return list(dict.fromkeys(found))

    def of(self, api_version: str, kind: str) -> Served | None:
        """The kind a manifest names, or None."""
        return next((each for each in self._all if (each.api_version, each.kind) == (api_version, kind)), None)

    def listed(self) -> list[str]:
        """The plurals of the kinds that can be listed, each once: ours first."""
        return list(dict.fromkeys(each.plural for each in self if "list" in each.verbs))

    def _instead_of(self, word: str) -> str:
        known = {name: each.plural for each in reversed(self._served) if "list" in each.verbs for name in each.names}
        near = closest(word, known)
        listed = f"one of: {', '.join(self.listed())}"
        return f"did you mean {known[near]}?" if near else listed


def discover(api: ApiClient) -> Kinds:
    """Asks for all at once: the core kinds, then every version of every group, the preferred one first.

    Source: Kubernetes API discovery, `apidiscovery.k8s.io/v2` APIGroupDiscoveryList.
    """
    answers = [api.get(path, headers={"accept": _AGGREGATED}) for path in ("/api", "/apis")]
    return Kinds(kind for answer in answers for group in answer["items"] for kind in _read(group))


def _read(group: dict[str, Any]) -> Iterator[Served]:
    for version in group["versions"]:
        for each in version["resources"]:
            yield Served(
                group["metadata"]["name"] or "",
                version["version"],
                each["resource"],
                each["singularResource"] or each["responseKind"]["kind"].lower(),
                each["responseKind"]["kind"],
                each["scope"] == "Namespaced",
                tuple(each.get("shortNames") or ()),
                tuple(each.get("categories") or ()),
                tuple(each["verbs"]),
            )
