"""Manifests from files, folders or stdin, each remembering where it came from so that errors can name it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.main.errors import Misuse

_ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class ManifestDocument:
    """One manifest. `where` is `file, document 2`."""

    where: str
    body: dict[str, Any]

    @property
    def api_version(self) -> str:
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


def read_all(sources: list[str]) -> list[ManifestDocument]:
    """Every document, in order. Raises Misuse naming file, document and field of all that are wrong."""
    found = [each for source in sources for each in _read_source(source)]
    faults = [f"{each.where}: {fault}" for each in found for fault in faults_of(each.body)]
    if faults:
        raise Misuse("\n".join(faults), hint="correct these; nothing was sent")
    if not found:
        raise Misuse(f"no manifest in {', '.join(sources)}", hint="give a .yaml or .json file, a folder, or -")
    return [ManifestDocument(each.where, each.body) for each in found]


def faults_of(body: Any) -> list[str]:
    """What keeps `body` from being a manifest, before any server is asked."""
    if not isinstance(body, dict):
        return [f"must be an object with apiVersion, kind and metadata, not {type(body).__name__}"]
    faults = [f"{key}: must be a text" for key in ("apiVersion", "kind") if not _is_text(body.get(key))]
    meta = body.get("metadata")
    if not isinstance(meta, dict):
        return [*faults, "metadata: must be an object with a name"]
    if not _is_text(meta.get("name")):
        faults.append("metadata.name: must be a text")
    if "namespace" in meta and not _is_text(meta["namespace"]):
        faults.append("metadata.namespace: must be a text")
    for key in ("labels", "annotations"):
        pairs = meta.get(key) or {}
        if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
            faults.append(f"metadata.{key}: every value must be a text; put numbers and true/false in quotes")
    return faults


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _read_source(source: str) -> Iterator[ManifestDocument]:
    if source == "-":
        yield from parse(sys.stdin.read(), "stdin")
        return
    path = Path(source)
    for file in _files(path):
        try:
            yield from parse(file.read_text(encoding="utf-8"), str(file))
        except OSError as error:
            raise Misuse(f"{file}: {error.strerror}", hint="give an existing file or folder") from error
        except UnicodeDecodeError as error:
            raise Misuse(f"{file}: is not UTF-8 text", hint="save it as UTF-8") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and each.is_file())


def parse(text: str, file: str) -> Iterator[ManifestDocument]:
    """Each document of a YAML or JSON text; items of a List one by one. Raises Misuse."""
    import yaml

    try:
        # JSON is YAML; dates stay texts, as they are on the wire.
        parsed = list(yaml.load_all(text, Loader=_loader()))
    except yaml.YAMLError as error:
        raise Misuse(f"{file}: cannot be read: {error}", hint="correct the YAML or JSON") from error
    several = len([each for each in parsed if each is not None]) > 1
    for number, body in enumerate(parsed, 1):
        if body is None:
            continue
        where = f"{file}, document {number}" if several else file
        items = body.get("items") if isinstance(body, dict) and body.get("kind") == "List" else None
        if isinstance(items, list):
            yield from (ManifestDocument(f"{where}, item {i}", item) for i, item in enumerate(items, 1))
        else:
            yield ManifestDocument(where, body)


def _loader() -> type[Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Timestamps stay as they are written."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
